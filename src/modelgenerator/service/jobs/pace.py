"""Steps of a training as people follow them: how far, how fast, how long still, and the loss.

In: every step.  Out: progress about twice a second, and the history for a chart about once a
second, many steps in one event.
"""

import math
import time
from collections.abc import Callable, Iterator

from modelgenerator.service.jobs.messages import Message, Phase, PhaseBegun, Progressed, Told
from modelgenerator.training.events import StepFinished

PROGRESS_SECONDS = 0.5
HISTORY_SECONDS = 1.0
_NEWEST = 0.1
"""How much one look counts in the mean speed."""


class Pace:
    """Of one attempt."""

    def __init__(self, total_steps: int, timer: Callable[[], float] = time.monotonic) -> None:
        self._total, self._timer = total_steps, timer
        self._waiting: list[StepFinished] = []
        self._looked_at = self._told_at = -math.inf
        self._looked_step = 0
        self._rate: float | None = None
        self._after_pause: Phase | None = None

    def start(self, first_step: int) -> None:
        """The first step comes next."""
        self._look(first_step - 1)
        self._told_at = self._looked_at

    def pause(self, phase: Phase) -> None:
        """Something else is done; the next step begins `phase` again."""
        self._after_pause = phase

    def leave_out(self, seconds: float) -> None:
        """Which have just gone by and were no step's."""
        self._looked_at += seconds

    def step(self, step: StepFinished, used_ms: int) -> Iterator[Message]:
        """What is to be told now that it is done."""
        self._waiting.append(step)
        now = self._timer()
        if self._after_pause is not None:
            yield PhaseBegun(self._after_pause)
            self._after_pause = None
            self._look(step.step)  # the time of the pause was no step's
        is_last = step.step == self._total
        if now - self._looked_at >= PROGRESS_SECONDS or is_last:
            self._measure(step.step, now)
            yield Progressed(self._progress(step), used_ms)
        if now - self._told_at >= HISTORY_SECONDS:
            yield from self.rest()

    def rest(self) -> Iterator[Message]:
        """The history that was not told yet."""
        self._told_at = self._timer()
        if not self._waiting:
            return
        steps, self._waiting = self._waiting, []
        data = {
            "steps": [step.step for step in steps],
            "losses": [_finite(step.loss) for step in steps],
            "learningRates": [step.learning_rate for step in steps],
            "d": [_finite(step.d) for step in steps],
            "gradientNorms": [_finite(step.gradient_norm) for step in steps],
        }
        yield Told("steps", data)

    def _look(self, step: int) -> None:
        self._looked_step, self._looked_at = step, self._timer()

    def _measure(self, step: int, now: float) -> None:
        if step > self._looked_step and now > self._looked_at:
            rate = (step - self._looked_step) / (now - self._looked_at)
            before = self._rate
            self._rate = rate if before is None else before + _NEWEST * (rate - before)
        self._looked_step, self._looked_at = step, now

    def _progress(self, step: StepFinished) -> dict[str, object]:
        left = (self._total - step.step) / self._rate if self._rate else None
        return {
            "step": step.step,
            "totalSteps": self._total,
            "epoch": step.epoch,
            "loss": _finite(step.loss),
            "learningRate": step.learning_rate,
            "d": _finite(step.d),
            "stepsPerSecond": None if self._rate is None else round(self._rate, 3),
            "secondsRemaining": None if left is None else round(left),
        }


def _finite(number: float) -> float | None:
    """JSON has no word for what is not finite."""
    return number if math.isfinite(number) else None
