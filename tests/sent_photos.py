"""Photos and masks that are sent to a service under test, and what it has of them afterwards."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from httpx import Response
from PIL import Image
from tests import nasty
from tests.serving import Serving


def png(width: int, height: int = 40) -> bytes:
    return nasty.encoded(nasty.photo(width, height), "PNG")


def grey(width: int, height: int = 40, shade: int = 255) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((height, width), shade, np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def send(served: Serving, dataset: str, *files: tuple[str, bytes]) -> Response:
    parts = [("files", file) for file in files]
    return served.http.post(f"/v1/datasets/{dataset}/images", files=parts)


def images(served: Serving, dataset: str) -> list[dict[str, Any]]:
    return served.http.get(f"/v1/datasets/{dataset}").json()["images"]


def statuses(answer: Response) -> dict[str, str]:
    return {file["name"]: file["status"] for file in answer.json()["files"]}


def stored(served: Serving) -> list[Path]:
    folder = served.service.config.data_dir / "files"
    return [path for path in folder.rglob("*") if path.is_file()]
