"""Which weights lie in a folder or a file, told without reading gigabytes.

In: a folder and the names of its files, or one file.  Out: a word that stays the same when they are
copied or touched, and changes when the weights do.  What the files mean is not known here.

Times of change are left out on purpose: a copy on another disk or machine holds the same base
model, and a training must go on there.  Instead the contents are looked at: small files whole, of
large ones the header and some numbers of every tensor.  Training, merging or pruning moves them
all; somebody who edits single rows in the middle of a large matrix by hand is not noticed.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from modelgenerator.diffusion.tensor_files import safetensors_layout

SMALL_BYTES = 1 << 20
_SAMPLE_BYTES = 64
_SAMPLES = 3
"""Of every tensor: at its beginning, in its middle, at its end."""


def content_revision(folder: Path, names: Iterable[str]) -> str:
    """Of these files together, as `sha256-` and 32 digits; the order does not matter.

    Raises:
        OSError: a file cannot be read.
        BaseModelUnsupported: a safetensors file is broken.
    """
    digest = hashlib.sha256()
    for name in sorted(names):
        digest.update(f"{name}\0{(folder / name).stat().st_size}\0".encode())
        for part in _parts(folder / name):
            digest.update(part)
    return f"sha256-{digest.hexdigest()[:32]}"


def file_revision(file: Path) -> str:
    """Of one file, whatever it is called.

    Raises:
        OSError: it cannot be read.
        BaseModelUnsupported: it is broken.
    """
    digest = hashlib.sha256(f"{file.stat().st_size}\0".encode())
    for part in _parts(file):
        digest.update(part)
    return f"sha256-{digest.hexdigest()[:32]}"


def _parts(file: Path) -> Iterator[bytes]:
    """What stands for the file's content."""
    if file.suffix != ".safetensors" or file.stat().st_size <= SMALL_BYTES:
        yield file.read_bytes()
        return
    start, tensors = safetensors_layout(file)
    with file.open("rb", buffering=0) as stream:
        yield stream.read(start)
        for begin, end in sorted(tensors.values()):
            for place in _places(begin, end):
                yield os.pread(stream.fileno(), min(_SAMPLE_BYTES, end - place), start + place)


def _places(begin: int, end: int) -> list[int]:
    """Where the samples of a tensor start: evenly, the last one at its end."""
    last = max(begin, end - _SAMPLE_BYTES)
    return sorted({begin + (last - begin) * n // (_SAMPLES - 1) for n in range(_SAMPLES)})
