"""Work on many files in processes of their own, each bounded in time and in memory.

In come a function and named items, out come its results in their order.  What a file does to the
process that reads it, hang, eat memory or crash, costs that file and nothing else.  What the
function does is not known here.

A worker is a fresh interpreter.  It keeps accidents and bombs away, not an attacker who gets to run
code of his own in it.
"""

import os
import pickle
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from multiprocessing.connection import Pipe, wait
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from modelgenerator.datasets.worker_process import LEARN, Answer, Learn
from modelgenerator.errors import UnusablePhoto, UserError
from modelgenerator.started_process import start


class Named(Protocol):
    @property
    def name(self) -> str:
        """For messages."""
        ...


Item = TypeVar("Item", bound=Named)
Result = TypeVar("Result")

_SECONDS_TO_START = 120.0
_AHEAD = 4
"""Items for each worker that are worked on or wait for an earlier one to be finished."""


def cores() -> int:
    """How many processes this one can run at once."""
    with suppress(AttributeError):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Workers:
    """Processes that are started when they are needed and kept until `close`."""

    def __init__(
        self,
        count: int | None = None,
        *,
        seconds_each: float = 30.0,
        bytes_each: int = 3_000_000_000,
    ) -> None:
        """One worker for each core, unless `count` says how many.

        With 0 the work is done by the caller's process, and nothing bounds it.  `bytes_each` is
        what an item may need beyond what a worker holds at rest; only Linux enforces it.
        """
        self._count = cores() if count is None else count
        self._seconds_each, self._bytes_each = seconds_each, bytes_each
        self._free: list[_Worker] = []
        self._busy: list[_Worker] = []

    def map(
        self, function: Callable[[Item], Result], items: Iterable[Item]
    ) -> Iterator[Result | UserError]:
        """`function(item)` for each item in order, or the `UserError` that it raised.

        An item that takes too long, needs too much memory or ends its worker is an
        `UnusablePhoto`.  Function, items and results are pickled.  Only a few items are taken
        ahead, and none while nobody asks for the next result.

        Raises:
            RuntimeError: the function raised something else, or no worker could be started.
        """
        if self._count == 0:
            return _done_here(function, items)
        learn = Learn(function, self._seconds_each, self._bytes_each)
        return self._done_elsewhere(learn, iter(items))

    def _done_elsewhere(self, learn: Learn, items: Iterator[Named]) -> Iterator[Any]:
        assert not self._busy, "one map at a time"
        outcomes: dict[int, Any] = {}
        begun = shown = 0
        is_over = False
        try:
            while True:
                while not is_over and self._has_room(begun - shown):
                    item = next(items, None)
                    if item is None:
                        is_over = True
                    else:
                        self._begin(learn, begun, item)
                        begun += 1
                if shown == begun:
                    return
                while shown not in outcomes:
                    outcomes.update(self._next_outcomes())
                yield outcomes.pop(shown)
                shown += 1
        finally:
            self._end(self._busy)

    def _has_room(self, unfinished: int) -> bool:
        return len(self._busy) < self._count and unfinished < _AHEAD * self._count

    def _begin(self, learn: Learn, number: int, item: Named) -> None:
        worker = self._free.pop() if self._free else _Worker()
        self._busy.append(worker)
        worker.begin(learn, number, item)

    def _next_outcomes(self) -> dict[int, Any]:
        """Wait until a worker says something or is overdue: finished items by their numbers."""
        first = min(worker.deadline for worker in self._busy)
        wait([worker.pipe for worker in self._busy], max(0.0, first - time.monotonic()))
        outcomes: dict[int, Any] = {}
        for worker in list(self._busy):
            answer = worker.answer()
            if answer is not None:
                outcomes[worker.number] = answer.value
                self._busy.remove(worker)
                if worker.is_fit:
                    self._free.append(worker)
                else:
                    worker.end()
        return outcomes

    def _end(self, workers: list["_Worker"]) -> None:
        while workers:
            workers.pop().end()

    def close(self) -> None:
        """End all workers, whatever they do."""
        self._end(self._busy)
        self._end(self._free)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _done_here(
    function: Callable[[Item], Result], items: Iterable[Item]
) -> Iterator[Result | UserError]:
    for item in items:
        try:
            yield function(item)
        except UserError as error:
            yield error


class _Worker:
    """One process and the item that it has."""

    def __init__(self) -> None:
        self.pipe, far_end = Pipe()
        # libraries write on stderr what they think of a file
        self._process = start(
            "modelgenerator.datasets.worker_process", far_end, environment=_environment(os.environ)
        )
        far_end.close()
        self._learn: Learn | None = None
        self.number = -1
        self._item: Named | None = None
        self._is_ready = False
        self.deadline = 0.0
        """On the clock of `time.monotonic`."""
        self.is_fit = True
        """False when it was given up and must be ended."""

    def begin(self, learn: Learn, number: int, item: Named) -> None:
        self.number, self._item = number, item
        if self._learn == learn:
            self._send_item()
        else:
            self._learn, self._is_ready = learn, False
            self._send(LEARN + pickle.dumps(learn), _SECONDS_TO_START)

    def answer(self) -> Answer | None:
        """What came of the item; None when nothing yet.

        Raises:
            RuntimeError: the worker cannot work, or its function is at fault.
        """
        if self.pipe.poll():
            return self._heard()
        if self.deadline > time.monotonic():
            return None
        seconds = self._learnt().seconds_each
        return self._given_up(f"it takes more than {seconds:g} seconds to be read")

    def _heard(self) -> Answer | None:
        try:
            answer: Answer = pickle.loads(self.pipe.recv_bytes())
        except (EOFError, OSError):
            return self._given_up(
                "the program that reads it ends at it: it is damaged, or needs more memory than "
                "there is"
            )
        if answer.kind == "ready":
            self._is_ready = True
            self._send_item()
            return None
        if answer.kind == "no memory":
            most = self._learnt().bytes_each / 1e6
            return self._given_up(f"it needs more than {most:,.0f} MB of memory to be read")
        if answer.kind == "bug":
            self.is_fit = False
            raise RuntimeError(f"A worker failed at {self._named().name}:\n{answer.value}")
        return answer

    def _given_up(self, reason: str) -> Answer:
        self.is_fit = False
        if not self._is_ready:
            raise RuntimeError(f"A worker could not be started: {reason}.")
        return Answer("result", UnusablePhoto(self._named().name, reason))

    def _send_item(self) -> None:
        self._send(pickle.dumps(self._item), self._learnt().seconds_each)

    def _send(self, message: bytes, seconds: float) -> None:
        with suppress(OSError):  # it ended: that is found when it is listened to
            self.pipe.send_bytes(message)
        self.deadline = time.monotonic() + seconds

    def _learnt(self) -> Learn:
        assert self._learn is not None
        return self._learn

    def _named(self) -> Named:
        assert self._item is not None
        return self._item

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        self.pipe.close()
        assert self._process.stdin is not None
        self._process.stdin.close()


_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"), "1"
)
"""Each core has its process already."""
_SECRET_WORDS = ("CREDENTIAL", "KEY", "PASSWORD", "SECRET", "TOKEN", "URL")
"""Who decodes pictures needs no variable with one of these in its name; addresses hold them too."""


def _environment(ours: Mapping[str, str]) -> dict[str, str]:
    """What a worker needs of our variables."""
    kept = {
        name: value
        for name, value in ours.items()
        if not any(word in name.upper() for word in _SECRET_WORDS)
    }
    return kept | _ONE_THREAD
