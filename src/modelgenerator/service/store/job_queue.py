"""Which job runs next: one statement that takes it, so that it is taken once.

In: who asks, what he can run, and the time of the server.  Out: a job with a lease, or none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import (
    Connection,
    ScalarSelect,
    Update,
    bindparam,
    func,
    insert,
    or_,
    select,
    update,
)

from modelgenerator.service.records.jobs import Job, JobAttempt, JobKind, JobStatus
from modelgenerator.service.store.job_tables import ATTEMPTS, JOBS
from modelgenerator.service.store.organizations import ORGANIZATIONS

_JOB = JOBS.table.columns


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a worker can run."""

    owner: str
    kinds: Sequence[JobKind]
    gpus: int = 0
    gpu_memory: int = 0
    """Bytes on each of them."""


def claim(connection: Connection, offer: Offer, now: datetime, lease: timedelta) -> Job | None:
    """The first job that `offer` can run, as running, with a lease and the next attempt number.

    First is: the highest priority; the organization that has the fewest jobs running; the oldest.
    """
    values = {
        "asked_at": now,
        "asked_by": offer.owner,
        "held_until": now + lease,
        "wanted_kinds": list(offer.kinds),
        "offered_gpus": offer.gpus,
        "offered_gpu_memory": offer.gpu_memory,
    }
    row = connection.execute(_TAKE, values).first()
    if row is None:
        return None
    job = JOBS.read(row)
    attempt = JobAttempt(
        job_id=job.id,
        organization_id=job.organization_id,
        number=job.attempt,
        owner=offer.owner,
        started_at=now,
    )
    connection.execute(insert(ATTEMPTS.table).values(ATTEMPTS.row(attempt)))
    return job


def _taking() -> Update:
    now = bindparam("asked_at", type_=_JOB.started_at.type)
    return (
        update(JOBS.table)
        .where(_JOB.id == _first())
        .values(
            status=JobStatus.RUNNING,
            attempt=_JOB.attempt + 1,
            lease_owner=bindparam("asked_by"),
            lease_until=bindparam("held_until", type_=_JOB.lease_until.type),
            started_at=func.coalesce(_JOB.started_at, now, type_=_JOB.started_at.type),
            machine=None,
            phase=None,
            progress=None,
        )
        .returning(JOBS.table)
    )


def _first() -> ScalarSelect[object]:
    """Of the jobs that come first in their organizations, the one that comes first of all.

    Only these are sorted: however many wait behind them, they are not looked at.
    """
    other = JOBS.table.alias("other").columns
    running = (
        select(other.organization_id, func.count().label("jobs"))
        .where(other.status == JobStatus.RUNNING)
        .group_by(other.organization_id)
        .subquery("running")
    )
    heads = select(_head().label("id")).select_from(ORGANIZATIONS.table).cte("heads")
    job = JOBS.table.alias("head")
    same_organization = running.columns.organization_id == job.columns.organization_id
    return (
        select(job.columns.id)
        .select_from(
            heads.join(job, job.columns.id == heads.columns.id).outerjoin(
                running, same_organization
            )
        )
        .order_by(
            job.columns.priority.desc(), func.coalesce(running.columns.jobs, 0), job.columns.id
        )
        .limit(1)
        .scalar_subquery()
    )


def _head() -> ScalarSelect[object]:
    """The job that comes first in an organization, unless another worker is just taking it."""
    job = JOBS.table.alias("waiting").columns
    return (
        select(job.id)
        .where(
            job.organization_id == ORGANIZATIONS.table.columns.id,
            job.status == JobStatus.QUEUED,
            or_(job.not_before.is_(None), job.not_before <= bindparam("asked_at")),
            job.kind.in_(bindparam("wanted_kinds", expanding=True)),
            job.gpus <= bindparam("offered_gpus"),
            job.gpu_memory <= bindparam("offered_gpu_memory"),
        )
        .order_by(job.priority.desc(), job.id)
        .limit(1)
        .with_for_update(skip_locked=True)
        .correlate(ORGANIZATIONS.table)
        .scalar_subquery()
    )


_TAKE = _taking()
"""Made once: to make it takes four times as long as to carry it out."""
