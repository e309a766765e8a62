"""What a training says about itself, in the order it says it.

    PictureEncoded ... -> Started -> (StepFinished | EpochFinished | Validated | SampleReady
    | LoraSaved | CheckpointSaved) ... -> Finished

`Noticed` may come anywhere between.

Events are data: the command line prints them, a service stores them, a test counts them.  The loop
calls nobody back.
"""

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path

from modelgenerator.notices import Notice


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureEncoded:
    """One more picture is ready to be learnt from."""

    name: str
    done: int
    total: int
    from_cache: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The first step comes next."""

    first_step: int
    """1, or the step after the checkpoint's."""
    total_steps: int
    trainable_parameters: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFinished:
    """The LoRA changed."""

    step: int
    """Counts from 1."""
    epoch: int
    """Counts from 1."""
    loss: float
    """Mean over the samples of the step, before it."""
    learning_rate: float
    """What the schedule gave; the optimizer multiplies it by `d`."""
    d: float
    """The optimizer's own estimate of the step size; 1 for those that make none."""
    gradient_norm: float
    """Before clipping; not finite in a step that half precision had to skip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochFinished:
    """Every picture was seen once more."""

    epoch: int
    mean_loss: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Validated:
    """The loss on the pictures that are kept out, with the LoRA as it is now."""

    epoch: int
    loss: float
    """Always with the same noise and noise levels, so that two epochs can be compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleReady:
    """A picture drawn with the LoRA as it is now."""

    epoch: int
    prompt: str
    file: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraSaved:
    """The LoRA as it was after this epoch."""

    epoch: int
    file: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointSaved:
    """A training that stops now can go on from this step."""

    step: int
    file: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Noticed:
    """Something that only the training itself could find out."""

    notice: Notice


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The LoRA is complete."""

    lora_file: Path
    steps: int


Event = (
    PictureEncoded
    | Started
    | StepFinished
    | EpochFinished
    | Validated
    | SampleReady
    | LoraSaved
    | CheckpointSaved
    | Noticed
    | Finished
)


def as_json(event: Event) -> dict[str, object]:
    """The event as JSON values: its name as `event`, its fields in camelCase.

    What is not finite is null: JSON has no word for it.
    """
    fields = {field.name: getattr(event, field.name) for field in dataclasses.fields(event)}
    named = {
        "".join(part if n == 0 else part.title() for n, part in enumerate(name.split("_"))): value
        for name, value in fields.items()
    }
    name = type(event).__name__
    return {"event": name[0].lower() + name[1:]} | {k: _plain(v) for k, v in named.items()}


def _plain(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Notice):
        return dataclasses.asdict(value)
    return str(value) if isinstance(value, Path) else value
