"""How fast a kind of machine was, measured on trainings that ended."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredRate:
    """Means of the trainings of one shape; the newer one counts more."""

    machine: str
    """Its kind: `cpu`, or the name of its GPU."""
    base_model: str
    """Family and edition, or the name of an embedded one: what computes alike."""
    manner: str
    """What changes the time of a step beside its size: number format, parts, checkpointing."""
    pixels: int
    """Of one picture."""
    batch_size: int
    step_us: int
    """Microseconds of one optimizer step, samples and checkpoints among them."""
    picture_us: int
    """Microseconds of getting one picture ready: looking, captioning, encoding."""
    trainings: int
    """How many were measured."""
    measured_at: datetime
