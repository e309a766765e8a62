"""Two generations of a checkpoint in a folder, each sealed with a hash of its own bytes.

In: a safetensors file as bytes, with a place for the seal in its metadata.  Out: the same bytes
again, or the knowledge that a file is damaged.  What the tensors mean is told by `checkpoint`;
torch is not known here.
"""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from modelgenerator.errors import OutputNotWritable
from modelgenerator.whole_files import partial_of, write_whole

FILE = "checkpoint.safetensors"
PREVIOUS = "checkpoint-previous.safetensors"
"""The one before: disks lose bytes, and the work of a day should not hang on one file."""
NAMES = (FILE, PREVIOUS)
SEAL = "sha256"
UNSEALED = "0" * 64
"""What stands at `SEAL` in the metadata while the hash is taken."""


class Damaged(Exception):
    """These are not the bytes that were written."""


def are_in(folder: Path) -> bool:
    """Whether a training in `folder` has left something to go on from."""
    return any((folder / name).exists() for name in NAMES)


def write(folder: Path, content: bytes) -> Path:
    """Seal `content` and make it the newest; on any failure the earlier ones stay.

    Raises:
        OutputNotWritable: the disk is full, or the folder is gone or not writable.
    """
    start = _place_of_seal(content, UNSEALED)
    digest = hashlib.sha256(content).hexdigest().encode()
    sealed = b"".join((content[:start], digest, memoryview(content)[start + len(digest) :]))
    file = folder / FILE
    write_whole(file, sealed, called="The checkpoint", earlier=folder / PREVIOUS)
    return file


def read(file: Path) -> tuple[bytes, Mapping[str, str]]:
    """All of the file, and its metadata.

    Raises:
        Damaged: it does not carry the hash of its bytes, or cannot be read.
    """
    try:
        content = file.read_bytes()
        metadata = _metadata(content)
        digest = metadata[SEAL]
        start = _place_of_seal(content, digest)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Damaged(file) from error
    found = hashlib.sha256(content[:start])
    found.update(UNSEALED.encode())
    found.update(memoryview(content)[start + len(digest) :])
    if found.hexdigest() != digest:
        raise Damaged(file)
    return content, metadata


def remove(folder: Path) -> None:
    """The training is finished; the newest goes last, so that a kill in here costs nothing.

    Raises:
        OutputNotWritable: a file cannot be removed.
    """
    with suppress(OSError):  # what a kill in the middle of a writing left
        partial_of(folder / FILE).unlink(missing_ok=True)
    try:
        for name in reversed(NAMES):
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise OutputNotWritable(
            f"The training is finished, but its checkpoint in {folder} cannot be removed: "
            f"{error.strerror}. Remove it by hand."
        ) from error


def _metadata(content: bytes) -> Mapping[str, str]:
    """Source: https://github.com/huggingface/safetensors, README, "Format"."""
    return json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]


def _place_of_seal(content: bytes, seal: str) -> int:
    """Where the hash stands; ValueError when it does not."""
    mark = f'"{SEAL}":"'
    return content.index(f'{mark}{seal}"'.encode()) + len(mark)
