"""Where photos come from: a folder, or a zip archive that is read where it lies.

In comes a path that a person gave, out come its files by name, each read when it is asked for and
never further than it may be.  What is in the files, and which of them are photos, is not known
here.
"""

import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from modelgenerator.datasets.archives import (
    ArchiveLimits,
    ZippedFile,
    is_left_by_systems,
    looks_like_zip,
    read_directory,
)
from modelgenerator.datasets.headers import format_name
from modelgenerator.datasets.images import PhotoLimits, check_bytes
from modelgenerator.datasets.labels import label_of
from modelgenerator.errors import UnusableDataset, UnusablePhoto


class SourceFile(Protocol):
    """One file of a source.  Can be pickled: another process opens it again."""

    @property
    def name(self) -> str:
        """For messages, and to find what belongs together; never a path."""
        ...

    @property
    def size(self) -> int:
        """Bytes, as the folder or the archive says; reading believes nobody."""
        ...

    def read(self, limit: int) -> bytes:
        """All of it.

        Raises:
            UnusablePhoto: longer than `limit` bytes, or it cannot be read.
        """
        ...

    def head(self, count: int) -> bytes:
        """The first `count` bytes, or fewer when it is shorter.

        Raises:
            UnusablePhoto: it cannot be read.
        """
        ...


class PhotoSource(Protocol):
    """What a person pointed at.  Can be pickled."""

    @property
    def path(self) -> Path: ...

    @property
    def kind(self) -> Literal["folder", "zip archive"]: ...

    @property
    def files(self) -> Sequence[SourceFile]:
        """In natural order: `2.jpg` comes before `10.jpg`; without what systems leave there."""
        ...

    @property
    def folders(self) -> Sequence[str]:
        """Labels of the folders whose files are not among `files`."""
        ...


def open_source(path: Path, limits: ArchiveLimits | None = None) -> PhotoSource:
    """The folder or the archive at `path`; nothing is unpacked.

    Raises:
        UnusableDataset: neither of both, not readable, or an archive that is refused as a whole.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return _folder(path)
        if not stat.S_ISREG(mode):
            raise UnusableDataset(f"{path} is neither a folder nor a file. {_GIVE}")
        with path.open("rb") as stream:
            start = stream.read(64)
    except FileNotFoundError:
        raise UnusableDataset(
            f"There is no folder {path}. Check the spelling, or make it and put pictures in it."
        ) from None
    except OSError as problem:
        raise UnusableDataset(
            f"{path} cannot be read: {problem.strerror}. Check who may read it."
        ) from problem
    if looks_like_zip(start, path):
        files = read_directory(path, limits or ArchiveLimits())
        return ZipArchive(path, tuple(sorted(files, key=_by_name)))
    raise UnusableDataset(_why_no_source(path, start))


@dataclass(frozen=True)
class FolderFile:
    """A file that lies in a folder."""

    name: str
    path: Path
    size: int

    def read(self, limit: int) -> bytes:
        return self._start(None, limit)

    def head(self, count: int) -> bytes:
        return self._start(count, None)

    def _start(self, count: int | None, limit: int | None) -> bytes:
        try:
            # a pipe of the same name would be waited for for ever
            with os.fdopen(os.open(self.path, os.O_RDONLY | os.O_NONBLOCK), "rb") as stream:
                length = os.fstat(stream.fileno()).st_size
                if limit is not None:
                    check_bytes(length, self.name, PhotoLimits(max_bytes=limit))
                # no more than there is: `read` makes room before it reads
                return stream.read(length if count is None else min(count, length))
        except OSError as problem:
            reason = f"the file cannot be opened: {problem.strerror}"
            raise UnusablePhoto(self.name, reason) from problem


@dataclass(frozen=True)
class Folder:
    """What lies right inside a folder and is not hidden."""

    path: Path
    files: tuple[FolderFile, ...]
    folders: tuple[str, ...]
    kind: Literal["folder"] = "folder"


@dataclass(frozen=True)
class ZipArchive:
    """What a zip archive holds, in all its folders."""

    path: Path
    files: tuple[ZippedFile, ...]
    folders: tuple[str, ...] = ()
    """Always none: folders of an archive are looked through."""
    kind: Literal["zip archive"] = "zip archive"


_GIVE = "Give the folder that holds the pictures, or a zip archive of them."


def _folder(path: Path) -> Folder:
    entries = [entry for entry in path.iterdir() if not is_left_by_systems(entry.name)]
    # a link to nowhere is kept, to be refused by its name
    files = [
        FolderFile(label_of(entry.name), entry, _size_of(entry))
        for entry in entries
        if entry.is_file() or not entry.exists()
    ]
    folders = [label_of(entry.name) for entry in entries if entry.is_dir()]
    return Folder(path, tuple(sorted(files, key=_by_name)), tuple(sorted(folders, key=_natural)))


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _by_name(file: SourceFile) -> tuple[list[tuple[int, str]], str]:
    return _natural(file.name)


def _natural(name: str) -> tuple[list[tuple[int, str]], str]:
    """Numbers inside names count as numbers; the whole name decides between equals."""
    parts = re.split(r"(\d+)", name.casefold())
    numbered = [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
    return numbered, name


def _why_no_source(path: Path, start: bytes) -> str:
    found = format_name(start)
    if found in ("RAR archive", "7-Zip archive", "gzip archive"):
        return f"{path} is a {found}, which is not read. Unpack it, or make a zip archive of it."
    return (
        f"{path} is a file. Give the folder that holds the pictures: {path.parent}\n"
        "or a zip archive of them."
    )
