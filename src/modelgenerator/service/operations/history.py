"""What happened in an organization, the newest first.

In: who asks, which kind of happening, and words to look for.  Out: sentences with their times and
what they lead to.  They are read from the records themselves: what no record says, such as who
signed in or which role somebody had before, is not told.
"""

import base64
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

from modelgenerator.service.errors import InvalidValue, in_dollars
from modelgenerator.service.operations.callers import Caller
from modelgenerator.service.operations.service import Service
from modelgenerator.service.operations.works import Work, works_of_jobs, works_of_runs
from modelgenerator.service.records.flows import FlowRun
from modelgenerator.service.records.jobs import Job
from modelgenerator.service.records.money import EntryKind
from modelgenerator.service.records.organizations import Role
from modelgenerator.service.records.trainings import JsonObject
from modelgenerator.service.store.history import Place, Source
from modelgenerator.service.store.transaction import OrganizationStore, Transaction

MOST_LOOKED_AT = 1_000
"""Happenings that one search looks through."""


class Topic(StrEnum):
    """What a happening is about."""

    TRAININGS = "trainings"
    PICTURES = "pictures"
    RUNS = "runs"
    MONEY = "money"
    DELETIONS = "deletions"
    SUBJECTS = "subjects"
    FLOWS = "flows"
    KEYS = "keys"
    MEMBERS = "members"
    WEBHOOKS = "webhooks"


_SOURCES: Mapping[Topic, tuple[Source, ...]] = {
    Topic.TRAININGS: (Source.TRAINING_BEGAN, Source.TRAINING_ENDED),
    Topic.PICTURES: (Source.PICTURES_BEGAN, Source.PICTURES_ENDED),
    Topic.RUNS: (Source.RUN_BEGAN, Source.RUN_ENDED),
    Topic.MONEY: (Source.ENTRY_MADE,),
    Topic.DELETIONS: (Source.DELETION_ASKED, Source.DELETION_DONE),
    Topic.SUBJECTS: (Source.SUBJECT_MADE,),
    Topic.FLOWS: (Source.FLOW_SAVED,),
    Topic.KEYS: (Source.KEY_MADE, Source.KEY_REVOKED),
    Topic.MEMBERS: (Source.MEMBER_ADDED,),
    Topic.WEBHOOKS: (Source.WEBHOOK_MADE, Source.WEBHOOK_OFF),
}
_ABOUT = {source: subject for subject, sources in _SOURCES.items() for source in sources}
_PAID = {EntryKind.CREDIT: "credit", EntryKind.REFUND: "refund"}
_FOR_ADMINISTRATORS = (Topic.KEYS, Topic.WEBHOOKS)


