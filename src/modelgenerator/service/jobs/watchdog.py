"""Whether a job stands still.

In: its messages, as they come.  Out: for how long nothing went on, once that is too long.  What is
done about it is not known here.
"""

import math
import statistics
import time
from collections import deque
from collections.abc import Callable

from modelgenerator.service.jobs.messages import Message, Phase, PhaseBegun, Progressed

SHORTEST = 120.0
"""Seconds for which any step may take."""
MEDIANS = 20
"""A step that takes so many times what steps take does not end."""
UNKNOWN = 1800.0
"""Seconds where nobody can say how long it takes: to load a base model, to draw a large picture, a
first step."""
_REMEMBERED = 50


class Watchdog:
    """Of one attempt."""

    def __init__(self, timer: Callable[[], float] = time.monotonic) -> None:
        self._timer = timer
        self._last = timer()
        self.phase = "starting"
        self._step: int | None = None
        self._seconds_each: deque[float] = deque(maxlen=_REMEMBERED)

    def heard(self, message: Message) -> None:
        """Something came."""
        now = self._timer()
        if isinstance(message, PhaseBegun):
            self.phase, self._step = message.phase, None
        elif isinstance(message, Progressed) and self.phase == Phase.TRAINING:
            step = message.progress.get("step")
            if not isinstance(step, int):
                return
            if self._step is not None:
                if step <= self._step:
                    return
                self._seconds_each.append((now - self._last) / (step - self._step))
            self._step = step
        self._last = now

    @property
    def patience(self) -> float:
        """Seconds without news that are still all right."""
        if self.phase == Phase.WAITING_FOR_MACHINE:
            return math.inf  # however long it takes, it is not the job that stands still
        if self.phase != Phase.TRAINING or not self._seconds_each:
            return UNKNOWN
        return max(SHORTEST, MEDIANS * statistics.median(self._seconds_each))

    @property
    def stood_still(self) -> float | None:
        """Seconds, when it is too long."""
        silence = self._timer() - self._last
        return silence if silence > self.patience else None
