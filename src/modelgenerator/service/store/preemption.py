"""Which training makes room for more urgent work.

In: how long work must have waited.  Out: a job that waits, and the id of a running training whose
place it could have, or none.  That a training saves a checkpoint and waits again is done by whoever
runs it.
"""

from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, FromClause, exists, func, or_, select

from modelgenerator.service.records.jobs import (
    WAITING_FOR_MACHINE,
    Job,
    JobKind,
    JobStatus,
)
from modelgenerator.service.records.priorities import highest_below
from modelgenerator.service.store.job_queue import LIMITED, running_jobs
from modelgenerator.service.store.job_tables import ATTEMPTS, JOBS

_JOB = JOBS.table.columns


def urgent(
    connection: Connection, now: datetime, since: datetime, *, most_of_one: int
) -> Iterator[Job]:
    """For each kind of place that a training could give up, the most urgent job that could have it
    and has waited since then; none of an organization that has as many running as it may."""
    memory = func.coalesce(_JOB.place_gpu_memory, 0)
    places = (
        select(_JOB.gpus, memory.label("memory"), func.min(_JOB.priority).label("lowest"))
        .where(*_could_stop(JOBS.table))
        .group_by(_JOB.gpus, memory)
        .order_by(memory, _JOB.gpus)
    )
    ended = ATTEMPTS.table.columns
    running = running_jobs()
    for gpus, place_memory, lowest in connection.execute(places).all():
        query = (
            select(JOBS.table)
            .outerjoin(running, running.columns.organization_id == _JOB.organization_id)
            .where(
                _JOB.status == JobStatus.QUEUED,
                _JOB.kind.in_(LIMITED),
                _JOB.priority > lowest,
                _JOB.gpus <= gpus,
                _JOB.gpu_memory <= place_memory,
                _JOB.created_at <= since,
                ~exists().where(ended.job_id == _JOB.id, ended.ended_at > since),
                or_(_JOB.not_before.is_(None), _JOB.not_before <= now),
                func.coalesce(running.columns.limited, 0) < most_of_one,
            )
            .order_by(_JOB.priority.desc(), _JOB.id)
            .limit(1)
        )
        row = connection.execute(query).first()
        if row is not None:
            yield JOBS.read(row)


def least_urgent(connection: Connection, waiting: Job) -> UUID | None:
    """Of the trainings of a lower priority in places that `waiting` could have, the least urgent;
    of those the one that began last, as it has the least to do again.

    None as long as another makes room for it already, or when it waits no more.  One that was
    taken and has no machine yet waits for places of one kind.
    """
    still = (_JOB.id == waiting.id, _JOB.status == waiting.status)
    if connection.execute(select(_JOB.id).where(*still).with_for_update()).first() is None:
        return None
    asked = select(_JOB.id).where(
        _JOB.status == JobStatus.RUNNING, _JOB.makes_room_for == waiting.id
    )
    if connection.execute(asked.limit(1)).first() is not None:
        return None
    memory = func.coalesce(_JOB.place_gpu_memory, 0)
    is_taken = waiting.status is JobStatus.RUNNING
    has_room = (
        memory == (waiting.place_gpu_memory or 0) if is_taken else memory >= waiting.gpu_memory
    )
    chosen = (
        select(_JOB.id)
        .where(
            *_could_stop(JOBS.table),
            _JOB.id != waiting.id,
            _JOB.priority <= highest_below(waiting.priority),
            _JOB.gpus >= waiting.gpus,
            has_room,
        )
        .order_by(_JOB.priority, _JOB.started_at.desc(), _JOB.id.desc())
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    return connection.execute(chosen).scalar_one_or_none()


def _could_stop(job: FromClause) -> tuple[ColumnElement[bool], ...]:
    """A training that has a machine, and that nobody has asked to stop."""
    it = job.columns
    return (
        it.status == JobStatus.RUNNING,
        it.kind == JobKind.TRAIN,
        it.makes_room_for.is_(None),
        it.cancel_requested_at.is_(None),
        func.coalesce(it.phase, "") != WAITING_FOR_MACHINE,
    )