@dataclass(frozen=True, slots=True)
class Told:
    """A happening in words."""

    words: str
    status: str
    """One word, by which a reader skims: `failed`, `credit`."""
    id: UUID | None = None
    """What it leads to; none: it has no page, or not any more."""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happened."""

    place: Place
    about: Topic
    told: Told

    @property
    def at(self) -> datetime:
        """When."""
        return self.place.at


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """A piece of what happened, the newest first."""

    items: tuple[Happening, ...]
    next_cursor: str | None
    looked_back_to: datetime | None
    """Where a search stopped that did not come to the beginning."""


def topics_for(caller: Caller) -> tuple[Topic, ...]:
    """What the caller is told of."""
    is_administrator = caller.role.may_act_as(Role.ADMIN)
    return tuple(it for it in Topic if is_administrator or it not in _FOR_ADMINISTRATORS)


def list_happenings(
    service: Service,
    caller: Caller,
    cursor: str | None,
    *,
    limit: int,
    about: Topic | None = None,
    words: str = "",
) -> HistoryPage:
    """What happened, of one subject or of all, in which all of `words` stand.

    A search looks through `MOST_LOOKED_AT` happenings and goes on behind its cursor.

    Raises:
        InvalidValue: a cursor that no page gave.
    """
    caller.require(Role.VIEWER)
    asked = [it for it in topics_for(caller) if about in (None, it)]
    sources = [source for subject in asked for source in _SOURCES[subject]]
    looked_at = MOST_LOOKED_AT if words.strip() else limit
    with service.database.reading() as transaction:
        store = transaction.of(caller.organization_id)
        before = None if cursor is None else _place_in(cursor)
        places = store.moments(before, sources, limit=looked_at + 1)
        happenings = _happenings(transaction, store, places[:looked_at])
    found = [it for it in happenings if _has(it, words)]
    if len(found) > limit:
        return HistoryPage(tuple(found[:limit]), _cursor_at(found[limit - 1].place), None)
    if len(places) <= looked_at:
        return HistoryPage(tuple(found), None, None)
    last = places[looked_at - 1]
    stopped_at = last.at if words.strip() else None
    return HistoryPage(tuple(found), _cursor_at(last), stopped_at)


def _happenings(
    transaction: Transaction, store: OrganizationStore, places: Sequence[Place]
) -> list[Happening]:
    """With a few statements for each source, however many places there are."""
    ids: dict[Source, list[UUID]] = defaultdict(list)
    for place in places:
        ids[place.source].append(place.id)
    told = {
        source: _TELLERS[source](transaction, store, source, of_source)
        for source, of_source in ids.items()
    }
    return [
        Happening(place, _ABOUT[place.source], told[place.source][place.id])
        for place in places
        if place.id in told[place.source]
    ]


_Tell = Callable[[Transaction, OrganizationStore, Source, Sequence[UUID]], dict[UUID, Told]]


def _jobs(
    _: Transaction, store: OrganizationStore, source: Source, ids: Sequence[UUID]
) -> dict[UUID, Told]:
    jobs = store.jobs.some(ids)
    works = works_of_jobs(store, jobs.values())
    has_begun = source in (Source.TRAINING_BEGAN, Source.PICTURES_BEGAN)
    what = "Training" if _ABOUT[source] is Topic.TRAININGS else "Pictures"
    return {id: _job(what, job, works.get(id), has_begun=has_begun) for id, job in jobs.items()}


def _job(what: str, job: Job, work: Work | None, *, has_begun: bool) -> Told:
    named = f"{what} of something that was deleted" if work is None else f"{what}: {work.name}"
    id = None if work is None else work.id
    if has_begun:
        return Told(named, "started", id)
    why = f"{job.error.message} {job.error.hint or ''}".strip() if job.error else ""
    return Told(named, job.status.value, id, why)


def _runs(
    _: Transaction, store: OrganizationStore, source: Source, ids: Sequence[UUID]
) -> dict[UUID, Told]:
    runs, works = store.flow_runs.some(ids), works_of_runs(store, ids)
    return {id: _run(run, works.get(id), source) for id, run in runs.items()}


def _run(run: FlowRun, work: Work | None, source: Source) -> Told:
    words = f"Run: {work.name}" if work else "Run of a flow that is gone"
    if run.is_public:
        words += ", by its public page"
    if source is Source.RUN_BEGAN:
        return Told(words, "started", run.id)
    return Told(words, run.status.value, run.id, _message(run.error))


def _message(error: JsonObject | None) -> str:
    return "" if error is None else str(error.get("message", ""))


def _entries(
    _: Transaction, store: OrganizationStore, __: Source, ids: Sequence[UUID]
) -> dict[UUID, Told]:
    return {
        id: Told(f"{in_dollars(entry.amount)}: {entry.memo}", _PAID.get(entry.kind, "paid"), id)
        for id, entry in store.accounts.entries.some(ids).items()
    }


def _receipts(
    _: Transaction, store: OrganizationStore, source: Source, ids: Sequence[UUID]
) -> dict[UUID, Told]:
    is_done = source is Source.DELETION_DONE
    words, status = ("is gone from the storage", "done") if is_done else ("was deleted", "asked")
    return {
        id: Told(f"A {receipt.kind} {words}", status, id)
        for id, receipt in store.deletion_receipts.some(ids).items()
    }


def _keys(
    _: Transaction, store: OrganizationStore, source: Source, ids: Sequence[UUID]
) -> dict[UUID, Told]:
    status = "revoked" if source is Source.KEY_REVOKED else "made"
    return {
        id: Told(f"API key {key.name} ({key.prefix}…), which acts as {key.role}", status, id)
        for id, key in store.api_keys.some(ids).items()
    }


def _members(
    transaction: Transaction, store: OrganizationStore, _: Source, ids: Sequence[UUID]
) -> dict[UUID, Told]:
    members = store.members.some(ids)
    users = transaction.identities.users(member.user_id for member in members.values())
    return {
        id: Told(f"{users[it.user_id].name} ({users[it.user_id].email})", "added", id)
        for id, it in members.items()
    }


def _webhooks(
    _: Transaction, store: OrganizationStore, source: Source, ids: Sequence[UUID]
) -> dict[UUID, Told]:
    status = "switched off" if source is Source.WEBHOOK_OFF else "made"
    found = store.webhook_endpoints.some(ids)
    return {id: Told(f"Webhook {endpoint.url}", status, id) for id, endpoint in found.items()}


def _subjects(
    _: Transaction, store: OrganizationStore, __: Source, ids: Sequence[UUID]
) -> dict[UUID, Told]:
    found = store.subjects.some(ids)
    return {id: Told(f"Subject {subject.name}", "made", id) for id, subject in found.items()}


def _flows(
    _: Transaction, store: OrganizationStore, __: Source, ids: Sequence[UUID]
) -> dict[UUID, Told]:
    versions = store.flow_versions.some(ids)
    flows = store.flows.some({version.flow_id for version in versions.values()})
    return {
        id: Told(
            f"Flow {flows[it.flow_id].title}, version {it.number}",
            "saved",
            it.flow_id if flows[it.flow_id].deleted_at is None else None,
        )
        for id, it in versions.items()
    }


_TELLERS: Mapping[Source, _Tell] = {
    Source.TRAINING_BEGAN: _jobs,
    Source.TRAINING_ENDED: _jobs,
    Source.PICTURES_BEGAN: _jobs,
    Source.PICTURES_ENDED: _jobs,
    Source.RUN_BEGAN: _runs,
    Source.RUN_ENDED: _runs,
    Source.ENTRY_MADE: _entries,
    Source.DELETION_ASKED: _receipts,
    Source.DELETION_DONE: _receipts,
    Source.KEY_MADE: _keys,
    Source.KEY_REVOKED: _keys,
    Source.MEMBER_ADDED: _members,
    Source.WEBHOOK_MADE: _webhooks,
    Source.WEBHOOK_OFF: _webhooks,
    Source.SUBJECT_MADE: _subjects,
    Source.FLOW_SAVED: _flows,
}


def _has(happening: Happening, words: str) -> bool:
    told = happening.told
    text = f"{told.words} {told.status} {told.why}".casefold()
    return all(word in text for word in words.casefold().split())


def _cursor_at(place: Place) -> str:
    written = json.dumps([place.at.isoformat(), place.source, place.id.hex])
    return base64.urlsafe_b64encode(written.encode()).decode().rstrip("=")


def _place_in(cursor: str) -> Place:
    try:
        at, source, id = json.loads(base64.urlsafe_b64decode(cursor + "=="))
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is None:
            raise ValueError("no instant")
        return Place(moment.astimezone(UTC), Source(source), UUID(hex=id))
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        message = "This cursor is none that a page gave: begin without one."
        raise InvalidValue(message, field="cursor") from None
