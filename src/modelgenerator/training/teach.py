"""From prepared pictures to a LoRA file: encode, then train.

In: a plan, its pictures, a loaded base model, a folder.  Out: events.  The command line and the
service run a training through this one function.
"""

from collections.abc import Generator
from pathlib import Path

from modelgenerator.content_cache import ContentCache
from modelgenerator.datasets.prepare import PreparedDataset
from modelgenerator.diffusion.family import ModelFamily
from modelgenerator.training.checkpoint import Checkpoint
from modelgenerator.training.events import Event
from modelgenerator.training.latents import encode
from modelgenerator.training.loop import CHECKPOINT_SECONDS, train
from modelgenerator.training.plan import TrainingPlan


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
) -> Generator[Event, None, None]:
    """Do all that `plan` says; see `encode` and `train` for events and errors."""
    encoded = yield from encode(plan, dataset.pictures, base, cache)
    yield from train(
        plan,
        encoded,
        base,
        folder,
        resume_from=resume_from,
        checkpoint_seconds=checkpoint_seconds,
        steps_behind=steps_behind,
    )
