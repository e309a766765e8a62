"""Zip archives read where they lie: nothing is unpacked to a disk, no name in them is a path.

In comes a file that a stranger made, out come its members as labels and places in it.  A member is
inflated when it is asked for, counted while it grows, and only as far as the archive's directory
promised: a directory that lies is found out before it costs anything.

Source: PKWARE's APPNOTE.TXT 6.3.10 for the layout; David Fifield, "A better zip bomb", 2019,
https://www.bamsoftware.com/hacks/zipbomb/ for members that share their bytes.
"""

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from modelgenerator.datasets.images import PhotoLimits, check_bytes
from modelgenerator.datasets.labels import label_of, labels_of
from modelgenerator.errors import UnusableDataset, UnusablePhoto


@dataclass(frozen=True)
class ArchiveLimits:
    """What an archive may hold and what its members may grow to."""

    max_files: int = 10_000
    max_unpacked: int = 50_000_000_000
    """Bytes of all members together."""
    max_ratio: int = 200
    """How many times its packed size a member may have; photos hardly shrink."""
    max_directory: int = 4_000_000
    """Bytes of the list of members, which is read before its members can be counted."""


@dataclass(frozen=True)
class ZippedFile:
    """One member, by its place in the archive."""

    name: str
    size: int
    """As promised; one that has more or less is refused."""
    archive: Path
    at: int
    """Bytes from the archive's beginning to the member's own header."""
    packed: int
    """Bytes."""
    is_deflated: bool
    crc: int
    fault: str | None = None
    """Why it is never read."""

    def read(self, limit: int) -> bytes:
        check_bytes(self.size, self.name, PhotoLimits(max_bytes=limit))
        data = self._inflated(self.size + 1)  # one more, to see whether it would go on
        if len(data) != self.size or zlib.crc32(data) != self.crc:
            raise UnusablePhoto(self.name, _DAMAGED)
        return data

    def head(self, count: int) -> bytes:
        return self._inflated(min(count, self.size))

    def _inflated(self, count: int) -> bytes:
        if self.fault:
            raise UnusablePhoto(self.name, self.fault)
        try:
            with self.archive.open("rb") as stream:
                stream.seek(self.at)
                signature, name_length, extra_length = struct.unpack("<4s22xHH", stream.read(30))
                if signature != b"PK\x03\x04":
                    raise UnusablePhoto(self.name, _DAMAGED)
                stream.seek(name_length + extra_length, io.SEEK_CUR)
                if self.is_deflated:
                    return _inflate(stream, self.packed, count)
                return stream.read(min(count, self.packed))
        except OSError as problem:
            reason = f"the zip archive cannot be opened: {problem.strerror}"
            raise UnusablePhoto(self.name, reason) from problem
        except (zlib.error, struct.error) as problem:
            raise UnusablePhoto(self.name, _DAMAGED) from problem


_DAMAGED = "it is damaged inside the zip archive: make the archive again"


def _inflate(stream: io.BufferedReader, packed: int, count: int) -> bytes:
    """At most `count` bytes of what the next `packed` bytes unfold to."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    data = bytearray()
    while len(data) < count and packed > 0 and not inflater.eof:
        piece = stream.read(min(packed, 65_536))
        if not piece:
            break
        packed -= len(piece)
        data += inflater.decompress(piece, count - len(data))
    return bytes(data)


def looks_like_zip(start: bytes, path: Path) -> bool:
    """By how it begins; a later part of a split archive only has its name."""
    return start.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")) or (
        path.suffix.lower() == ".zip"
    )


def is_left_by_systems(name: str) -> bool:
    """Hidden, or what Windows and macOS put beside a person's files."""
    return name.startswith(".") or name.lower() in ("thumbs.db", "desktop.ini", "__macosx")


def read_directory(path: Path, limits: ArchiveLimits) -> list[ZippedFile]:
    """The members that are files, in the archive's order; none of them is read.

    Raises:
        UnusableDataset: damaged, split, locked, too much in it, or members that share bytes.
        OSError: it cannot be opened.
    """
    members = _members(path, limits)
    named = [(names, member) for member in members if (names := _names_in(member))]
    if named and all(member.flag_bits & 1 for _, member in named):
        raise UnusableDataset(
            f"{path} is locked with a password. Make the archive again without one."
        )
    labels = labels_of(below_common_folder([names for names, _ in named]))
    return [
        _zipped(path, label, member, limits)
        for label, (_, member) in zip(labels, named, strict=True)
    ]


def ignored_in(path: Path, limits: ArchiveLimits) -> list[str]:
    """Labels of the members that are files and no person's: what systems leave there.

    Raises:
        As `read_directory`.
    """
    members = _members(path, limits)
    return [
        label_of(_decoded(member))
        for member in members
        if _names_in(member) is None and not _decoded(member).endswith(("/", "\\"))
    ]


