"""The same service with records in Postgres and files in a bucket."""

import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from tests import taught
from tests.deployments import shared_environment
from tests.server import Server, started


@pytest.fixture
def deployed(tmp_path: Path) -> Iterator[Server]:
    """A server that keeps nothing but its scratch on this machine."""
    with started(Server(tmp_path / "data", shared_environment())) as it:
        yield it


def test_photos_go_in_and_pictures_come_out_and_everything_is_gone_when_it_is_deleted(
    deployed: Server,
):
    with deployed.http() as http:
        subject = http.post("/v1/subjects", json={"name": "Luff"}).json()
        photos = [("files", (name, content)) for name, content in taught.photo_files().items()]
        sent = http.post(f"/v1/datasets/{subject['datasetId']}/images", files=photos)
        assert sent.status_code == 201, sent.text
        settings = {"baseModel": taught.BASE, "captionPrefix": "lvff", "maxSteps": 8}
        asked = {"datasetId": subject["datasetId"], "settings": settings}
        training = _done(http, http.post("/v1/trainings", json=asked), "trainings")
        image = {"prompt": "lvff in the snow", "steps": 2, "format": "webp"}
        body = {"trainingId": training["id"], "images": [image]}
        drawn = _done(http, http.post("/v1/inferences", json=body), "inferences")
        link = drawn["pictures"][0]["url"]
        with httpx.Client() as anybody:  # the bucket itself answers
            assert Image.open(io.BytesIO(anybody.get(link).raise_for_status().content)).size
        model = http.get(f"/v1/trainings/{training['id']}/model", follow_redirects=True)
        assert len(model.content) == training["model"]["byteCount"]
        receipt = http.delete(f"/v1/subjects/{subject['id']}").json()
        seen = _until(http, f"/v1/deletions/{receipt['id']}", lambda it: it["completedAt"])
        assert seen["completedAt"]
        with httpx.Client() as anybody:
            assert anybody.get(link).status_code == 404


def _done(http: httpx.Client, made: httpx.Response, kind: str) -> dict[str, Any]:
    assert made.status_code == 202, made.text
    address = f"/v1/{kind}/{made.json()['id']}"
    over = _until(http, address, lambda it: it["status"] not in ("queued", "running"))
    assert over["status"] == "succeeded", over
    return over


def _until(http: httpx.Client, address: str, holds: Any) -> dict[str, Any]:
    give_up = time.monotonic() + 180
    while time.monotonic() < give_up:
        if holds(seen := http.get(address).json()):
            return seen
        time.sleep(0.2)
    raise AssertionError(seen)
