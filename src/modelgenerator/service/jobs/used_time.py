"""Milliseconds of work that are paid, over all attempts.

In: what earlier attempts kept, and when paid work goes on and rests.  Out: milliseconds.  Waiting
in the queue, downloading and loading a base model are free.
"""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager


class UsedTime:
    """A watch, which runs from its beginning if nothing says otherwise."""

    def __init__(
        self,
        kept_ms: int = 0,
        *,
        is_running: bool = True,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._timer = timer
        self._before = kept_ms / 1000
        self._since = timer() if is_running else None

    @property
    def ms(self) -> int:
        """So far."""
        running = 0.0 if self._since is None else self._timer() - self._since
        return int((self._before + running) * 1000)

    @contextmanager
    def free(self) -> Generator[None, None, None]:
        """What is done in the block is not paid."""
        was_running = self._since is not None
        self._before, self._since = self.ms / 1000, None
        try:
            yield
        finally:
            self._since = self._timer() if was_running else None

    def start_again(self, kept_ms: int) -> None:
        """From what is kept; what came before in this attempt is not paid."""
        self._before, self._since = kept_ms / 1000, self._timer()
