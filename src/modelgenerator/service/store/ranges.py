"""A large file, fetched in ranges that are on the way together.

In: its size, and something that reads a range of it.  Out: the file on this machine.  Whether it is
the right one is not known here.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

RANGE = 8 << 20
"""Bytes of one request."""
RANGES_AT_ONCE = 4
"""More are never held in memory."""


def fetch_in_ranges(to: Path, size: int, read: Callable[[int, int], memoryview]) -> None:
    """Write `size` bytes to `to`; `read` is given the first byte and the one after the last.

    The first error that `read` raises is raised, and no more ranges are begun.
    """
    with to.open("wb") as file:
        # what follows the ranges that came is never a part of another file
        file.truncate(size)

        def fetch(start: int) -> None:
            _write_at(file.fileno(), start, read(start, min(start + RANGE, size)))

        with ThreadPoolExecutor(RANGES_AT_ONCE) as threads:
            for _ in threads.map(fetch, range(0, size, RANGE)):
                pass


def _write_at(descriptor: int, place: int, rest: memoryview) -> None:
    while rest:
        written = os.pwrite(descriptor, rest, place)
        place, rest = place + written, rest[written:]
