"""Flows on a server, and their runs."""

import json
from pathlib import Path
from typing import Any, ClassVar, cast
from urllib.parse import unquote, urlsplit

from modelgenerator.client.connection import Connection
from modelgenerator.client.pictures import save_pictures
from modelgenerator.client.work import Work


class FlowHandle:
    """A flow that the server has."""

    def __init__(self, connection: Connection, record: dict[str, Any]) -> None:
        self._connection = connection
        self.id = str(record["id"])
        self.slug = str(record["slug"])
        self.title = str(record["title"])

    def read(self) -> dict[str, Any]:
        """It as it is now, as the server shows it."""
        return self._connection.get(f"/v1/flows/{self.id}")

    def dataset_properties(self) -> list[str]:
        """The names in its form that take pictures."""
        form = self.read()["definition"].get("input", {})
        properties = cast(dict[str, Any], form.get("properties", {}))
        return [
            name
            for name, each in properties.items()
            if isinstance(each, dict) and cast(dict[str, Any], each).get("dataset") is True
        ]


class RunHandle(Work):
    """A run of a flow: wait for it, read or download what its steps left."""

    resource: ClassVar[str] = "runs"
    called: ClassVar[str] = "run"

    @property
    def results(self) -> dict[str, Any]:
        """What each step has left so far, by its id; links are good for an hour."""
        return cast(dict[str, Any], self.read()["results"])

    def resume(self) -> None:
        """Go on with a failed run at the step that failed."""
        self._connection.post(f"{self._path}/resume")

    def download(self, folder: str | Path) -> list[Path]:
        """Write all results so far into a folder, which is made; where they are.

        Pictures and archives as files, everything else as `<step>.json`.
        """
        to = Path(folder)
        to.mkdir(parents=True, exist_ok=True)
        saved: list[Path] = []
        for step in self.read()["steps"]:
            if step["result"] is not None:
                wished = step["parameters"].get("filename") if step["type"] == "Zipper" else None
                saved += self._saved(str(step["id"]), step["result"], wished, to)
        return saved

    def _saved(self, step: str, result: Any, wished: str | None, folder: Path) -> list[Path]:
        known = cast(dict[str, Any], result) if isinstance(result, dict) else {}
        if isinstance(images := known.get("images"), list) and _have_links(images):
            names = [f"{step}-{number:03}" for number in range(len(images))]
            return save_pictures(self._connection, images, names, folder)
        if set(known) == {"url"}:
            name = wished or unquote(urlsplit(str(known["url"])).path).rpartition("/")[2]
            to = folder / f"{step}-{_safe(name)}"
            self._connection.save(str(known["url"]), to)
            return [to]
        to = folder / f"{step}.json"
        to.write_text(json.dumps(result, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
        return [to]


def _have_links(images: list[Any]) -> bool:
    return all(isinstance(image, dict) and "url" in image for image in images)


def _safe(name: str) -> str:
    """A name that a stranger gave, as one of a file in this folder."""
    plain = "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in name)
    return plain.lstrip(".")[:100] or "result"
