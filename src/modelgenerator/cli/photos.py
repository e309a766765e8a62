"""From where the photos are to a prepared dataset, with the person watching.

Comes in: a folder or an archive, the settings, and what was said of the photos beside them.  Goes
out: a `PreparedDataset`.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar

from modelgenerator.cli.progress import Reporter
from modelgenerator.datasets.prepare import PreparedDataset
from modelgenerator.datasets.subject import Subject, SubjectKind
from modelgenerator.settings import TrainingSettings

Event = TypeVar("Event")
Result = TypeVar("Result")
NOBODY_SAID = Subject()


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoOptions:
    """What is said of photos on the command line, beside the settings."""

    segmenter: str = "auto"
    captioner: str = "auto"
    subject: Subject = NOBODY_SAID

    def as_json(self) -> dict[str, str]:
        """For the record of a training; `from_json` reads it."""
        return {
            "segmenter": self.segmenter,
            "captioner": self.captioner,
            "kind": self.subject.kind or "",
            "className": self.subject.class_name,
        }

    def changes(self, kept: Self) -> list[str]:
        """The options that were given now and are not what they were in `kept`."""
        now, then, unsaid = self.as_json(), kept.as_json(), type(self)().as_json()
        return [name for name in now if now[name] not in (unsaid[name], then[name])]

    @classmethod
    def from_json(cls, kept: Mapping[str, str]) -> Self:
        """What `as_json` kept; what is missing is as if nobody had said it."""
        kind = kept.get("kind")
        return cls(
            segmenter=kept.get("segmenter", "auto"),
            captioner=kept.get("captioner", "auto"),
            subject=Subject(SubjectKind(kind) if kind else None, kept.get("className", "")),
        )


def prepared(
    photos: Path,
    settings: TrainingSettings,
    options: PhotoOptions,
    report: Reporter,
) -> PreparedDataset:
    """Every usable photo with its caption, cut and masked as `settings` say."""
    ...


def watched(steps: Generator[Event, None, Result], see: Callable[[Event], None]) -> Result:
    """What `steps` return at their end; every event is seen on the way."""
    while True:
        try:
            see(next(steps))
        except StopIteration as end:
            return end.value
