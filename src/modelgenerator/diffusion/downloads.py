"""Bringing a base model's files here, in pieces that survive a cut connection.

In: which files of a repository, as a base model that was looked at has them.  Out: progress in
bytes, then the folder.  Weights are streamed into the hub's cache by this module, because
huggingface_hub begins a file again after every kill; where they lie then, and all small files, is
left to huggingface_hub.
"""

import fcntl
import hashlib
import re
import shutil
import time
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast

from modelgenerator.diffusion.detection import NeededFile
from modelgenerator.diffusion.hub import place_of
from modelgenerator.diffusion.remote import CutOff, Hub, Repository, told, unreachable
from modelgenerator.diffusion.tensor_files import check_safetensors
from modelgenerator.errors import BaseModelUnsupported, HubUnreachable, OutputNotWritable

if TYPE_CHECKING:
    from huggingface_hub import HfFileMetadata

PIECE_BYTES = 4_000_000
"""Between two reports; of small base models, files are reported."""
_TRIES = 5
"""In a row without a single byte."""


class WantedFiles(Protocol):
    """Which files of a repository to bring; `BaseModelFiles` is one such."""

    @property
    def reference(self) -> str:
        """As the person called it."""
        ...

    @property
    def folder(self) -> Path | None:
        """Where they are already; none as long as they are on the hub only."""
        ...

    @property
    def repository(self) -> str | None: ...

    @property
    def revision(self) -> str | None:
        """The commit."""
        ...

    @property
    def needed(self) -> tuple[NeededFile, ...]:
        """In the order in which they come."""
        ...

    @property
    def size_bytes(self) -> int:
        """Of all of them."""
        ...


@dataclass(frozen=True)
class DownloadProgress:
    """So much is here."""

    files_done: int
    files_total: int
    bytes_done: int
    bytes_total: int


@dataclass(frozen=True)
class DownloadFinished:
    """All files are here; the last event."""

    folder: Path
    """Or the single file."""


def download(
    files: WantedFiles, hub: Hub | None = None
) -> Generator[DownloadProgress | DownloadFinished, None, None]:
    """Bring the needed files here, one after the other; what is here already is not asked for.

    Stopping is to stop iterating; the next call goes on at the byte where this one was.  Weights
    are checked for completeness before the last event.

    Raises:
        BaseModelGated, HubUnreachable: as `look_at`.
        BaseModelUnsupported: a file is damaged.
        OutputNotWritable: the disk of the hub's cache is full, or not writable.
    """
    if files.folder is not None:
        yield DownloadFinished(files.folder)
        return
    hub = hub or Hub()
    assert files.repository is not None, "neither in a folder nor on a hub"
    assert files.revision is not None, "neither in a folder nor on a hub"
    sizes = {file.name: file.size for file in files.needed}
    source = Repository(files.repository, files.revision, hub, sizes)
    _check_room(files, source)
    here = 0
    for number, file in enumerate(files.needed):
        for received in _weights(file, source):
            yield DownloadProgress(number, len(sizes), here + received, files.size_bytes)
        path = source.fetch(file.name)
        if path.suffix == ".safetensors":
            check_safetensors(path)
        here += file.size
        yield DownloadProgress(number + 1, len(sizes), here, files.size_bytes)
    yield DownloadFinished(place_of(files.needed, source.folder))


def _check_room(files: WantedFiles, source: Repository) -> None:
    """Before the first of several gigabytes, not after the last that fits."""
    missing = [file for file in files.needed if not (source.folder / file.name).is_file()]
    wanted = sum(file.size for file in missing)
    disk = next(path for path in (source.folder, *source.folder.parents) if path.exists())
    free = shutil.disk_usage(disk).free
    if wanted > free:
        raise OutputNotWritable(
            f"{files.reference} needs {wanted / 1e9:.1f} GB and the disk of {disk} has "
            f"{free / 1e9:.1f} GB left. Make room, or set HF_HOME to a folder on another disk."
        )


def _weights(file: NeededFile, source: Repository) -> Generator[int, None, None]:
    """Bring one file of weights to where huggingface_hub will find it; bytes of it so far."""
    if not file.name.endswith(".safetensors") or (source.folder / file.name).exists():
        return
    facts = source.facts(file.name)
    if not _BLOB.fullmatch(facts.etag or ""):
        return  # not named by its content, so a half one could not be trusted
    blob = source.blobs / cast(str, facts.etag)
    with told(source.name, source.revision, source.hub):
        blob.parent.mkdir(parents=True, exist_ok=True)
        partial = blob.with_name(f"{blob.name}.partial")
        with partial.open("ab") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)  # another process may be bringing the same
            if not blob.exists():
                yield from _stream(file, facts, source, stream)
                _check_content(partial, blob.name, file.name)
                partial.rename(blob)
    with suppress(OSError):
        partial.unlink(missing_ok=True)


_BLOB = re.compile(r"[0-9a-f]{64}")
"""The hub names large files by their sha256."""


def _stream(
    file: NeededFile, facts: "HfFileMetadata", source: Repository, stream: BinaryIO
) -> Generator[int, None, None]:
    """Append what is missing; after a cut it goes on where it was."""
    tries, size = 0, facts.size or file.size
    while stream.tell() < size:
        before = reported = stream.tell()
        try:
            for piece in source.open(file.name, start=before):
                if piece is None:  # the server does not know how to go on, so it begins again
                    stream.truncate(0)
                    stream.seek(0)
                    continue
                stream.write(piece)
                if stream.tell() - reported >= PIECE_BYTES:
                    reported = stream.tell()
                    yield reported
        except CutOff:
            pass
        stream.flush()
        tries = 0 if stream.tell() > before else tries + 1
        if tries == _TRIES:
            raise HubUnreachable(
                f"{unreachable(source.hub)} The connection was cut in {file.name} after "
                f"{stream.tell() / 1e6:,.1f} of {size / 1e6:,.1f} MB; these are kept, and the "
                "same command goes on from there."
            )
        if tries:
            time.sleep(0.1 * 2**tries)


def _check_content(partial: Path, expected: str, name: str) -> None:
    """Raises BaseModelUnsupported, and does away with the file, when it is not what it should."""
    with partial.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != expected:
        partial.unlink()
        raise BaseModelUnsupported(
            f"{name} was damaged on its way from the hub. Start again to download it again."
        )
