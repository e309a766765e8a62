"""Work that runs elsewhere: a job, its attempts, and what it told on its way."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Self
from uuid import UUID

from modelgenerator.service.config import PriceList
from modelgenerator.service.records.trainings import JsonObject


class JobKind(StrEnum):
    TRAIN = "train"
    GENERATE = "generate"
    ZIP = "zip"
    GENERATE_OBJECTS = "generateObjects"


WAITING_FOR_MACHINE = "waitingForMachine"
"""The phase of a job that was taken and has no machine yet."""


class JobStatus(StrEnum):
    QUEUED = "queued"  # waiting for a worker
    RUNNING = "running"  # a worker holds it and gives signs of life
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing can follow."""
        return not NEXT_STATUSES[self]

    @property
    def in_words(self) -> str:
        """How it ended, after its name: `was cancelled`."""
        return f"was {self}" if self is JobStatus.CANCELLED else f"has {self}"


NEXT_STATUSES: Mapping[JobStatus, frozenset[JobStatus]] = {
    JobStatus.QUEUED: frozenset({JobStatus.RUNNING, JobStatus.CANCELLED}),
    JobStatus.RUNNING: frozenset(
        {JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.QUEUED}
    ),  # back to QUEUED when its worker gives no sign of life or hands it back
    JobStatus.SUCCEEDED: frozenset(),
    JobStatus.FAILED: frozenset(),
    JobStatus.CANCELLED: frozenset(),
}


class Fault(StrEnum):
    """Whose fault a failure is: ours costs nothing, the person's costs the time that was used."""

    OURS = "ours"
    THEIRS = "theirs"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobError:
    code: str
    """The error's class in camelCase."""
    message: str
    fault: Fault
    hint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to work on a job and to write about it; `attempt` is the fencing number."""

    job_id: UUID
    attempt: int
    owner: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    id: UUID
    organization_id: UUID
    kind: JobKind
    target_id: UUID
    """The training, inference or step result that it works for."""
    spec: JsonObject
    """Everything that the job's body needs to know."""
    prices: PriceList
    """As they were when the job was accepted."""
    estimate: int
    """Microdollars, before it started."""
    created_at: datetime

    priority: int = 0
    """Higher goes first."""
    gpus: int = 0
    gpu_memory: int = 0
    """Bytes that the job needs on a GPU."""
    base_model: str | None = None
    """That it loads first, with its revision; absent: none, or nobody said."""
    lora_sha256: str | None = None
    """That it draws with first."""
    not_before: datetime | None = None
    passed_over_at: datetime | None = None
    """When a job that needed less loading first went before it."""

    status: JobStatus = JobStatus.QUEUED
    attempt: int = 0
    """Counts claims; every write of a worker carries it."""
    lost_attempts: int = 0
    """Attempts that ended without a word, in a row, since the last checkpoint."""
    lease_owner: str | None = None
    lease_until: datetime | None = None
    cancel_requested_at: datetime | None = None
    machine: str | None = None
    """Where its last attempt runs or ran, as far as it is known."""
    place_gpu_memory: int | None = None
    """Bytes of each GPU of the place that it has."""
    makes_room_for: UUID | None = None
    """A job that is more urgent: this one is to save a checkpoint and to wait."""
    phase: str | None = None
    progress: JsonObject | None = None
    checkpoint_key: str | None = None
    used_ms: int = 0
    """Milliseconds of paid work that are kept: up to the last checkpoint, or to the end."""
    event_count: int = 0
    error: JobError | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def lease(self) -> Lease:
        """The right under which it runs."""
        assert self.lease_owner is not None, "only a running job has a lease"
        return Lease(job_id=self.id, attempt=self.attempt, owner=self.lease_owner)

    def moved_to(self, status: JobStatus) -> Self:
        """This job in its next status.

        Raises:
            ValueError: a job in this status may not move to `status`.
        """
        if status not in NEXT_STATUSES[self.status]:
            raise ValueError(f"A {self.status} job cannot become {status}.")
        return replace(self, status=status)


class AttemptEnd(StrEnum):
    """How an attempt ended."""

    FINISHED = "finished"  # the job has its final status
    HANDED_BACK = "handedBack"  # the worker gave it back on purpose
    LOST = "lost"  # no sign of life


@dataclass(frozen=True, slots=True, kw_only=True)
class JobAttempt:
    """One claim of a job: by whom, and for how long."""

    job_id: UUID
    organization_id: UUID
    number: int
    owner: str
    started_at: datetime
    ended_at: datetime | None = None
    end: AttemptEnd | None = None


class EventName(StrEnum):
    """What the ledger itself tells of a job; a job's body adds names of its own."""

    QUEUED = "queued"
    STARTED = "started"
    CHECKPOINT_SAVED = "checkpointSaved"
    CANCEL_REQUESTED = "cancelRequested"
    PRIORITY_CHANGED = "priorityChanged"
    MAKES_ROOM = "makesRoom"
    ATTEMPT_LOST = "attemptLost"
    HANDED_BACK = "handedBack"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEvent:
    """Something that happened; never changes."""

    job_id: UUID
    organization_id: UUID
    sequence: int
    """From 1, without gaps: a reader that knows N asks for what comes after N."""
    attempt: int
    name: str
    data: JsonObject
    created_at: datetime
    is_final: bool = False
    """A job has exactly one such event, its last."""
