"""Flows: saved when nothing is wrong with them, in versions, and shown to anybody if public.

In: a definition, as JSON or as JSON5 text.  Out: the flow with its version, or every fault at
once.  How a flow runs is not known here.
"""

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import cast
from uuid import UUID

from modelgenerator.errors import InvalidFlow
from modelgenerator.flows import definition
from modelgenerator.flows.check import MAX_FAULTS, Capabilities, check
from modelgenerator.flows.definition import Document, flow_of, read_document
from modelgenerator.flows.faults import Fault, in_words
from modelgenerator.flows.places import Span
from modelgenerator.flows.writing import with_switch
from modelgenerator.service.errors import AlreadyExists, NotFound
from modelgenerator.service.operations.callers import Caller, earlier_answer, remember
from modelgenerator.service.operations.flow_estimates import RunEstimate, estimate_run
from modelgenerator.service.operations.flow_references import reference_faults
from modelgenerator.service.operations.service import Service
from modelgenerator.service.records.flows import Flow, FlowRun, FlowVersion
from modelgenerator.service.records.ids import new_id
from modelgenerator.service.records.organizations import Role
from modelgenerator.service.records.trainings import JsonObject
from modelgenerator.service.store.scoped import Page
from modelgenerator.service.store.transaction import OrganizationStore, Transaction

LONGEST_SLUG = 80
TRIES = 10
"""At a slug that others may take in the same moment."""
Written = Mapping[str, object] | str
"""A definition: JSON, or JSON5 text."""


@dataclass(frozen=True, slots=True)
class SavedFlow:
    """A flow as it is now."""

    flow: Flow
    version: FlowVersion

    @property
    def definition(self) -> definition.Flow:
        """What runs, in the order in which it was written; it was checked when it was saved."""
        return flow_of(self.values)

    @property
    def values(self) -> JsonObject:
        """The definition as JSON, in the order in which it was written."""
        return cast(JsonObject, read_document(self.version.source).values)


@dataclass(frozen=True, slots=True)
class ListedFlow:
    """A flow in a list."""

    flow: Flow
    version: int
    """Its newest."""
    last_run: FlowRun | None


@dataclass(frozen=True, slots=True)
class CheckedFlow:
    """All that is to be said about a definition, for programs."""

    faults: tuple[Mapping[str, object], ...]
    remarks: tuple[Mapping[str, object], ...]
    estimate: RunEstimate | None
    """What a run costs; none if there is a fault."""


@dataclass(frozen=True, slots=True)
class Marked:
    """A fault or a remark where it stands in the text."""

    fault: Fault
    line: int
    column: int
    """Both from 1."""
    span: Span
    """What to underline."""


@dataclass(frozen=True, slots=True)
class CheckedText:
    """All that is to be said about a definition, for whoever writes it."""

    faults: tuple[Marked, ...]
    remarks: tuple[Marked, ...]
    flow: definition.Flow | None
    """What would run; none if there is a fault."""
    estimate: RunEstimate | None


@dataclass(frozen=True, slots=True)
class PublicPage:
    """What anybody may see of a public flow: no store, and nothing of what its steps are told."""

    slug: str
    title: str
    description: str
    input: Mapping[str, object]
    ui: Mapping[str, object]
    steps: tuple[tuple[str, str], ...]
    """Id and type of each."""


@dataclass(frozen=True, slots=True)
class _Read:
    """A definition that was read and looked at."""

    values: object
    source: str
    document: Document | None
    faults: tuple[Fault, ...]
    remarks: tuple[Fault, ...]

    def as_json(self, faults: tuple[Fault, ...]) -> tuple[Mapping[str, object], ...]:
        document = self.document
        if document is None:
            return tuple(fault.as_json() for fault in faults)
        ordered = definition.in_order(faults, document)
        return tuple(definition.placed(fault, document) for fault in ordered)


