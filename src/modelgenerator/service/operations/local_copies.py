"""The pictures of a dataset as files on this machine, for the library to read.

In: pictures with their storage keys, and the dataset's room.  Out: a `PhotoSource`, in which they
have the names that a person gave, and captions and masks lie beside them.  What is there already is
not fetched again.
"""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from uuid import UUID, uuid4

from modelgenerator.datasets.sources import Folder, FolderFile
from modelgenerator.service.records.datasets import SnapshotPicture
from modelgenerator.service.store.files import Files
from modelgenerator.service.store.keys import sha256_in


def dataset_room(data_dir: Path, organization_id: UUID, dataset_id: UUID) -> Path:
    """The folder on this machine for everything that is derived from a dataset's pictures.

    Local copies, what was seen in them, previews, encoded pictures.  All of it can be made again,
    and all of it goes when the dataset goes.
    """
    return rooms_of(data_dir) / organization_id.hex / dataset_id.hex


def rooms_of(data_dir: Path) -> Path:
    """The folder with the rooms of all datasets, by organization."""
    return data_dir.absolute() / "derived"


def local_source(files: Files, pictures: Sequence[SnapshotPicture], room: Path) -> Folder:
    """All of `pictures`, in their order; labels are one of a kind within a dataset.

    Raises:
        NotFound, StorageUnreachable: a picture cannot be had.
        FileDamaged: a stored file is not what was stored.
    """
    folder = room / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    found = (file for picture in pictures for file in _files_of(picture, files, folder))
    return Folder(folder, tuple(found), ())


def forget_copies(room: Path, picture: SnapshotPicture) -> None:
    """Remove what this machine has of a picture that is not needed any more."""
    names = [key.rpartition("/")[2] for key in (picture.storage_key, picture.mask_key) if key]
    if picture.caption:
        names.append(_named_by_words(picture.caption))
    for name in names:
        (room / "pictures" / name).unlink(missing_ok=True)


def _files_of(picture: SnapshotPicture, files: Files, folder: Path) -> Iterator[FolderFile]:
    stem = PurePosixPath(picture.label).stem
    yield _named(picture.label, _copy(files, picture.storage_key, folder, picture.sha256))
    if picture.caption:
        yield _named(f"{stem}.txt", _text(picture.caption, folder))
    if key := picture.mask_key:
        yield _named(f"{stem}.mask.png", _copy(files, key, folder, sha256_in(key)))


def _named(name: str, path: Path) -> FolderFile:
    return FolderFile(name, path, path.stat().st_size)


def _copy(files: Files, key: str, folder: Path, sha256: str | None) -> Path:
    """The file at `key`, which never changes, under the last part of its key."""
    path = folder / key.rpartition("/")[2]
    if not path.exists():
        files.download(key, path, sha256=sha256)
    return path


def _text(words: str, folder: Path) -> Path:
    """A caption; named by what it says, so that another caption is another file."""
    path = folder / _named_by_words(words)
    if not path.exists():
        fresh = folder / f".{uuid4().hex}"
        fresh.write_bytes(_encoded(words))
        fresh.replace(path)
    return path


def _named_by_words(words: str) -> str:
    return f"{hashlib.sha256(_encoded(words)).hexdigest()[:32]}.txt"


def _encoded(words: str) -> bytes:
    return words.encode("utf-8", "surrogatepass")
