"""What the processes of a training and whoever started them say to each other: data for a pipe.

    it is told  Task -> (GO_ON | STOP) ...
    it says     Said ... -> Done | Trouble

The first process tells the next event when it is asked to go on, and not before, so that several
processes stop where one would; the others are told nothing after their task.
"""

from dataclasses import dataclass
from pathlib import Path

from modelgenerator.content_cache import ContentCache
from modelgenerator.datasets.prepare import PreparedDataset
from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.errors import ModelGeneratorError
from modelgenerator.training.events import Event
from modelgenerator.training.plan import TrainingPlan

GO_ON, STOP = "go on", "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """All that a process needs to take part."""

    rank: int
    """From 0; the first is the one that tells and writes."""
    plan: TrainingPlan
    dataset: PreparedDataset
    base: BaseModelFiles
    """Which is on this machine."""
    folder: Path
    cache: ContentCache
    resumes: bool
    """From the checkpoint in `folder`."""
    checkpoint_seconds: float
    steps_behind: int | None
    meeting: Path
    """A file through which the processes find each other."""


@dataclass(frozen=True, slots=True)
class Said:
    """The training went on."""

    event: Event


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing is left to do, or the stop was obeyed."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The training cannot go on, and the error says why."""

    error: ModelGeneratorError


@dataclass(frozen=True, slots=True)
class OutOfMemory:
    """What the allocator said."""

    words: str


@dataclass(frozen=True, slots=True)
class LostContact:
    """Another process does not answer: it may say more itself."""

    words: str


@dataclass(frozen=True, slots=True)
class Broke:
    """Something that should not be raised."""

    trace: str


Trouble = Refused | OutOfMemory | LostContact | Broke
Word = Said | Done | Trouble
