"""What the library tells of a training, as messages of a job; what it wrote goes into the storage.

In: events, one after the other.  Out: messages.  Which of them ends the job is not known here.
"""

from collections.abc import Iterator
from pathlib import Path

from modelgenerator.service.jobs.bodies import kept
from modelgenerator.service.jobs.messages import (
    Message,
    Phase,
    PhaseBegun,
    Progressed,
    Told,
    noticed,
)
from modelgenerator.service.jobs.pace import Pace
from modelgenerator.service.store.files import Files, StoredFile
from modelgenerator.training.events import (
    EpochFinished,
    Event,
    LoraSaved,
    Noticed,
    PictureEncoded,
    SampleReady,
    Started,
    StepFinished,
    Validated,
)
from modelgenerator.training.plan import TrainingPlan


class Telling:
    """Of one attempt, which writes below `key`."""

    def __init__(self, plan: TrainingPlan, files: Files, key: str) -> None:
        self.plan, self._files, self._key = plan, files, key
        self._pace = Pace(plan.total_steps)

    def of(self, event: Event, used_ms: int) -> Iterator[Message]:
        """What is to be told of `event`."""
        match event:
            case StepFinished():
                yield from self._pace.step(event, used_ms)
            case PictureEncoded():
                progress = {"pictures": event.done, "totalPictures": event.total}
                yield Progressed(progress, used_ms)
            case Started():
                yield PhaseBegun(Phase.TRAINING)
                self._pace.start(event.first_step)
            case Noticed():
                yield noticed(event.notice)
            case SampleReady() | LoraSaved():
                yield self._stored(event)
            case EpochFinished() | Validated():
                yield from self._of_epoch(event)
            case _:
                yield from self.rest()

    def rest(self) -> Iterator[Message]:
        """The steps that were not told yet."""
        yield from self._pace.rest()

    def put(self, file: Path, name: str | None = None) -> StoredFile:
        """Into the storage."""
        return kept(self._files, f"{self._key}/{name or file.name}", file)

    def _of_epoch(self, event: EpochFinished | Validated) -> Iterator[Message]:
        if isinstance(event, Validated):
            yield Told("validated", {"epoch": event.epoch, "loss": event.loss})
            return
        yield from self.rest()
        yield Told("epoch", {"epoch": event.epoch, "meanLoss": event.mean_loss})
        every = self.plan.sample_every
        if every and event.epoch % every == 0:
            yield PhaseBegun(Phase.SAMPLING)
            self._pace.pause(Phase.TRAINING)

    def _stored(self, event: SampleReady | LoraSaved) -> Told:
        about: dict[str, object] = {"epoch": event.epoch}
        if isinstance(event, SampleReady):
            about["prompt"] = event.prompt
            stored = self.put(event.file, f"samples/{event.file.name}")
        else:
            stored = self.put(event.file)
        about |= {
            "storageKey": stored.key,
            "sha256": stored.sha256,
            "byteCount": stored.byte_count,
        }
        return Told("sample" if isinstance(event, SampleReady) else "loraSaved", about)
