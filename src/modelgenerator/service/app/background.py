"""What is done from time to time beside answering requests, each thing in a thread of its own.

In: functions.  Out: they are called again and again until the end.  One that fails is logged and
called again: nothing that is done here may be the only chance of being done.  What passes by
itself, as a database that starts again, is told in a line.
"""

import logging
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from modelgenerator.service.errors import ServiceError

_log = logging.getLogger(__name__)


class Repeated:
    """Calls `work` until it is stopped; `wait` is what happens between two calls."""

    def __init__(
        self,
        name: str,
        work: Callable[[], object],
        *,
        seconds: float,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        self._work, self._seconds = work, seconds
        self._over = threading.Event()
        self._wait = wait or self._over.wait
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join(timeout=30)

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                self._work()
            except Exception as error:  # noqa: BLE001  what is due must not end with one failure
                if isinstance(error, ServiceError) and error.retry_after is not None:
                    _log.warning("%s cannot be done now: %s", self._thread.name, error)
                else:
                    _log.exception("%s failed and is tried again", self._thread.name)
            self._wait(self._seconds)