def check_flow(service: Service, caller: Caller, written: Written) -> CheckedFlow:
    """Everything that `create_flow` would say, and what a run would cost; nothing is saved.

    Raises:
        InvalidFlow: the text is no JSON5 at all.
    """
    caller.require(Role.VIEWER)
    read = _read(service, caller, written)
    estimate = None
    if not read.faults:
        flow = flow_of(read.values)
        estimate = estimate_run(flow, service.config.prices, is_public=flow.public)
    return CheckedFlow(read.as_json(read.faults), read.as_json(read.remarks), estimate)


def check_text(service: Service, caller: Caller, text: str) -> CheckedText:
    """The same as `check_flow` about a text, with the place of everything in it."""
    caller.require(Role.VIEWER)
    try:
        read = _read(service, caller, text)
    except InvalidFlow as error:
        return CheckedText((_unreadable(error, text),), (), None, None)
    flow = None if read.faults else flow_of(read.values)
    estimate = flow and estimate_run(flow, service.config.prices, is_public=flow.public)
    assert read.document is not None, "it was a text"
    faults, remarks = (
        tuple(_marked(each, read.document) for each in definition.in_order(some, read.document))
        for some in (read.faults, read.remarks)
    )
    return CheckedText(faults, remarks, flow, estimate)


def create_flow(service: Service, caller: Caller, written: Written) -> SavedFlow:
    """Save a new flow.

    Raises:
        InvalidFlow: with every fault in it.
        AlreadyExists: another flow has its slug.
    """
    caller.require(Role.MEMBER)
    read = _without_faults(service, caller, written)
    for _ in range(TRIES - 1):
        try:
            return _created(service, caller, read)
        except AlreadyExists as error:
            if error.field is not None:
                raise
            # somebody took the slug in the same moment: look for another
    return _created(service, caller, read)


def _created(service: Service, caller: Caller, read: _Read) -> SavedFlow:
    given = flow_of(read.values)
    with service.database.transaction() as transaction:
        store, now = transaction.of(caller.organization_id), service.clock()
        if (earlier := earlier_answer(store, caller, now)) is not None:
            return _saved(store, earlier)
        flow = Flow(
            id=new_id(now),
            organization_id=caller.organization_id,
            slug=_slug(transaction, given),
            title=given.title,
            is_public=given.public,
            version_id=None,
            created_at=now,
            updated_at=now,
        )
        store.flows.add(flow)
        saved = _add_version(service, store, flow, read)
        remember(store, caller, flow.id)
    return saved


def update_flow(service: Service, caller: Caller, id: UUID, written: Written) -> SavedFlow:
    """Save a flow's next version; runs that have begun go on with theirs.

    The same definition again adds no version.

    Raises:
        NotFound: there is no such flow.
        InvalidFlow: with every fault in it.
        AlreadyExists: another flow has its slug.
    """
    caller.require(Role.MEMBER)
    read = _without_faults(service, caller, written)
    given = flow_of(read.values)
    with service.database.transaction() as transaction:
        store = transaction.of(caller.organization_id)
        flow = _there(store.flows.get_locked(id))
        saved = _saved(store, id)
        if saved.version.source == read.source:
            return saved
        if given.slug is not None and given.slug != flow.slug:
            _refuse_taken(transaction, given.slug, but_by=id)
            flow = replace(flow, slug=given.slug)
        flow = replace(flow, title=given.title, is_public=given.public)
        return _add_version(service, store, flow, read, number=saved.version.number + 1)


def read_flow(service: Service, caller: Caller, id: UUID) -> SavedFlow:
    """A flow with its newest version.

    Raises:
        NotFound: there is no such flow, or it was deleted.
    """
    caller.require(Role.VIEWER)
    with service.database.reading() as transaction:
        return _saved(transaction.of(caller.organization_id), id)


def flow_of_run(service: Service, caller: Caller, id: UUID) -> Flow:
    """The flow that a run belongs to, also when it was deleted since.

    Raises:
        NotFound: there is no such flow.
    """
    caller.require(Role.VIEWER)
    with service.database.reading() as transaction:
        return transaction.of(caller.organization_id).flows.get(id)


