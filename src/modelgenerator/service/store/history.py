"""When what happened in an organization, over all kinds of records.

In: a scope, and the kinds of happenings that are asked for.  Out: their places in time, the newest
first, by one statement; the records themselves are read by their ids.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Column, ColumnElement, Select, Table, and_, literal, or_, select, union_all

from modelgenerator.service.records.jobs import JobKind
from modelgenerator.service.store.accounts import ENTRIES
from modelgenerator.service.store.datasets import SUBJECTS
from modelgenerator.service.store.deletions import RECEIPTS
from modelgenerator.service.store.flows import FLOW_RUNS, FLOW_VERSIONS
from modelgenerator.service.store.job_tables import JOBS
from modelgenerator.service.store.organizations import API_KEYS, MEMBERS
from modelgenerator.service.store.scoped import OrganizationScope
from modelgenerator.service.store.webhooks import ENDPOINTS


class Source(StrEnum):
    """A field that says when something happened to a record."""

    TRAINING_BEGAN = "trainingBegan"
    TRAINING_ENDED = "trainingEnded"
    PICTURES_BEGAN = "picturesBegan"
    PICTURES_ENDED = "picturesEnded"
    RUN_BEGAN = "runBegan"
    RUN_ENDED = "runEnded"
    ENTRY_MADE = "entryMade"
    DELETION_ASKED = "deletionAsked"
    DELETION_DONE = "deletionDone"
    KEY_MADE = "keyMade"
    KEY_REVOKED = "keyRevoked"
    MEMBER_ADDED = "memberAdded"
    WEBHOOK_MADE = "webhookMade"
    WEBHOOK_OFF = "webhookOff"
    SUBJECT_MADE = "subjectMade"
    FLOW_SAVED = "flowSaved"


_FIELDS: dict[Source, tuple[Table, str]] = {
    Source.TRAINING_BEGAN: (JOBS.table, "started_at"),
    Source.TRAINING_ENDED: (JOBS.table, "finished_at"),
    Source.PICTURES_BEGAN: (JOBS.table, "started_at"),
    Source.PICTURES_ENDED: (JOBS.table, "finished_at"),
    Source.RUN_BEGAN: (FLOW_RUNS.table, "created_at"),
    Source.RUN_ENDED: (FLOW_RUNS.table, "finished_at"),
    Source.ENTRY_MADE: (ENTRIES.table, "created_at"),
    Source.DELETION_ASKED: (RECEIPTS.table, "requested_at"),
    Source.DELETION_DONE: (RECEIPTS.table, "completed_at"),
    Source.KEY_MADE: (API_KEYS.table, "created_at"),
    Source.KEY_REVOKED: (API_KEYS.table, "revoked_at"),
    Source.MEMBER_ADDED: (MEMBERS.table, "created_at"),
    Source.WEBHOOK_MADE: (ENDPOINTS.table, "created_at"),
    Source.WEBHOOK_OFF: (ENDPOINTS.table, "disabled_at"),
    Source.SUBJECT_MADE: (SUBJECTS.table, "created_at"),
    Source.FLOW_SAVED: (FLOW_VERSIONS.table, "created_at"),
}
_ONLY: dict[Source, ColumnElement[bool]] = {
    Source.TRAINING_BEGAN: JOBS.table.columns.kind == JobKind.TRAIN,
    Source.TRAINING_ENDED: JOBS.table.columns.kind == JobKind.TRAIN,
    Source.PICTURES_BEGAN: JOBS.table.columns.kind == JobKind.GENERATE,
    Source.PICTURES_ENDED: JOBS.table.columns.kind == JobKind.GENERATE,
    # those that were given with one job belong to it
    Source.WEBHOOK_MADE: ENDPOINTS.table.columns.job_id.is_(None),
    Source.WEBHOOK_OFF: ENDPOINTS.table.columns.job_id.is_(None),
}
"""Which records of the table are meant, where it is not all."""
_RANKS = {source: rank for rank, source in enumerate(Source)}
_SOURCES = tuple(Source)


@dataclass(frozen=True, slots=True)
class Place:
    """One happening: when, to which record, and which of its fields says so."""

    at: datetime
    source: Source
    id: UUID


def moments_before(
    scope: OrganizationScope, before: Place | None, sources: Sequence[Source], limit: int
) -> list[Place]:
    """The newest happenings, or those before `before`; what happened at once is told by its id."""
    if not sources:
        return []
    each = union_all(*(_of(scope, source, before) for source in sources)).subquery()
    query = select(each).order_by(each.c.at.desc(), each.c.rank.desc(), each.c.id.desc())
    rows = scope.connection.execute(query.limit(limit))
    return [Place(row.at, _SOURCES[row.rank], row.id) for row in rows]


def _of(
    scope: OrganizationScope, source: Source, before: Place | None
) -> Select[datetime, int, UUID]:
    table, field = _FIELDS[source]
    at: Column[datetime] = table.columns[field]
    id: Column[UUID] = table.columns.id
    rank = _RANKS[source]
    query = select(at.label("at"), literal(rank).label("rank"), id.label("id")).where(
        table.columns.organization_id == scope.organization_id, at.is_not(None)
    )
    if source in _ONLY:
        query = query.where(_ONLY[source])
    return query if before is None else query.where(_is_before(at, rank, id, before))


def _is_before(
    at: Column[datetime], rank: int, id: Column[UUID], place: Place
) -> ColumnElement[bool]:
    """The order of the query: time, then rank, then id."""
    last = _RANKS[place.source]
    if rank > last:
        return at < place.at
    if rank < last:
        return at <= place.at
    return or_(at < place.at, and_(at == place.at, id < place.id))
