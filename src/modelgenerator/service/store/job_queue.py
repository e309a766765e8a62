"""Which job runs next: one statement that takes it, so that it is taken once.

In: who asks, what he can run and has loaded, and the time of the server.  Out: a job with a lease,
or none.

Where nothing is loaded, the first job is taken.  Where something is, a job of the same priority
that needs no loading may go before it, or it may be left to a worker that has loaded what it needs,
both for a short time only: a worker that loads base models half of its time helps nobody.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Connection,
    FromClause,
    Select,
    Subquery,
    Update,
    and_,
    bindparam,
    case,
    func,
    insert,
    or_,
    select,
    union_all,
    update,
)

from modelgenerator.service.records.holds import NOTHING, Holds
from modelgenerator.service.records.jobs import Job, JobAttempt, JobKind, JobStatus
from modelgenerator.service.store.job_tables import ATTEMPTS, JOBS
from modelgenerator.service.store.organizations import ORGANIZATIONS

LOADINGS_PASSED_OVER = 10
"""So many times as long as loading takes, others may go before a job that must be loaded for: in a
queue that never ends, loading takes about a tenth of a worker's time."""
LONGEST_PATIENCE = timedelta(seconds=60)
"""With which a job waits for a worker that has loaded what it needs, however long loading takes."""
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
    gpu_memory_above: int = -1
    """Only jobs that need more."""
    most_of_one: int = NO_LIMIT
    """Of the kinds in `LIMITED`, jobs that one organization may have running at once."""
    holds: Holds = NOTHING
    """What the worker has loaded."""
    nearby: Holds = NOTHING
    """The base models of workers beside it that run all that it can run, and the LoRAs of those
    among them that are free now."""

    @property
    def patience(self) -> timedelta:
        """How long a young job is left to a worker nearby: at worst it waits twice as long as if
        it had been loaded for at once."""
        seconds = max(self.holds.loading_seconds, self.nearby.loading_seconds)
        return min(timedelta(seconds=seconds), LONGEST_PATIENCE)

    @property
    def patience_in_line(self) -> timedelta:
        """How long others go before a job that is first."""
        return min(LOADINGS_PASSED_OVER * self.patience, LONGEST_PATIENCE)


def claim(connection: Connection, offer: Offer, now: datetime, lease: timedelta) -> Job | None:
    """The first job that `offer` can run, as running, with a lease and the next attempt number.

    First is: the highest priority; the organization that has the fewest jobs running; the oldest.
    Of the same priority one may go before it that needs less loading.
    """
    if offer.most_of_one == NO_LIMIT:
        job = _taken(connection, offer, now, lease)
    else:
        job = _taken_within_limit(connection, offer, now, lease)
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


def _values(offer: Offer, now: datetime) -> dict[str, object]:
    return {
        "asked_at": now,
        "wanted_kinds": list(offer.kinds),
        "offered_gpus": offer.gpus,
        "offered_gpu_memory": offer.gpu_memory,
        "gpu_memory_above": offer.gpu_memory_above,
        "most_of_one": offer.most_of_one,
    }


def _taken(connection: Connection, offer: Offer, now: datetime, lease: timedelta) -> Job | None:
    given = {"asked_at": now, "asked_by": offer.owner, "held_until": now + lease}
    if offer.holds == offer.nearby == NOTHING:
        row = connection.execute(_TAKE_FIRST, {**_values(offer, now), **given}).first()
    else:
        place = {"chosen": _chosen(connection, offer, now), "offered_gpu_memory": offer.gpu_memory}
        row = connection.execute(_TAKE_CHOSEN, {**given, **place}).first()
    return None if row is None else JOBS.read(row)


def _chosen(connection: Connection, offer: Offer, now: datetime) -> UUID | None:
    """The job that goes now, locked; the first one remembers when it was passed over."""
    values = _values(offer, now)
    first = connection.execute(_FIRST, values).first()
    if first is None:
        return None
    since: datetime | None = first.passed_over_at
    is_overdue = since is not None and since <= now - offer.patience_in_line
    if is_overdue or offer.holds.has(first.base_model, first.lora_sha256):
        return first.id
    warm = {
        "same_priority": first.priority,
        "held_base_models": list(offer.holds.base_models),
        "held_loras": list(offer.holds.loras),
        "left_base_models": list(offer.nearby.base_models - offer.holds.base_models),
        "left_loras": list(offer.nearby.loras - offer.holds.loras),
        "nearby_base_models": list(offer.nearby.base_models),
        "left_since": now - offer.patience,
    }
    chosen = connection.execute(_WARMEST, {**values, **warm}).scalar()
    if chosen not in (None, first.id) and since is None:
        connection.execute(_PASS_OVER, {"first": first.id, "asked_at": now})
    return chosen


def _taken_within_limit(
    connection: Connection, offer: Offer, now: datetime, lease: timedelta
) -> Job | None:
    """None where another server took one of the same organization at the same moment."""
    with connection.begin_nested() as taking:
        job = _taken(connection, offer, now, lease)
        if (
            job is not None
            and job.kind in LIMITED
            and _running(connection, job) > offer.most_of_one
        ):
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


