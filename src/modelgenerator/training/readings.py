"""What a step says of itself, read some steps behind the one that is being computed.

In: what each step left on the device and what the host knew of it.  Out: its `StepFinished`, in
order.  On a CPU nothing is behind.  On a GPU the host orders the next step before it reads the last
one, so that the device is never idle while the host is reading.

Whoever writes the LoRA down reads the `rest` first: numbers that are not finite have changed the
values by then, and are found here.
"""

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from modelgenerator.errors import TrainingDiverged
from modelgenerator.training.events import StepFinished
from modelgenerator.training.transfer import ToHost

STEPS_BEHIND = {"cuda": 1}
"""By type of device; 0 on all others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One step: what the host knows, and what is still on its way."""

    step: int
    epoch: int
    learning_rate: float
    pictures: Sequence[str]
    """Those that the step learnt from."""
    is_applied: bool
    """False when half precision overflowed and the step was skipped."""
    numbers_4: ToHost
    """Loss, gradient norm, sum of the LoRA's values after the step, d."""

    def finished(self) -> StepFinished:
        """Raises TrainingDiverged: loss, gradients or values are not finite."""
        loss, norm, values_sum, d = self.numbers_4.read()
        decisive = (loss, values_sum, norm) if self.is_applied else (loss, values_sum)
        if not all(map(math.isfinite, decisive)):
            raise TrainingDiverged(step=self.step, pictures=self.pictures)
        return StepFinished(
            step=self.step,
            epoch=self.epoch,
            loss=loss,
            learning_rate=self.learning_rate,
            d=d,
            gradient_norm=norm,
        )


class Readings:
    """Steps that are ordered and not read yet, oldest first."""

    def __init__(self, steps_behind: int) -> None:
        self._steps_behind = steps_behind
        self._waiting: deque[Reading] = deque()

    def add(self, reading: Reading) -> None:
        self._waiting.append(reading)

    def due(self) -> Iterator[StepFinished]:
        """Those that are old enough.  Raises TrainingDiverged."""
        return self._read_down_to(self._steps_behind)

    def rest(self) -> Iterator[StepFinished]:
        """All of them.  Raises TrainingDiverged."""
        return self._read_down_to(0)

    def _read_down_to(self, left: int) -> Iterator[StepFinished]:
        while len(self._waiting) > left:
            yield self._waiting.popleft().finished()


def numbers_of_step(loss: Tensor, norm: Tensor, values_N: Tensor, d: Tensor) -> ToHost:
    """The `numbers_4` of a `Reading`.

    A sum is finite only if every value is, or if they are too large to be of any use.
    """
    return ToHost(torch.stack([one.double() for one in (loss, norm, values_N.sum(), d)]))
