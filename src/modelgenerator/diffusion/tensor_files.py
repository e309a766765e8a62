"""The header of a safetensors file: names, shapes and places of its tensors, and no numbers.

In: a file's size and a way to read some bytes of it.  Out: what the header tells, or the sentence
that the file is damaged.  Whether it lies on a disk or on a hub is not known here, and neither is
what the names mean.

Source: https://github.com/huggingface/safetensors, README, "Format".
"""

import json
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from modelgenerator.errors import BaseModelUnsupported

ReadBytes = Callable[[int, int], bytes]
"""From the first of two places in a file up to the second."""
_MOST_HEADER_BYTES = 100_000_000


@dataclass(frozen=True, slots=True)
class Tensors:
    """The header of a safetensors file."""

    entries: Mapping[str, Mapping[str, Any]]
    """By name: `dtype`, `shape` and `data_offsets`."""
    metadata: Mapping[str, str]
    start: int
    """Bytes before the numbers."""
    read: ReadBytes

    def __contains__(self, name: str) -> bool:
        return name in self.entries

    def shape(self, name: str) -> tuple[int, ...]:
        """Raises ValueError: there is no such tensor."""
        if name not in self.entries:
            raise ValueError(f"it lacks {name}")
        return tuple(self.entries[name]["shape"])

    def has(self, prefix: str) -> bool:
        """Whether any name begins so."""
        return any(name.startswith(prefix) for name in self.entries)

    def count(self, pattern: str) -> int:
        """How many different numbers stand where `pattern`, a regular expression, has a group."""
        return len(self.found(pattern))

    def found(self, pattern: str) -> set[int]:
        """The numbers that stand where `pattern`, a regular expression, has a group."""
        matches = (re.match(pattern, name) for name in self.entries)
        return {int(match[1]) for match in matches if match}

    def numbers(self, name: str) -> list[float]:
        """All of a small tensor."""
        entry = self.entries[name]
        begin, end = entry["data_offsets"]
        return _unpacked(self.read(self.start + begin, self.start + end), entry["dtype"])

    @property
    def end(self) -> int:
        """Bytes of the whole file, if nothing is missing."""
        ends = (int(entry["data_offsets"][1]) for entry in self.entries.values())
        return self.start + max(ends, default=0)


def tensors_of(size: int, read: ReadBytes, called: str) -> Tensors:
    """The header of a file of `size` bytes; `called` is how the person named it.

    Raises:
        BaseModelUnsupported: broken or cut off.
    """
    try:
        length = int.from_bytes(read(0, 8), "little")
        if size < 8 or length > min(size - 8, _MOST_HEADER_BYTES):
            raise ValueError("no header")
        header = json.loads(read(8, 8 + length))
        metadata = header.pop("__metadata__", {})
        tensors = Tensors(header, metadata, 8 + length, read)
        end = tensors.end
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as problem:
        raise BaseModelUnsupported(
            f"{called} is damaged: it does not begin as a .safetensors file does. "
            "Download it again."
        ) from problem
    if size != end:
        raise BaseModelUnsupported(
            f"{called} is damaged: it has {size:,} bytes where its header says {end:,}. "
            "Download it again."
        )
    return tensors


def read_tensors(path: Path) -> Tensors:
    """The header of a file on a disk.

    Raises:
        BaseModelUnsupported: broken or cut off.
        OSError: it cannot be read.
    """
    return tensors_of(path.stat().st_size, partial(_read_bytes, path), str(path))


def check_safetensors(path: Path) -> None:
    """Compare the header with the file's length.

    Raises:
        BaseModelUnsupported: broken or cut off.
    """
    read_tensors(path)


def safetensors_layout(path: Path) -> tuple[int, dict[str, tuple[int, int]]]:
    """Where the numbers begin in the file, and from there begin and end of every tensor by name.

    Raises:
        BaseModelUnsupported: broken or cut off.
    """
    tensors = read_tensors(path)
    places = {name: entry["data_offsets"] for name, entry in tensors.entries.items()}
    return tensors.start, {name: (int(begin), int(end)) for name, (begin, end) in places.items()}


def _read_bytes(path: Path, start: int, stop: int) -> bytes:
    with path.open("rb") as stream:
        stream.seek(start)
        return stream.read(stop - start)


def _unpacked(data: bytes, dtype: str) -> list[float]:
    if dtype == "BF16":  # the upper half of an F32
        halves = struct.unpack(f"<{len(data) // 2}H", data)
        data, dtype = struct.pack(f"<{len(halves)}I", *(half << 16 for half in halves)), "F32"
    letter, size = {"F16": ("e", 2), "F32": ("f", 4), "F64": ("d", 8)}[dtype]
    return list(struct.unpack(f"<{len(data) // size}{letter}", data))