def list_flows(
    service: Service, caller: Caller, cursor: str | None, limit: int, *, slug: str | None = None
) -> Page[Flow]:
    """The organization's flows, the newest first; `slug` asks for the one with that address."""
    caller.require(Role.VIEWER)
    wanted = {} if slug is None else {"slug": slug}
    with service.database.reading() as transaction:
        flows = transaction.of(caller.organization_id).flows
        return flows.page(cursor, limit=limit, deleted_at=None, **wanted)


def list_with_runs(
    service: Service, caller: Caller, cursor: str | None, limit: int
) -> Page[ListedFlow]:
    """The organization's flows, the newest first, each with its newest version and run."""
    caller.require(Role.VIEWER)
    with service.database.reading() as transaction:
        store = transaction.of(caller.organization_id)
        page = store.flows.page(cursor, limit=limit, deleted_at=None)
        runs = store.flow_runs.last_of(flow.id for flow in page.items)
        ids = [flow.version_id for flow in page.items if flow.version_id is not None]
        numbers = store.flow_versions.numbers(ids)
    listed = (
        ListedFlow(flow, numbers[flow.version_id] if flow.version_id else 0, runs.get(flow.id))
        for flow in page.items
    )
    return Page(tuple(listed), page.next_cursor)


def list_versions(
    service: Service, caller: Caller, id: UUID, cursor: str | None, limit: int
) -> Page[FlowVersion]:
    """Everything that the flow ever was, the newest first."""
    caller.require(Role.VIEWER)
    with service.database.reading() as transaction:
        store = transaction.of(caller.organization_id)
        _there(store.flows.get(id))
        return store.flow_versions.page(cursor, limit=limit, flow_id=id)


def read_version(service: Service, caller: Caller, id: UUID, number: int) -> FlowVersion:
    """The flow as it was saved at the `number`th time.

    Raises:
        NotFound: there is no such flow, or no such version.
    """
    caller.require(Role.VIEWER)
    with service.database.reading() as transaction:
        store = transaction.of(caller.organization_id)
        _there(store.flows.get(id))
        is_possible = 0 < number < 2**63  # beyond that no database can be asked
        version = store.flow_versions.first(flow_id=id, number=number) if is_possible else None
    if version is None:
        raise NotFound("version", number)
    return version


def publish_flow(service: Service, caller: Caller, id: UUID, *, is_public: bool) -> SavedFlow:
    """Let anybody with the link run the flow, or nobody: a next version with `public` set.

    Raises:
        NotFound: there is no such flow.
    """
    caller.require(Role.MEMBER)
    saved = read_flow(service, caller, id)
    text = with_switch(saved.version.source, "public", is_on=is_public)
    return update_flow(service, caller, id, text)


def delete_flow(service: Service, caller: Caller, id: UUID) -> None:
    """Take a flow away: it cannot be run any more; its runs and their results stay.

    Its slug stays taken, so that a link that people have never leads to somebody else's flow.
    """
    caller.require(Role.MEMBER)
    with service.database.transaction() as transaction:
        flows = transaction.of(caller.organization_id).flows
        flow = _there(flows.get_locked(id))
        flows.replace(replace(flow, is_public=False, deleted_at=service.clock()))


def public_page(service: Service, slug: str) -> PublicPage:
    """What anybody may see of the flow at `/f/<slug>`.

    Raises:
        NotFound: there is none, or it is not public.
    """
    with service.database.reading() as transaction:
        flow = transaction.public_flow(slug)
        saved = _saved(transaction.of(flow.organization_id), flow.id)
    shown = saved.definition
    return PublicPage(
        slug=flow.slug,
        title=shown.title,
        description=shown.description,
        input=shown.input,
        ui=shown.ui,
        steps=tuple((step.id, step.type.value) for step in shown.steps),
    )


def estimate_of(
    service: Service, saved: SavedFlow, *, is_public: bool | None = None
) -> RunEstimate:
    """What a run of this flow costs: a visitor's if it is public, unless something else is said."""
    flow = saved.definition
    by_visitor = flow.public if is_public is None else is_public
    return estimate_run(flow, service.config.prices, is_public=by_visitor)


