"""Runs of flows over HTTP: read, watched, cancelled, gone on with."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends
from fastapi.sse import EventSourceResponse, ServerSentEvent

from modelgenerator.service.api.asking import CallerHere, ServiceHere
from modelgenerator.service.api.event_streams import (
    LastEventId,
    Progress,
    Read,
    Told,
    stream,
)
from modelgenerator.service.api.problems import problems
from modelgenerator.service.api.shapes import PageOf, PagingHere, Shape
from modelgenerator.service.operations import run_cancelling, runs
from modelgenerator.service.operations.callers import Caller
from modelgenerator.service.operations.run_events import (
    run_events_after,
    run_is_over,
    run_progress,
)
from modelgenerator.service.operations.runs import SeenRun, SeenStep
from modelgenerator.service.operations.service import Service
from modelgenerator.service.records.flows import FlowRun, RunStatus
from modelgenerator.service.records.trainings import JsonObject

router = APIRouter(prefix="/v1/runs", tags=["runs"])


class RunSummary(Shape):
    """A run in a list."""

    id: UUID
    flow_id: UUID
    public: bool
    """Started through the flow's public page."""
    status: RunStatus
    error: dict[str, Any] | None
    created_at: datetime
    finished_at: datetime | None


class StepShape(Shape):
    """A step of a run that has begun."""

    id: str
    type: str
    number: int
    """From 1."""
    status: RunStatus
    attempt: int
    """How often it was begun."""
    parameters: dict[str, Any]
    """What it was told: without Flow Language."""
    result: Any
    error: dict[str, Any] | None
    job_id: UUID | None
    phase: str | None
    progress: dict[str, Any] | None
    created_at: datetime
    finished_at: datetime | None


class RunShape(RunSummary):
    """A run with everything that its steps left so far."""

    flow_version: int
    input: dict[str, Any]
    steps: tuple[StepShape, ...]
    """Those that have begun, in order."""
    results: dict[str, Any]
    """What each step left, by its id, also when a later one failed; links are good for an hour."""
    ui: dict[str, Any]
    """How the flow wants its results shown."""
    cost: int
    """Microdollars so far: the run and its steps."""


@router.get("", responses=problems())
def list_runs(
    service: ServiceHere, caller: CallerHere, paging: PagingHere, status: RunStatus | None = None
) -> PageOf[RunSummary]:
    """List the runs of all flows, the newest first."""
    page = runs.list_runs(service, caller, paging.cursor, paging.limit, status=status)
    return PageOf[RunSummary].of(page, run_summary)


@router.get("/{run_id}", responses=problems(404))
def read_run(service: ServiceHere, caller: CallerHere, run_id: UUID) -> RunShape:
    """Read a run with the results so far."""
    return run_shape(runs.read_run(service, caller, run_id))


def _known_run(service: ServiceHere, caller: CallerHere, run_id: UUID) -> UUID:
    return runs.read_run(service, caller, run_id).run.id


@router.get("/{run_id}/events", response_class=EventSourceResponse, responses=problems(404))
async def watch_run(
    service: ServiceHere,
    caller: CallerHere,
    run_id: Annotated[UUID, Depends(_known_run)],
    after: LastEventId,
) -> AsyncIterator[ServerSentEvent]:
    """Watch a run: its own events, and in between those of its steps' jobs as `job.…`."""
    async for event in stream(service, run_id, events_of_run(service, caller, run_id), after):
        yield event


@router.post("/{run_id}/cancel", status_code=202, responses=problems(404, 409))
def cancel_run(service: ServiceHere, caller: CallerHere, run_id: UUID) -> RunShape:
    """End a run; the step that it is at is ended too, and what was used is paid."""
    run_cancelling.cancel_run(service, caller, run_id)
    return run_shape(runs.read_run(service, caller, run_id))


@router.post("/{run_id}/resume", status_code=202, responses=problems(404, 409))
def resume_run(service: ServiceHere, caller: CallerHere, run_id: UUID) -> RunShape:
    """Go on with a failed run at the step that failed; nothing before it is paid again."""
    runs.resume_run(service, caller, run_id)
    return run_shape(runs.read_run(service, caller, run_id))


def run_summary(run: FlowRun) -> RunSummary:
    """A run in a list."""
    return RunSummary(
        id=run.id,
        flow_id=run.flow_id,
        public=run.is_public,
        status=run.status,
        error=_plain(run.error),
        created_at=run.created_at,
        finished_at=run.finished_at,
    )


def run_shape(seen: SeenRun) -> RunShape:
    """A run with its steps."""
    return RunShape(
        **dict(run_summary(seen.run)),
        flow_version=seen.version.number,
        input=dict(seen.run.input),
        steps=tuple(map(_step, seen.steps)),
        results={each.step.step_id: each.result for each in seen.steps if each.result is not None},
        ui=_plain(seen.ui) or {},
        cost=seen.cost,
    )


def _step(seen: SeenStep) -> StepShape:
    step, job = seen.step, seen.job
    return StepShape(
        id=step.step_id,
        type=step.type,
        number=step.position,
        status=step.status,
        attempt=step.attempt,
        parameters=dict(step.parameters),
        result=seen.result,
        error=_plain(step.error),
        job_id=step.job_id,
        phase=job and job.phase,
        progress=_plain(job and job.progress),
        created_at=step.created_at,
        finished_at=step.finished_at,
    )


def events_of_run(service: Service, caller: Caller, run_id: UUID) -> Read:
    """How to read what a run tells."""
    progress = Progress()

    def read(after: int) -> Sequence[Told] | None:
        is_over = run_is_over(service, caller, run_id)  # before: its last event is there then
        events = run_events_after(service, caller, run_id, after)
        told = [Told(one.number, one.name, one.data, one.is_final) for one in events]
        if is_over:
            return told or None
        working = None if told else run_progress(service, caller, run_id)
        if working is None:
            return told
        step_id, now = working
        return progress.news(now, {"stepId": step_id})

    return read


def _plain(value: JsonObject | None) -> dict[str, Any] | None:
    return None if value is None else dict(value)