def _taking(id: ColumnElement[Any]) -> Update:
    now = bindparam("asked_at", type_=_JOB.started_at.type)
    return (
        update(JOBS.table)
        .where(_JOB.id == id)
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


def running_jobs() -> Subquery:
    """Of each organization that has some: `jobs`, and `limited` of them."""
    other = JOBS.table.alias("other").columns
    return (
        select(
            other.organization_id,
            func.count().label("jobs"),
            func.sum(case((other.kind.in_(LIMITED), 1), else_=0)).label("limited"),
        )
        .where(other.status == JobStatus.RUNNING)
        .group_by(other.organization_id)
        .subquery("running")
    )


_WAITING = JOBS.table.alias("waiting")
_HEAD = JOBS.table.alias("head")


def _heads(*conditions: ColumnElement[bool]) -> Select[Any]:
    """The job that comes first in each organization of those that fulfil `conditions`, unless
    another worker is just taking it."""
    job = _WAITING.columns
    head = (
        select(job.id)
        .where(
            job.organization_id == ORGANIZATIONS.table.columns.id,
            job.status == JobStatus.QUEUED,
            or_(job.not_before.is_(None), job.not_before <= bindparam("asked_at")),
            job.kind.in_(bindparam("wanted_kinds", expanding=True)),
            job.gpus <= bindparam("offered_gpus"),
            job.gpu_memory <= bindparam("offered_gpu_memory"),
            job.gpu_memory > bindparam("gpu_memory_above"),
            *conditions,
        )
        .order_by(job.priority.desc(), job.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    id = head.correlate(ORGANIZATIONS.table).scalar_subquery()
    return select(id.label("id")).select_from(ORGANIZATIONS.table)


def _first(
    heads: Select[Any] | CompoundSelect[Any],
    *columns: ColumnElement[Any],
    before_turn: Sequence[ColumnElement[Any]] = (),
    after_turn: Sequence[ColumnElement[Any]] = (),
) -> Select[Any]:
    """Of the jobs that come first in their organizations, the one that comes first of all.

    Only these are sorted: however many wait behind them, they are not looked at.
    """
    running = running_jobs()
    job, found = _HEAD.columns, heads.cte("heads")
    turn = func.coalesce(running.columns.jobs, 0)
    return (
        select(*columns)
        .select_from(
            found.join(_HEAD, job.id == found.columns.id).outerjoin(
                running, running.columns.organization_id == job.organization_id
            )
        )
        .where(
            or_(
                job.kind.not_in(LIMITED),
                func.coalesce(running.columns.limited, 0) < bindparam("most_of_one"),
            )
        )
        .order_by(job.priority.desc(), *before_turn, turn, *after_turn, job.id)
        .limit(1)
    )


def _warmest() -> Select[Any]:
    """One whose base model is held; else the first that is not left to a worker nearby.

    A LoRA is small: which one is held is looked at after whose turn it is.
    """
    not_before_it = _WAITING.columns.priority <= bindparam("same_priority")
    may_go = (not_before_it, _is_left_to_nobody(_WAITING))
    has_base, has_lora = _has_base(_WAITING), _has_lora(_WAITING)
    heads = (_heads(*may_go, *has) for has in ((has_base, has_lora), (has_base,), ()))
    return _first(
        union_all(*heads),
        _HEAD.columns.id,
        before_turn=[case((_has_base(_HEAD), 0), else_=1)],
        after_turn=[case((and_(_has_base(_HEAD), _has_lora(_HEAD)), 0), else_=1)],
    )


def _has_base(job: FromClause) -> ColumnElement[bool]:
    return job.columns.base_model.in_(bindparam("held_base_models", expanding=True))


def _has_lora(job: FromClause) -> ColumnElement[bool]:
    lora = job.columns.lora_sha256
    return or_(lora.is_(None), lora.in_(bindparam("held_loras", expanding=True)))


def _is_left_to_nobody(job: FromClause) -> ColumnElement[bool]:
    """It waits for a while already, or nobody nearby has what it needs."""
    created_at = job.columns.created_at
    is_old = created_at <= bindparam("left_since", type_=created_at.type)
    base_model, lora = job.columns.base_model, job.columns.lora_sha256
    nobody_has_base = base_model.not_in(bindparam("left_base_models", expanding=True))
    nobody_has_lora = lora.not_in(bindparam("left_loras", expanding=True))
    # who has the LoRA alone leaves it to who has the base model
    base_is_far = base_model.not_in(bindparam("nearby_base_models", expanding=True))
    return or_(
        is_old,
        and_(
            or_(base_model.is_(None), nobody_has_base),
            or_(lora.is_(None), nobody_has_lora, base_is_far),
        ),
    )


# statements are made once: to make one takes four times as long as to carry it out
_TAKE_FIRST = _taking(_first(_heads(), _HEAD.columns.id).scalar_subquery())
_FIRST = _first(
    _heads(),
    *(_HEAD.columns[name] for name in ("id", "priority", "base_model", "lora_sha256")),
    _HEAD.columns.passed_over_at,
)
_WARMEST = _warmest()
_TAKE_CHOSEN = _taking(bindparam("chosen", type_=_JOB.id.type))
_PASS_OVER = (
    update(JOBS.table)
    .where(_JOB.id == bindparam("first", type_=_JOB.id.type))
    .values(passed_over_at=bindparam("asked_at", type_=_JOB.started_at.type))
)
