"""From what a running job says to what is kept of it.

In: messages of one attempt.  Out: rows: what came at once is one transaction, fenced by the lease,
and an end is kept together with all that follows from it.  How the job runs is not known here.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from itertools import islice

from modelgenerator.service.errors import LeaseLost, StorageFull, StoreBusy
from modelgenerator.service.jobs.executors.executor import RunningJob
from modelgenerator.service.jobs.faults import crashed
from modelgenerator.service.jobs.messages import (
    CheckpointStored,
    End,
    Failed,
    Message,
    Phase,
    PhaseBegun,
    PictureStored,
    Progressed,
    Stopped,
    Succeeded,
    Told,
)
from modelgenerator.service.jobs.watchdog import Watchdog
from modelgenerator.service.operations import outcomes
from modelgenerator.service.operations.service import Service
from modelgenerator.service.records.jobs import Job, JobError, JobStatus
from modelgenerator.service.records.trainings import JsonObject
from modelgenerator.service.store.job_changes import Told as Event
from modelgenerator.service.store.transaction import Transaction

PASSES_AFTER = (timedelta(seconds=10), timedelta(minutes=2), timedelta(minutes=10))
"""When what may pass by itself is tried again, by how often it was."""

NO_MACHINE_PAUSE = timedelta(seconds=15)
"""Before a job is taken again for which there was no machine, or an unfit one."""
MOST_AT_ONCE = 100
"""Messages in one transaction."""

_LOG = logging.getLogger(__name__)


class Why(StrEnum):
    """Why a job was asked to stop."""

    CANCELLED = "cancelled"
    FUNDS = "insufficientFunds"
    HANDED_BACK = "handedBack"
    MAKES_ROOM = "makesRoom"


def without_replaced(messages: Sequence[Message]) -> list[Message]:
    """All but the progress that a later one of them replaces: nobody would see it."""
    progress = [number for number, it in enumerate(messages) if isinstance(it, Progressed)]
    replaced = set(progress[:-1])
    return [it for number, it in enumerate(messages) if number not in replaced]


_HANDED_BACK: Mapping[Why | None, str] = {
    Why.HANDED_BACK: "the server stops",
    Why.MAKES_ROOM: "work of a higher priority needs its place",
    None: "there was no machine for it",
}
"""Why a job waits again that was asked to stop, or that nobody asked."""


@dataclass
class Following:
    """One attempt, as the dispatcher sees it."""

    service: Service
    job: Job
    """As it was claimed."""
    running: RunningJob
    timer: Callable[[], float] = time.monotonic
    watchdog: Watchdog = field(init=False)
    began: float = field(init=False)
    unsaid: deque[Message] = field(default_factory=deque[Message])
    """Came, and is not kept yet."""
    used_ms: int = 0
    asked: Why | None = None
    asked_at: float = 0.0
    lack: JobError | None = None
    """Of money, where that is why it was asked."""
    room_was_asked: bool = False
    """Once: a training was asked to make room for it, while it waits for a machine."""
    has_ended: bool = False
    """This attempt, in the ledger."""
    has_succeeded: bool = False

    def __post_init__(self) -> None:
        self.watchdog = Watchdog(self.timer)
        self.began = self.timer()
        self.used_ms = self.job.used_ms

    def listen(self) -> None:
        """Keep everything that came, and the end of the process where it came to one.

        Raises:
            LeaseLost: the job is another's now.
            StoreBusy: nothing is lost: listen again.
        """
        is_alive = self.running.is_alive  # before: what it said last is heard in any case
        for message in self.running.messages():
            self.watchdog.heard(message)
            self.unsaid.append(message)
        while self.unsaid and not self.has_ended:
            came = list(islice(self.unsaid, MOST_AT_ONCE))
            try:
                self._keep(*without_replaced(came))
            except (LeaseLost, StoreBusy, StorageFull):
                raise
            except Exception:
                self._keep_up_to_the_fault()
                raise
            for _ in came:
                self.unsaid.popleft()
        if not is_alive and not self.has_ended:
            self._died()

    def waits_for_machine(self, length: timedelta) -> bool:
        """Whether it was taken so long ago and has no machine yet."""
        is_waiting = self.asked is None and self.watchdog.phase == Phase.WAITING_FOR_MACHINE
        return is_waiting and self.timer() - self.began >= length.total_seconds()

    def ask_to_stop(self, why: Why) -> None:
        """Once; who asked first is told."""
        if self.asked is None:
            self.asked, self.asked_at = why, self.timer()
            self.running.ask_to_stop()

    def give_up(self, error: JobError, *, most_lost: int) -> None:
        """The attempt is lost for `error`."""
        self.running.kill()
        with self.service.database.transaction() as transaction:
            now = self.service.clock()
            job = transaction.jobs.lose(self.job.lease, error, now, most_lost=most_lost)
            self._follow_up(transaction, job, None)
        self.has_ended = True
        self._tell()

    def hand_back(self) -> None:
        """Put it into the queue as it is."""
        self.running.kill()
        self._keep(Stopped(self.used_ms))

    # --- messages

    def _keep(self, *messages: Message) -> None:
        """All or none of them."""
        with self.service.database.transaction() as transaction:
            for message in messages:
                self._keep_in(transaction, message)
        self.has_ended = isinstance(messages[-1], End)
        self.has_succeeded = isinstance(messages[-1], Succeeded)
        self._tell()

    def _keep_up_to_the_fault(self) -> None:
        """What came before a message that cannot be kept is kept all the same."""
        with suppress(Exception):
            while self.unsaid:
                self._keep(self.unsaid[0])
                self.unsaid.popleft()

    def _keep_in(self, transaction: Transaction, message: Message) -> None:
        jobs, lease, now = transaction.jobs, self.job.lease, self.service.clock()
        match message:
            case PhaseBegun():
                phase, machine = message.phase.value, self.running.machine
                told = [Event("phase", {"phase": phase})]
                jobs.record(lease, told, now, phase=phase, machine=machine)
            case Progressed():
                self._count(message.used_ms)
                progress = {**message.progress, "usedMs": self.used_ms}
                jobs.record(lease, [], now, progress=progress)
            case Told():
                jobs.record(lease, [Event(message.name, message.data)], now)
            case CheckpointStored():
                self._keep_checkpoint(transaction, message)
            case PictureStored():
                self._keep_picture(transaction, message)
            case Succeeded() | Failed() | Stopped():
                self._count(message.used_ms)
                self._end(transaction, message)

    def _keep_checkpoint(self, transaction: Transaction, stored: CheckpointStored) -> None:
        self._count(stored.used_ms)
        data = {
            "step": stored.step,
            "storageKey": stored.storage_key,
            "sha256": stored.sha256,
            "byteCount": stored.byte_count,
            "usedMs": self.used_ms,
        }
        transaction.jobs.save_checkpoint(
            self.job.lease, stored.storage_key, data, self.service.clock(), used_ms=self.used_ms
        )

    def _keep_picture(self, transaction: Transaction, stored: PictureStored) -> None:
        data = stored.picture.as_json()
        event = Event("picture", data)
        job = transaction.jobs.record(self.job.lease, [event], self.service.clock())
        outcomes.record_picture(self.service, transaction, job, stored.picture)

    def _count(self, told_ms: int) -> None:
        """The server's own clock bounds what is paid."""
        elapsed_ms = int((self.timer() - self.began) * 1000)
        self.used_ms = max(0, min(told_ms, self.job.used_ms + elapsed_ms))

    # --- ends

    def _end(self, transaction: Transaction, message: End) -> None:
        jobs, lease, now = transaction.jobs, self.job.lease, self.service.clock()
        result = message.result if isinstance(message, Succeeded) else None
        if isinstance(message, Failed) and message.trace:
            _LOG.error("Job %s failed by a mistake of ours:\n%s", self.job.id, message.trace)
        if isinstance(message, Succeeded):
            job = jobs.finish(lease, JobStatus.SUCCEEDED, now, used_ms=self.used_ms)
        elif isinstance(message, Failed) and message.may_pass:
            most, later = self.service.config.lost_attempts, now + self._pause()
            job = jobs.lose(lease, message.error, now, most_lost=most, not_before=later)
        elif isinstance(message, Failed):
            job = jobs.finish(
                lease, JobStatus.FAILED, now, error=message.error, used_ms=self.used_ms
            )
        else:
            job = self._end_as_asked(transaction)
        self._follow_up(transaction, job, result)

    def _pause(self) -> timedelta:
        """Longer each time that nothing was gained."""
        return PASSES_AFTER[min(self.job.lost_attempts, len(PASSES_AFTER) - 1)]

    def _end_as_asked(self, transaction: Transaction) -> Job:
        jobs, lease, now = transaction.jobs, self.job.lease, self.service.clock()
        if self.asked is Why.CANCELLED:
            return jobs.finish(lease, JobStatus.CANCELLED, now, used_ms=self.used_ms)
        if self.asked is Why.FUNDS:
            return jobs.finish(lease, JobStatus.FAILED, now, error=self.lack, used_ms=self.used_ms)
        later = now + NO_MACHINE_PAUSE if self.asked is None else None
        return jobs.hand_back(lease, now, reason=_HANDED_BACK[self.asked], not_before=later)

    def _follow_up(self, transaction: Transaction, job: Job, result: JsonObject | None) -> None:
        if job.status.is_final:
            outcomes.record_end(self.service, transaction, job, result)

    def _tell(self) -> None:
        self.service.news.tell(self.job.id)
        if self.has_ended:
            self.service.news.work_came()

    def _died(self) -> None:
        """The process is gone without a word about an end."""
        if self.asked is not None:  # and then killed, because it took too long
            self._keep(Stopped(self.used_ms))
        else:
            self.give_up(
                crashed(*self.running.how_it_died()), most_lost=self.service.config.lost_attempts
            )
