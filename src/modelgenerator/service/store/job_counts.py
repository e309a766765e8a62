"""How many jobs run and wait, and how many go before one: of all organizations, in numbers alone.

In: who asks, and what can run jobs.  Out: counts.  Whose the other jobs are is told to nobody.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, and_, case, func, or_, select

from modelgenerator.service.records.jobs import JobKind, JobStatus
from modelgenerator.service.records.servers import Places
from modelgenerator.service.store.job_queue import LIMITED, NO_LIMIT, running_jobs
from modelgenerator.service.store.job_tables import JOBS

_JOB = JOBS.table.columns


@dataclass(frozen=True, slots=True, kw_only=True)
class JobCount:
    """So many jobs that have these in common."""

    status: JobStatus
    """Queued or running."""
    kind: JobKind
    machine: str | None
    """Of one that runs, where."""
    phase: str | None
    is_own: bool
    """Of the organization that asks."""
    jobs: int
    gpus: int
    """Of all of them together."""


def count_unfinished(connection: Connection, organization_id: UUID) -> list[JobCount]:
    """Everything that runs or waits."""
    is_own = _JOB.organization_id == organization_id
    same = (_JOB.status, _JOB.kind, _JOB.machine, _JOB.phase, is_own)
    query = (
        select(*same, func.count(), func.sum(_JOB.gpus))
        .where(_JOB.status.in_((JobStatus.RUNNING, JobStatus.QUEUED)))
        .group_by(*same)
    )
    return [
        JobCount(
            status=status,
            kind=kind,
            machine=machine,
            phase=phase,
            is_own=bool(is_own),
            jobs=jobs,
            gpus=int(gpus),
        )
        for status, kind, machine, phase, is_own, jobs, gpus in connection.execute(query)
    ]


def jobs_before(
    connection: Connection,
    ids: Iterable[UUID],
    places: Sequence[Places],
    now: datetime,
    *,
    most_of_one: int = NO_LIMIT,
) -> dict[UUID, int]:
    """How many begin before each of these, in the order of a claim, if nothing ends or comes.

    What no place can run, or is not to be run yet, is not counted and has no number; what an
    organization may not have running besides is last.
    """
    if not places:
        return {}
    running = running_jobs()
    is_heavy = _JOB.kind.in_(LIMITED)  # these wait for the same places, and nothing else does
    nth = func.row_number().over(
        partition_by=(_JOB.organization_id, is_heavy), order_by=(_JOB.priority.desc(), _JOB.id)
    )
    waiting = (
        select(
            _JOB.id,
            _JOB.priority,
            is_heavy.label("is_heavy"),
            (nth + func.coalesce(running.columns.jobs, 0)).label("share"),
            case(
                (and_(is_heavy, nth + func.coalesce(running.columns.limited, 0) > most_of_one), 1),
                else_=0,
            ).label("is_over"),
        )
        .select_from(
            JOBS.table.outerjoin(running, running.columns.organization_id == _JOB.organization_id)
        )
        .where(
            _JOB.status == JobStatus.QUEUED,
            or_(_JOB.not_before.is_(None), _JOB.not_before <= now),
            or_(*map(_can_run, places)),
        )
        .subquery("waiting")
    )
    each = waiting.columns
    place = func.row_number().over(
        partition_by=each.is_heavy,
        order_by=(each.is_over, each.priority.desc(), each.share, each.id),
    )
    line = select(each.id, place.label("place")).subquery("line")
    query = select(line).where(line.columns.id.in_(list(ids)))
    return {id: place - 1 for id, place in connection.execute(query)}


def _can_run(places: Places) -> ColumnElement[bool]:
    kinds = [JobKind(kind) for kind in places.kinds]
    return and_(
        _JOB.kind.in_(kinds),
        _JOB.gpus <= places.gpus,
        _JOB.gpu_memory <= places.gpu_memory,
        _JOB.gpu_memory > places.gpu_memory_above,
    )
