"""How long a storage that does not answer is waited for, and how often it is asked again.

In: something to be asked.  Out: its answer, or the error that came to the end.  What is asked must
be safe to be asked twice.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from modelgenerator.service.errors import StorageRefused, StorageUnreachable

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """With one storage."""

    connecting: timedelta = timedelta(seconds=5)
    """Until a connection is there."""
    reading: timedelta = timedelta(seconds=15)
    """In which nothing comes."""
    writing: timedelta = timedelta(seconds=55)
    """For one request that sends at most 8 MiB, with four of them on the way; twice that, and a
    training would be taken for one that stands still."""
    naming: timedelta = timedelta(minutes=15)
    """In which the storage copies a large file within itself."""
    asking_again: timedelta = timedelta(seconds=30)
    """After a first failure; then nothing is begun anew."""
    first_backoff: timedelta = timedelta(milliseconds=100)
    """Before the library asks the first time again; it does so three times, longer each time."""
    pauses: tuple[float, ...] = (0.2, 1.0)
    """Seconds before we ask again, when the library has given up."""


RESTARTING = Patience(pauses=(1, 2, 4, 8, 15, 30), asking_again=timedelta(minutes=2))
"""For what took hours to make: a storage that starts again is back in a minute."""

STARTING = Patience(
    connecting=timedelta(seconds=3), writing=timedelta(seconds=5), asking_again=timedelta(seconds=5)
)
"""Of a server that has other things to do than to wait for a storage that is not there yet."""


class Retries:
    """Of one thing that is asked, as long as there is patience."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self.went_on()

    def went_on(self) -> None:
        """Something came: patience begins anew."""
        self._pauses = iter(self._patience.pauses)
        self._ends: float | None = None

    def wait_after(self, error: StorageUnreachable) -> None:
        """Until it is to be asked again.

        Raises:
            StorageUnreachable: `error`, when it is not to be asked again.
        """
        pause = next(self._pauses, None)
        if pause is None or isinstance(error, StorageRefused):
            raise error
        now = time.monotonic()
        if self._ends is None:  # what was asked may have taken long before it failed
            self._ends = now + self._patience.asking_again.total_seconds()
        if now + pause > self._ends:
            raise error
        time.sleep(pause)


def patiently(ask: Callable[[], Answer], patience: Patience) -> Answer:
    """What `ask` gives back.

    Raises:
        StorageUnreachable: it does not answer, and has not after the pauses.
    """
    retries = Retries(patience)
    while True:
        try:
            return ask()
        except StorageUnreachable as error:
            retries.wait_after(error)