def _read(service: Service, caller: Caller, written: Written) -> _Read:
    document = read_document(written) if isinstance(written, str) else None
    values = document.values if document else written
    can = Capabilities(has_language_model=service.config.object_generator_endpoint is not None)
    checked = check(values, can)
    twice = definition.duplicate_faults(document) if document else ()
    faults = (*checked.faults, *islice(twice, MAX_FAULTS))
    if checked.flow is not None:
        faults += tuple(_references(service, caller, checked.flow))
    source = written if isinstance(written, str) else ""
    if checked.flow is not None and document is None:
        source = json.dumps(written, ensure_ascii=False, indent=2)
        read_document(source)  # as a text it must not be too large either
    return _Read(values, source, document, faults, checked.remarks)


def _unreadable(error: InvalidFlow, text: str) -> Marked:
    """Why a text is no definition at all, at the place where it ceases to be one."""
    told = error.faults_as_json[0] if error.faults_as_json else {}
    line, column = (int(str(told.get(name, 1))) for name in ("line", "column"))
    before = sum(len(one) for one in text.split("\n")[: line - 1]) + line - 1
    start = min(before + column - 1, len(text))
    span = Span(start, min(start + 1, len(text)))
    return Marked(Fault("", "unreadable", str(error)), line, column, span)


def _marked(fault: Fault, document: Document) -> Marked:
    place = document.places.nearest(fault.pointer)
    span = document.places.marked(fault.pointer)
    assert place is not None, "there is a value"
    assert span is not None, "which begins somewhere"
    return Marked(fault, place.line, place.column, span)


def _references(service: Service, caller: Caller, flow: definition.Flow) -> Iterator[Fault]:
    with service.database.reading() as transaction:
        yield from reference_faults(flow, transaction.of(caller.organization_id))


def _without_faults(service: Service, caller: Caller, written: Written) -> _Read:
    read = _read(service, caller, written)
    if read.faults:
        message = f"The flow cannot be used: {in_words(read.faults)}"
        raise InvalidFlow(message, read.as_json(read.faults))
    return read


def _add_version(
    service: Service, store: OrganizationStore, flow: Flow, read: _Read, *, number: int = 1
) -> SavedFlow:
    assert isinstance(read.values, dict), "it was checked"
    now = service.clock()
    values: JsonObject = read.values
    version = FlowVersion(
        id=new_id(now),
        organization_id=flow.organization_id,
        flow_id=flow.id,
        number=number,
        definition=values,
        source=read.source,
        created_at=now,
    )
    store.flow_versions.add(version)
    flow = replace(flow, version_id=version.id, updated_at=now)
    store.flows.replace(flow)
    return SavedFlow(flow, version)


def _saved(store: OrganizationStore, id: UUID) -> SavedFlow:
    flow = _there(store.flows.get(id))
    assert flow.version_id is not None, "a flow is saved with its first version"
    return SavedFlow(flow, store.flow_versions.get(flow.version_id))


def _there(flow: Flow) -> Flow:
    if flow.deleted_at is not None:
        raise NotFound("flow", flow.id)
    return flow


def _slug(transaction: Transaction, given: definition.Flow) -> str:
    """The one that is wished, or a free one made from the title."""
    if given.slug is not None:
        _refuse_taken(transaction, given.slug, but_by=None)
        return given.slug
    plain = slug_from(given.title)
    for number in range(1, 1000):
        slug = plain if number == 1 else f"{plain}-{number}"
        if not transaction.slug_is_taken(slug):
            return slug
    raise AlreadyExists("Too many flows have this title.", field="slug", hint="Give it a slug.")


def slug_from(title: str) -> str:
    """`Ünder the Sea!` as `under-the-sea`."""
    letters = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", letters).strip("-")[:LONGEST_SLUG].strip("-") or "flow"


def _refuse_taken(transaction: Transaction, slug: str, *, but_by: UUID | None) -> None:
    if transaction.slug_is_taken(slug, but_by=but_by):
        message = f"Another flow has, or had, the slug {slug}."
        raise AlreadyExists(message, field="slug", hint="Choose another, or leave it out.")
