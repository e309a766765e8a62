"""From prepared pictures to a LoRA file: encode, then train.

In: a plan, its pictures, a loaded base model, a folder.  Out: events.  The command line and the
service run a training that is one process through this; `parallel.together` runs it in several.
"""

from collections.abc import Generator
from pathlib import Path
from typing import TypeVar

from modelgenerator.content_cache import ContentCache
from modelgenerator.datasets.prepare import PreparedDataset
from modelgenerator.diffusion.family import ModelFamily
from modelgenerator.training import loop
from modelgenerator.training.checkpoint import Checkpoint
from modelgenerator.training.events import Event
from modelgenerator.training.latents import encode
from modelgenerator.training.loop import CHECKPOINT_SECONDS
from modelgenerator.training.plan import TrainingPlan
from modelgenerator.training.ranks import ALONE, Ranks

Result = TypeVar("Result")


def teach(
    plan: TrainingPlan,
    dataset: PreparedDataset,
    base: ModelFamily,
    folder: Path,
    *,
    cache: ContentCache,
    resume_from: Checkpoint | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    steps_behind: int | None = None,
    ranks: Ranks = ALONE,
) -> Generator[Event, None, None]:
    """Do all that `plan` says; see `encode` and `train` for events and errors."""
    encoded = yield from encode(plan, dataset.pictures, base, cache)
    ranks.tell_encoded()
    yield from loop.train(
        plan,
        encoded,
        base,
        folder,
        resume_from=resume_from,
        checkpoint_seconds=checkpoint_seconds,
        steps_behind=steps_behind,
        ranks=ranks,
    )


def follow(
    plan: TrainingPlan,
    dataset: PreparedDataset,
    base: ModelFamily,
    folder: Path,
    *,
    cache: ContentCache,
    resume_from: Checkpoint | None = None,
    steps_behind: int | None = None,
    ranks: Ranks,
) -> None:
    """Learn beside a process that does `teach`; see `loop.follow`."""
    ranks.wait_until_encoded()
    encoded = _end_of(encode(plan, dataset.pictures, base, cache))
    loop.follow(
        plan,
        encoded,
        base,
        folder,
        resume_from=resume_from,
        steps_behind=steps_behind,
        ranks=ranks,
    )


def _end_of(steps: Generator[object, None, Result]) -> Result:
    """What `steps` return; what they tell is told by another process."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value
