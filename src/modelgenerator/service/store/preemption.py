"""Which training makes room for more urgent work.

In: a job that waits.  Out: the id of a running one whose place it could have, or none.  That a
training saves a checkpoint and waits again is done by whoever runs it.
"""

from uuid import UUID

from sqlalchemy import Connection, func, select

from modelgenerator.service.records.jobs import WAITING_FOR_MACHINE, Job, JobKind, JobStatus
from modelgenerator.service.records.priorities import highest_below
from modelgenerator.service.store.job_tables import JOBS

_JOB = JOBS.table.columns


def least_urgent(connection: Connection, waiting: Job) -> UUID | None:
    """Of the trainings of a lower priority in places that `waiting` could have, the least urgent;
    of those the one that began last, as it has the least to do again.

    None as long as another makes room for it already.
    """
    running = _JOB.status == JobStatus.RUNNING
    asked = select(_JOB.id).where(running, _JOB.makes_room_for == waiting.id).limit(1)
    if connection.execute(asked).first() is not None:
        return None
    chosen = (
        select(_JOB.id)
        .where(
            running,
            _JOB.kind == JobKind.TRAIN,
            _JOB.id != waiting.id,
            _JOB.priority <= highest_below(waiting.priority),
            _JOB.makes_room_for.is_(None),
            _JOB.cancel_requested_at.is_(None),
            func.coalesce(_JOB.phase, "") != WAITING_FOR_MACHINE,
            _JOB.gpus >= waiting.gpus,
            func.coalesce(_JOB.place_gpu_memory, 0) >= waiting.gpu_memory,
        )
        .order_by(_JOB.priority, _JOB.started_at.desc(), _JOB.id.desc())
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    return connection.execute(chosen).scalar_one_or_none()
