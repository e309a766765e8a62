"""Sends a folder or a zip of photos, in pieces, without what the server has already.

In: where the photos are, and where they go.  Out: what became of each file.  Captions (`.txt`) and
masks (`.mask.png`) beside a photo go along with it.
"""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from modelgenerator.client.connection import Connection
from modelgenerator.client.errors import RequestRefused
from modelgenerator.errors import UnusableDataset

FILES_AT_ONCE = 25
BYTES_AT_ONCE = 100_000_000
_CHUNK = 1 << 20


def upload_photos(connection: Connection, path: str, photos: Path) -> list[dict[str, Any]]:
    """Send `photos` to the images of a dataset; what became of each file that was sent.

    Raises:
        UnusableDataset: there is nothing to send.
        RequestRefused: not one of them can be used.
    """
    known = {image.get("uploadSha256") for image in connection.get(path)["images"]}
    fresh = [file for file in files_in(photos) if _sha256(file) not in known]
    return send_in_pieces(connection, f"{path}/images", fresh)


def send_in_pieces(
    connection: Connection, path: str, files: Iterable[Path]
) -> list[dict[str, Any]]:
    """Send files some at a time; pieces in which nothing is usable are told with the others."""
    told: list[dict[str, Any]] = []
    refusal: RequestRefused | None = None
    was_used = False
    for piece in _pieces(files):
        try:
            answer = connection.send_files(path, [(file.name, file) for file in piece])
        except RequestRefused as error:
            if error.code != "nothingUsable":
                raise
            refusal = error
            told += error.problem.get("files", [])  # type: ignore[operator]
            continue
        was_used = True
        told += answer["files"]
    if refusal is not None and not was_used:
        raise refusal
    return told


def files_in(photos: Path) -> list[Path]:
    """The files to send: a zip itself, or what lies in a folder, photos beside their captions.

    Raises:
        UnusableDataset: there is no such folder or file, or nothing is in it.
    """
    if photos.is_file():
        return [photos]
    if not photos.is_dir():
        raise UnusableDataset(f"There is no folder or zip {photos}.")
    found = [file for file in photos.iterdir() if file.is_file() and file.name[0] != "."]
    if not found:
        raise UnusableDataset(f"There is no file in {photos}: give a folder or a zip of photos.")
    return sorted(found, key=lambda file: (_stem(file), file.name))


def _stem(file: Path) -> str:
    return file.name.removesuffix(".mask.png").rpartition(".")[0] or file.name


def _pieces(files: Iterable[Path]) -> Iterator[list[Path]]:
    """Some files at a time; a photo's caption and mask are in the same piece as the photo."""
    piece: list[Path] = []
    size = 0
    for file in files:
        belongs = bool(piece) and _stem(piece[-1]) == _stem(file)
        if piece and not belongs and (len(piece) >= FILES_AT_ONCE or size >= BYTES_AT_ONCE):
            yield piece
            piece, size = [], 0
        piece.append(file)
        size += file.stat().st_size
    if piece:
        yield piece


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while chunk := opened.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
