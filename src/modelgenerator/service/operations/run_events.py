"""One stream of a run: what it tells itself, and what the jobs of its steps tell, in one order.

In: a run, and the number of the event that was seen last.  Out: what comes after it.  Nothing is
copied: a step's job tells between the event that the step has begun and the event that it has
ended, and numbers say so: event number 3 of the run is 3,000,000,000, and event 7 of the job that
began with it is 3,000,000,007.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from modelgenerator.service.operations.callers import Caller
from modelgenerator.service.operations.readable_events import readable
from modelgenerator.service.operations.service import Service
from modelgenerator.service.records.flows import RunEvent, RunEventName, RunStatus
from modelgenerator.service.records.jobs import JobEvent
from modelgenerator.service.records.organizations import Role
from modelgenerator.service.records.trainings import JsonObject
from modelgenerator.service.store.files import Files
from modelgenerator.service.store.transaction import OrganizationStore

EVENTS_OF_A_JOB = 1_000_000_000
"""More than any job tells."""
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class ToldByRun:
    """One event of the stream."""

    number: int
    name: str
    data: JsonObject
    is_final: bool
    """The run has ended; only who resumes it makes more follow."""


def run_events_after(
    service: Service, caller: Caller, run_id: UUID, number: int
) -> list[ToldByRun]:
    """What comes after event `number` (0: from the beginning); a piece of it, where it is long.

    Raises:
        NotFound: there is no such run.
    """
    caller.require(Role.VIEWER)
    with service.database.reading() as transaction:
        store = transaction.of(caller.organization_id)
        last = store.flow_runs.get(run_id).event_count
        return list(_after(store, service.files, run_id, number, last))


def run_is_over(service: Service, caller: Caller, run_id: UUID) -> bool:
    """Whether it has ended, and everything is told, unless somebody resumes it."""
    caller.require(Role.VIEWER)
    with service.database.reading() as transaction:
        status = transaction.of(caller.organization_id).flow_runs.get(run_id).status
    return status not in (RunStatus.QUEUED, RunStatus.RUNNING)


def run_progress(service: Service, caller: Caller, run_id: UUID) -> tuple[str, JsonObject] | None:
    """The step that works, and how far its job is; none: no step works, or it has not said."""
    caller.require(Role.VIEWER)
    with service.database.reading() as transaction:
        store = transaction.of(caller.organization_id)
        for step in store.step_results.in_order(run_id):
            if step.status is RunStatus.RUNNING and step.job_id is not None:
                job = store.jobs.get(step.job_id)
                is_known = job.progress is not None and not job.status.is_final
                return (step.step_id, job.progress or {}) if is_known else None
    return None


def _after(
    store: OrganizationStore, files: Files, run_id: UUID, number: int, last: int
) -> Iterator[ToldByRun]:
    sequence, of_job = divmod(number, EVENTS_OF_A_JOB)
    for event in store.run_events.from_number(run_id, sequence, limit=_AT_ONCE):
        if event.sequence > sequence:
            yield _own(event, is_last=event.sequence == last)
            of_job = 0
        if event.job_id is None:
            continue
        told = store.jobs.events_after(event.job_id, of_job, limit=_AT_ONCE)
        yield from (_of_job(event, one, files) for one in told)
        # what the run tells next comes when the job has told everything
        job = store.jobs.get(event.job_id)
        if not job.status.is_final or of_job + len(told) < job.event_count:
            return


def _own(event: RunEvent, *, is_last: bool) -> ToldByRun:
    data = {**event.data, "at": event.created_at.isoformat()}
    if event.job_id is not None:
        data["jobId"] = str(event.job_id)
    is_end = is_last and event.name is RunEventName.FINISHED
    return ToldByRun(event.sequence * EVENTS_OF_A_JOB, event.name.value, data, is_end)


def _of_job(begun: RunEvent, event: JobEvent, files: Files) -> ToldByRun:
    data = {
        **readable(event, files),
        "stepId": begun.data["stepId"],
        "attempt": event.attempt,
        "at": event.created_at.isoformat(),
    }
    number = begun.sequence * EVENTS_OF_A_JOB + event.sequence
    return ToldByRun(number, f"job.{event.name}", data, is_final=False)
