"""Which job runs next: one statement that takes it, so that it is taken once.

In: who asks, what he can run, and the time of the server.  Out: a job with a lease, or none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    Connection,
    ScalarSelect,
    Select,
    Update,
    bindparam,
    case,
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
NO_LIMIT = 2**31 - 1
LIMITED = (JobKind.TRAIN, JobKind.GENERATE)
"""What takes machines; the others are soon over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a worker can run."""

    owner: str
    kinds: Sequence[JobKind]
    gpus: int = 0
    gpu_memory: int = 0
    """Bytes on each of them."""
    most_of_one: int = NO_LIMIT
    """Of the kinds in `LIMITED`, jobs that one organization may have running at once."""


ANY_PLACE = Offer(owner="", kinds=LIMITED, gpus=NO_LIMIT, gpu_memory=2**62)
"""For a look at what waits, whatever it needs."""


def claim(connection: Connection, offer: Offer, now: datetime, lease: timedelta) -> Job | None:
    """The first job that `offer` can run, as running, with a lease and the next attempt number.

    First is: the highest priority; the organization that has the fewest jobs running; the oldest.
    """
    values = {**_values(offer, now), "asked_by": offer.owner, "held_until": now + lease}
    if offer.most_of_one == NO_LIMIT:
        job = _taken(connection, values)
    else:
        job = _taken_within_limit(connection, values, offer.most_of_one)
    if job is None:
        return None
    attempt = JobAttempt(
        job_id=job.id,
        organization_id=job.organization_id,
        number=job.attempt,
        owner=offer.owner,
        started_at=now,
    )
    connection.execute(insert(ATTEMPTS.table).values(ATTEMPTS.row(attempt)))
    return job


def first_waiting(connection: Connection, offer: Offer, now: datetime) -> Job | None:
    """The job that `offer` would be given; nobody takes it."""
    row = connection.execute(_LOOK, _values(offer, now)).first()
    return None if row is None else JOBS.read(row)


def _values(offer: Offer, now: datetime) -> dict[str, object]:
    return {
        "asked_at": now,
        "wanted_kinds": list(offer.kinds),
        "offered_gpus": offer.gpus,
        "offered_gpu_memory": offer.gpu_memory,
        "most_of_one": offer.most_of_one,
    }


def _taken(connection: Connection, values: Mapping[str, object]) -> Job | None:
    row = connection.execute(_TAKE, values).first()
    return None if row is None else JOBS.read(row)


def _taken_within_limit(
    connection: Connection, values: Mapping[str, object], most: int
) -> Job | None:
    """None where another server took one of the same organization at the same moment."""
    with connection.begin_nested() as taking:
        job = _taken(connection, values)
        if job is not None and job.kind in LIMITED and _running(connection, job) > most:
            taking.rollback()
            return None
    return job


def _running(connection: Connection, job: Job) -> int:
    """How many jobs of its organization run, on all servers together.

    Two transactions do not see what the other takes; on Postgres one waits here for the other.
    """
    if connection.dialect.name == "postgresql":
        key = job.organization_id.int % 2**63
        connection.execute(select(func.pg_advisory_xact_lock(key)))
    running = select(func.count()).where(
        _JOB.organization_id == job.organization_id,
        _JOB.status == JobStatus.RUNNING,
        _JOB.kind.in_(LIMITED),
    )
    return connection.execute(running).scalar_one()


def _taking() -> Update:
    now = bindparam("asked_at", type_=_JOB.started_at.type)
    return (
        update(JOBS.table)
        .where(_JOB.id == _first(is_taken=True))
        .values(
            status=JobStatus.RUNNING,
            attempt=_JOB.attempt + 1,
            lease_owner=bindparam("asked_by"),
            lease_until=bindparam("held_until", type_=_JOB.lease_until.type),
            started_at=func.coalesce(_JOB.started_at, now, type_=_JOB.started_at.type),
            place_gpu_memory=bindparam("offered_gpu_memory"),
            makes_room_for=None,
            machine=None,
            phase=None,
            progress=None,
        )
        .returning(JOBS.table)
    )


def _looking() -> Select[Any]:
    return select(JOBS.table).where(_JOB.id == _first(is_taken=False))


def _first(*, is_taken: bool) -> ScalarSelect[object]:
    """Of the jobs that come first in their organizations, the one that comes first of all.

    Only these are sorted: however many wait behind them, they are not looked at.
    """
    other = JOBS.table.alias("other").columns
    running = (
        select(
            other.organization_id,
            func.count().label("jobs"),
            func.sum(case((other.kind.in_(LIMITED), 1), else_=0)).label("limited"),
        )
        .where(other.status == JobStatus.RUNNING)
        .group_by(other.organization_id)
        .subquery("running")
    )
    heads = (
        select(_head(is_taken=is_taken).label("id")).select_from(ORGANIZATIONS.table).cte("heads")
    )
    job = JOBS.table.alias("head")
    same_organization = running.columns.organization_id == job.columns.organization_id
    return (
        select(job.columns.id)
        .select_from(
            heads.join(job, job.columns.id == heads.columns.id).outerjoin(
                running, same_organization
            )
        )
        .where(
            or_(
                job.columns.kind.not_in(LIMITED),
                func.coalesce(running.columns.limited, 0) < bindparam("most_of_one"),
            )
        )
        .order_by(
            job.columns.priority.desc(), func.coalesce(running.columns.jobs, 0), job.columns.id
        )
        .limit(1)
        .scalar_subquery()
    )


def _head(*, is_taken: bool) -> ScalarSelect[object]:
    """The job that comes first in an organization, unless another worker is just taking it."""
    job = JOBS.table.alias("waiting").columns
    first = (
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
    )
    if is_taken:
        first = first.with_for_update(skip_locked=True)
    return first.correlate(ORGANIZATIONS.table).scalar_subquery()


_TAKE, _LOOK = _taking(), _looking()
"""Made once: to make one takes four times as long as to carry it out."""
