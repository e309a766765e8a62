"""Flows, their runs, and what each step of a run gave."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Self
from uuid import UUID

from modelgenerator.service.records.trainings import JsonObject


class RunStatus(StrEnum):
    """How far a run is, or one of its steps."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def in_words(self) -> str:
        """How it ended, after its name: `was cancelled`."""
        return f"was {self}" if self is RunStatus.CANCELLED else f"has {self}"


NEXT_RUN_STATUSES: Mapping[RunStatus, frozenset[RunStatus]] = {
    RunStatus.QUEUED: frozenset({RunStatus.RUNNING, RunStatus.FAILED, RunStatus.CANCELLED}),
    RunStatus.RUNNING: frozenset({RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED}),
    RunStatus.SUCCEEDED: frozenset(),
    # a failed run goes on from the step that failed
    RunStatus.FAILED: frozenset({RunStatus.RUNNING}),
    RunStatus.CANCELLED: frozenset(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    id: UUID
    organization_id: UUID
    slug: str
    """Its address at `/f/<slug>`, one of a kind in the whole service."""
    title: str
    is_public: bool
    version_id: UUID | None
    """The version that a run takes."""
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowVersion:
    """A flow as it was saved once; never changes."""

    id: UUID
    organization_id: UUID
    flow_id: UUID
    number: int
    definition: JsonObject
    source: str
    """The text that it was written in: its comments, and the order of a form's questions, which a
    database does not keep."""
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowRun:
    id: UUID
    organization_id: UUID
    """The flow's, which pays, whoever runs it."""
    flow_id: UUID
    version_id: UUID
    is_public: bool
    """Run through the public page."""
    input: JsonObject
    """As its steps see it: with the form's defaults."""
    dataset_ids: tuple[UUID, ...]
    """The datasets that were chosen or uploaded for it in its form."""
    status: RunStatus
    error: JsonObject | None
    created_at: datetime
    cancel_requested_at: datetime | None = None
    event_count: int = 0
    finished_at: datetime | None = None

    def moved_to(self, status: RunStatus, now: datetime) -> Self:
        """This run in its next status.

        Raises:
            ValueError: a run in this status may not move to `status`.
        """
        if status not in NEXT_RUN_STATUSES[self.status]:
            raise ValueError(f"A {self.status} run cannot become {status}.")
        return replace(self, status=status, finished_at=_end(status, now))


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """What one step was asked and what it gave, kept also when a later step fails."""

    id: UUID
    organization_id: UUID
    run_id: UUID
    step_id: str
    position: int
    type: str
    status: RunStatus
    parameters: JsonObject
    """Resolved: without Flow Language."""
    attempt: int
    """Counts how often it was begun: to resume a run begins its failed step again."""
    result: JsonObject | None
    error: JsonObject | None
    job_id: UUID | None
    """Absent while it is being begun, and for a step that is done at once."""
    created_at: datetime
    finished_at: datetime | None = None

    def moved_to(self, status: RunStatus, now: datetime) -> Self:
        """This step in its next status.

        Raises:
            ValueError: a step in this status may not move to `status`.
        """
        if status not in NEXT_RUN_STATUSES[self.status]:
            raise ValueError(f"A {self.status} step cannot become {status}.")
        return replace(self, status=status, finished_at=_end(status, now))


class RunEventName(StrEnum):
    """What a run tells itself; between `stepStarted` and `stepFinished` its step's job tells."""

    QUEUED = "queued"
    STEP_STARTED = "stepStarted"
    STEP_FINISHED = "stepFinished"
    RESUMED = "resumed"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEvent:
    """Something that happened in a run; never changes."""

    run_id: UUID
    organization_id: UUID
    sequence: int
    """From 1, without gaps."""
    name: RunEventName
    data: JsonObject
    job_id: UUID | None
    """Of a step that has begun: what this job tells comes after this event and before the next."""
    created_at: datetime


def _end(status: RunStatus, now: datetime) -> datetime | None:
    return None if status in (RunStatus.QUEUED, RunStatus.RUNNING) else now
