"""How long a training is.

In: epochs, repeats, batchSize, gradientAccumulation and maxSteps as written, and the buckets of
the pictures.  Out: epochs and optimizer steps.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from modelgenerator.datasets.buckets import Size
from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.diffusion.recommended import training_steps
from modelgenerator.notices import Notice
from modelgenerator.settings import TrainingSettings

MOST_EPOCHS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Length:
    """What is decided of it; steps are the optimizer's."""

    epochs: int
    steps_per_epoch: int
    total_steps: int


def choose_length(
    settings: TrainingSettings,
    buckets: Sequence[Size],
    base: BaseModelFiles,
    notices: list[Notice],
) -> Length:
    """`buckets` are those of the pictures that are trained."""
    per_epoch = _steps_per_epoch(settings, buckets, notices)
    epochs = settings.epochs or _estimated_epochs(len(buckets), per_epoch, base, notices)
    steps = _steps(settings, epochs * per_epoch, notices)
    return Length(epochs=epochs, steps_per_epoch=per_epoch, total_steps=steps)


def batches_per_epoch(buckets: Sequence[Size], *, repeats: int, batch_size: int) -> int:
    """A batch never mixes buckets, so every bucket rounds up for itself."""
    return sum(math.ceil(n * repeats / batch_size) for n in Counter(buckets).values())


def _steps_per_epoch(
    settings: TrainingSettings, buckets: Sequence[Size], notices: list[Notice]
) -> int:
    batches = batches_per_epoch(buckets, repeats=settings.repeats, batch_size=settings.batch_size)
    if settings.gradient_accumulation > batches:
        message = (
            f"{settings.gradient_accumulation} is more than an epoch has batches: there is one "
            f"step after the {batches} of each epoch. Raise repeats to add up more."
        )
        notices.append(Notice("warning", "gradientAccumulation", message))
    return math.ceil(batches / settings.gradient_accumulation)


def _estimated_epochs(
    pictures: int, steps_per_epoch: int, base: BaseModelFiles, notices: list[Notice]
) -> int:
    wanted = training_steps(base, pictures)
    epochs = min(MOST_EPOCHS, math.ceil(wanted / steps_per_epoch))
    message = (
        f"{epochs} epochs: about {wanted} steps suit {pictures} pictures, and one epoch has "
        f"{steps_per_epoch}."
    )
    notices.append(Notice("info", "epochs", message))
    return epochs


def _steps(settings: TrainingSettings, steps: int, notices: list[Notice]) -> int:
    """Of the whole training, where all epochs together have `steps`."""
    if settings.max_steps is None or settings.max_steps >= steps:
        return steps
    message = f"{settings.max_steps} steps are done instead of {steps}."
    notices.append(Notice("info", "maxSteps", message))
    return settings.max_steps
