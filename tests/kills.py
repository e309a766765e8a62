"""A process that is killed between two of its works on the disk, played within a test.

In: the number of the work at which it dies.  Out: the disk as a kill -9 leaves it: from that
instant on nothing is flushed, renamed or removed any more, not by clean-up either.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest


class Killed(BaseException):
    """Nobody catches it."""


@contextmanager
def killed_at(instant: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Die at the work number `instant`, counted from 0, of the block; survive if it has fewer."""
    works = 0

    def dying(work: Callable[..., Any]) -> Callable[..., Any]:
        def done_or_dead(*words: Any, **more: Any) -> Any:
            nonlocal works
            works += 1
            if works > instant:
                raise Killed
            return work(*words, **more)

        return done_or_dead

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", dying(os.fsync))
        patch.setattr(Path, "replace", dying(Path.replace))
        patch.setattr(Path, "unlink", dying(Path.unlink))
        with suppress(Killed):
            yield
