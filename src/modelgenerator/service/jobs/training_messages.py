"""What the library tells of a training, as messages of a job; what it wrote goes into the storage.

In: events, one after the other.  Out: messages.  Which of them ends the job is not known here.
"""

import time
from collections.abc import Callable, Iterator
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

LARGE = 16 << 20
"""Bytes that take most of a minute on the slowest way to a storage that will do."""
LONG = 20.0
"""Seconds after which storing is no moment between two steps."""


class Telling:
    """Of one attempt, which writes below `key`."""

    def __init__(
        self,
        plan: TrainingPlan,
        files: Files,
        key: str,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self.plan, self._files, self._key = plan, files, key
        self._timer = timer
        self._pace = Pace(plan.total_steps, timer)
        self._phase: Phase | None = None
        """Of those after the first step."""
        self._saving_since = self._seconds_to_save = 0.0

    def of(self, event: Event, used_ms: int) -> Iterator[Message]:
        """What is to be told of `event`."""
        match event:
            case StepFinished():
                self._phase = Phase.TRAINING
                yield from self._pace.step(event, used_ms)
            case PictureEncoded():
                progress = {"pictures": event.done, "totalPictures": event.total}
                yield Progressed(progress, used_ms)
            case Started():
                yield self._begun(Phase.TRAINING)
                self._pace.start(event.first_step)
            case Noticed():
                yield noticed(event.notice)
            case SampleReady():
                stored = self.put(event.file, f"samples/{event.file.name}")
                yield _told("sample", stored, epoch=event.epoch, prompt=event.prompt)
            case LoraSaved():
                yield from self.saving(event.file.stat().st_size)
                stored = self.put(event.file)
                yield from self.saved()
                yield _told("loraSaved", stored, epoch=event.epoch)
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

    def saving(self, byte_count: int) -> Iterator[Message]:
        """A file of that size is stored next: nobody is to wonder that no step comes.

        Where it is likely a moment, nothing is told.
        """
        may_take_long = byte_count >= LARGE or self._seconds_to_save > LONG
        if self._phase is Phase.TRAINING and may_take_long:
            yield self._begun(Phase.SAVING)
        self._saving_since = self._timer()

    def saved(self) -> Iterator[Message]:
        """It was stored, or could not be: the steps go on."""
        self._seconds_to_save = self._timer() - self._saving_since
        self._pace.leave_out(self._seconds_to_save)
        if self._phase is Phase.SAVING:
            yield self._begun(Phase.TRAINING)

    def _begun(self, phase: Phase) -> PhaseBegun:
        self._phase = phase
        return PhaseBegun(phase)

    def _of_epoch(self, event: EpochFinished | Validated) -> Iterator[Message]:
        if isinstance(event, Validated):
            yield Told("validated", {"epoch": event.epoch, "loss": event.loss})
            return
        yield from self.rest()
        yield Told("epoch", {"epoch": event.epoch, "meanLoss": event.mean_loss})
        every = self.plan.sample_every
        if every and event.epoch % every == 0:
            yield self._begun(Phase.SAMPLING)
            self._pace.pause(Phase.TRAINING)


def _told(name: str, stored: StoredFile, **about: object) -> Told:
    where = {
        "storageKey": stored.key,
        "sha256": stored.sha256,
        "byteCount": stored.byte_count,
    }
    return Told(name, about | where)