class _ShortReader(io.BufferedReader):
    """Reads an archive's list of members only when that is short: it is read in one piece."""

    def __init__(self, path: Path, limits: ArchiveLimits) -> None:
        super().__init__(io.FileIO(path))
        self._path, self._limits = path, limits

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > self._limits.max_directory:
            raise UnusableDataset(_too_many(self._path, self._limits))
        return super().read(size)


def _members(path: Path, limits: ArchiveLimits) -> list[zipfile.ZipInfo]:
    with _ShortReader(path, limits) as stream:
        try:
            with zipfile.ZipFile(stream) as archive:
                members, directory_at = archive.infolist(), archive.start_dir
        except _BROKEN as problem:
            raise UnusableDataset(
                f"{path} is no whole zip archive: it breaks off, is damaged, or is one part of "
                "several. Make the archive again, in one file."
            ) from problem
    if len(members) > limits.max_files:
        raise UnusableDataset(_too_many(path, limits))
    if any(member.volume for member in members):
        raise UnusableDataset(f"{path} is one part of several. Make the archive in one file.")
    if _share_bytes(members, directory_at):
        raise UnusableDataset(f"{path} has members that lie over each other, as in a zip bomb.")
    unpacked = sum(member.file_size for member in members)
    if unpacked > limits.max_unpacked:
        raise UnusableDataset(
            f"{path} would unpack to {unpacked / 1e9:,.0f} GB, more than the "
            f"{limits.max_unpacked / 1e9:g} GB allowed. Take fewer pictures."
        )
    return members


# What the standard library raises on archives that break off or contradict themselves.
_BROKEN = (zipfile.BadZipFile, ValueError, NotImplementedError, struct.error, EOFError, IndexError)


def _too_many(path: Path, limits: ArchiveLimits) -> str:
    return f"{path} holds more than the {limits.max_files:,} files allowed. Take fewer pictures."


def _share_bytes(members: Iterable[zipfile.ZipInfo], directory_at: int) -> bool:
    """Whether a member begins before the one in front of it ends."""
    free_from = 0
    for member in sorted(members, key=lambda member: member.header_offset):
        if member.header_offset < free_from:
            return True
        free_from = member.header_offset + 30 + member.compress_size
    return free_from > directory_at


def _names_in(member: zipfile.ZipInfo) -> tuple[str, ...] | None:
    """Folders and name, without drives, roots and `..`; none for a folder or a system's file."""
    name = _decoded(member).replace("\\", "/")
    parts = [part for part in name.split("/") if part not in ("", ".", "..")]
    if parts and parts[0].endswith(":"):  # a drive of Windows
        parts = parts[1:]
    if not parts or name.endswith("/") or any(map(is_left_by_systems, parts)):
        return None
    return tuple(parts)


def _decoded(member: zipfile.ZipInfo) -> str:
    """macOS writes UTF-8 and does not say so, so what can be read as UTF-8 is."""
    name = member.orig_filename
    if member.flag_bits & 0x800:
        return name
    try:
        return name.encode("cp437").decode("utf-8")
    except UnicodeError:
        return name


def below_common_folder(paths: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Without the folders that all of them lie in, which say nothing."""
    levels = zip(*(path[:-1] for path in paths), strict=False)
    shared = sum(1 for _ in takewhile(lambda folders: len(set(folders)) == 1, levels))
    return [path[shared:] for path in paths]


def _zipped(path: Path, label: str, member: zipfile.ZipInfo, limits: ArchiveLimits) -> ZippedFile:
    return ZippedFile(
        name=label,
        size=member.file_size,
        archive=path,
        at=member.header_offset,
        packed=member.compress_size,
        is_deflated=member.compress_type == zipfile.ZIP_DEFLATED,
        crc=member.CRC,
        fault=_fault_of(member, limits),
    )


_ALWAYS_ALLOWED = 10_000_000
"""Bytes that any member may have: a page of one letter shrinks a thousand times."""


def _fault_of(member: zipfile.ZipInfo, limits: ArchiveLimits) -> str | None:
    if member.flag_bits & 1:
        return "it is locked with a password: make the zip archive again without one"
    if stat.S_ISLNK(member.external_attr >> 16):
        return "it is a link to another file: put the photo itself into the zip archive"
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return (
            "it is packed in a way that is not read: make the zip archive again with the "
            "ordinary method, Deflate"
        )
    if member.file_size > max(_ALWAYS_ALLOWED, limits.max_ratio * member.compress_size):
        return (
            f"it would unpack from {member.compress_size / 1e6:,.1f} MB to "
            f"{member.file_size / 1e6:,.0f} MB, as a zip bomb does"
        )
    return None
