"""What is written of a job: its row, its attempts, and what it told.

In: a job's id, or the lease of a worker, who writes only while he holds the job.  Out: the job as
it is afterwards.  What may follow what is not known here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, and_, insert, update

from modelgenerator.service.errors import LeaseLost
from modelgenerator.service.records.jobs import (
    AttemptEnd,
    EventName,
    Job,
    JobError,
    JobEvent,
    JobStatus,
    Lease,
)
from modelgenerator.service.records.trainings import JsonObject
from modelgenerator.service.store.job_tables import ATTEMPTS, EVENTS, JOBS

NO_LEASE: Mapping[str, Any] = {
    "lease_owner": None,
    "lease_until": None,
    "place_gpu_memory": None,
    "makes_room_for": None,
}
_JOB = JOBS.table.columns


@dataclass(frozen=True, slots=True)
class Told:
    """Something that a job's body, or the ledger itself, tells; it becomes an event."""

    name: str
    data: JsonObject


def held_by(lease: Lease) -> ColumnElement[bool]:
    """The fence: the job still runs, and in this attempt."""
    return and_(
        _JOB.id == lease.job_id,
        _JOB.status == JobStatus.RUNNING,
        _JOB.attempt == lease.attempt,
        _JOB.lease_owner == lease.owner,
    )


def change(connection: Connection, whose: UUID | Lease, **changes: Any) -> Job:
    """Of which nobody is told.

    Raises:
        LeaseLost: another attempt has begun, or the job has ended.
    """
    this = held_by(whose) if isinstance(whose, Lease) else _JOB.id == whose
    changed = update(JOBS.table).where(this).values(changes).returning(JOBS.table)
    row = connection.execute(changed).first()
    if row is None:
        raise LeaseLost
    return JOBS.read(row)


def tell(
    connection: Connection,
    whose: UUID | Lease,
    told: Sequence[Told],
    now: datetime,
    *,
    is_final: bool = False,
    **changes: Any,
) -> Job:
    """Append events, and change the job with them.

    Counting in the job's own row leaves no gap and no number twice.

    Raises:
        LeaseLost: another attempt has begun, or the job has ended.
    """
    job = change(connection, whose, event_count=_JOB.event_count + len(told), **changes)
    first = job.event_count - len(told) + 1
    events = [
        JobEvent(
            job_id=job.id,
            organization_id=job.organization_id,
            sequence=sequence,
            attempt=job.attempt,
            name=str(one.name),
            data=one.data,
            created_at=now,
            is_final=is_final,
        )
        for sequence, one in enumerate(told, start=first)
    ]
    connection.execute(insert(EVENTS.table), [EVENTS.row(event) for event in events])
    return job


def end(
    connection: Connection,
    job: Job,
    status: JobStatus,
    error: JobError | None,
    now: datetime,
    attempt_end: AttemptEnd = AttemptEnd.FINISHED,
    **changes: Any,
) -> Job:
    """The one way in which a job ends; `job` is locked."""
    job.moved_to(status)
    if job.status is JobStatus.RUNNING:
        close_attempt(connection, job, attempt_end, now)
    data: dict[str, object] = {"status": status.value}
    if error is not None:
        data |= {"code": error.code, "message": error.message, "hint": error.hint}
    return tell(
        connection,
        job.id,
        [Told(EventName.FINISHED, data)],
        now,
        is_final=True,
        status=status,
        error=error,
        finished_at=now,
        **{**NO_LEASE, **changes},
    )


def close_attempt(connection: Connection, job: Job, end: AttemptEnd, now: datetime) -> None:
    """The one that the job is in."""
    columns = ATTEMPTS.table.columns
    this = (columns.job_id == job.id, columns.number == job.attempt)
    connection.execute(update(ATTEMPTS.table).where(*this).values(ended_at=now, end=end))
