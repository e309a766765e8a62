"""Pictures that a server draws."""

from pathlib import Path
from typing import Any, ClassVar, cast

from modelgenerator.client.connection import Connection
from modelgenerator.client.work import Work


class PicturesHandle(Work):
    """A request for pictures: wait for it, save them."""

    resource: ClassVar[str] = "inferences"
    called: ClassVar[str] = "drawing"

    def save(self, folder: str | Path) -> list[Path]:
        """Write the pictures that are there into a folder, which is made; where they are."""
        drawn = cast(list[dict[str, Any]], self.read()["pictures"])
        names = [f"{picture['position']:03}-{picture['seed']}" for picture in drawn]
        return save_pictures(self._connection, drawn, names, Path(folder))


def save_pictures(
    connection: Connection, pictures: list[dict[str, Any]], names: list[str], folder: Path
) -> list[Path]:
    """Write pictures under `names`, with the ending of their format."""
    folder.mkdir(parents=True, exist_ok=True)
    saved: list[Path] = []
    for picture, name in zip(pictures, names, strict=True):
        url = str(picture["url"])
        ending = url.partition("?")[0].rpartition(".")[2].lower()
        known = ending if ending in ("png", "jpg", "jpeg", "webp") else "png"
        to = folder / f"{name}.{known}"
        connection.save(url, to)
        saved.append(to)
    return saved
