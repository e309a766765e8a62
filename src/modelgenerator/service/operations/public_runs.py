"""Runs of public flows by people whom nobody knows: what they may do, and how often.

In: a slug, and tickets.  Out: datasets and runs of the flow's organization, which pays.  A ticket
is given to who made something and opens that alone: it is signed, names the flow, and ends.  Of
the owner's records a visitor can name none; of a run he sees what the flow shows, and no reasons.
"""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import cast
from uuid import UUID

from modelgenerator.flows import definition
from modelgenerator.service.errors import (
    FlowStopped,
    InsufficientFunds,
    LinkRefused,
    NotFound,
    TooLarge,
)
from modelgenerator.service.operations.callers import Caller, RequestKey
from modelgenerator.service.operations.flows import read_flow
from modelgenerator.service.operations.form_inputs import accept_input, ids_in, texts_in, with_texts
from modelgenerator.service.operations.form_uploads import UPLOADS_WAIT, add_waiting_dataset
from modelgenerator.service.operations.runs import SeenRun, begin_run, read_run
from modelgenerator.service.operations.service import Service
from modelgenerator.service.records.datasets import Origin
from modelgenerator.service.records.flows import Flow
from modelgenerator.service.records.organizations import Role
from modelgenerator.service.records.trainings import JsonObject

RUNS_ARE_SHOWN = timedelta(days=30)
"""How long a visitor's ticket shows his run."""
MOST_UPLOADS = 20
"""That one run takes."""
MOST_PICTURES = 200
"""In an upload for a form that does not say."""
_TICKET = re.compile(r"([0-9a-f]{32})\.([0-9]{1,12}\.[A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class PublicRun:
    """What a visitor sees of his run."""

    seen: SeenRun
    ticket: str
    results: Mapping[str, object]
    """Of the steps that the flow's widgets show, as the widgets show them."""
    error: str | None
    """That it failed, without the reasons: they may tell of the owner's money and templates."""


@dataclass(frozen=True, slots=True)
class PublicUpload:
    """A dataset that a visitor may fill."""

    caller: Caller
    """On whose behalf pictures are added."""
    dataset_id: UUID
    ticket: str


def start_public_upload(service: Service, slug: str, address: str) -> PublicUpload:
    """A dataset for the form of the flow; its ticket is the value of the form's property.

    `address` is where the request came from.

    Raises:
        NotFound: there is no such public flow.
        RateLimited: too many uploads came from this address.
    """
    flow, caller = _public(service, slug)
    service.public_uploads.count(f"{flow.id} {address}", service.clock())
    dataset = add_waiting_dataset(service, caller)
    ticket = _ticket(service, "upload", flow, dataset.id, UPLOADS_WAIT)
    return PublicUpload(caller, dataset.id, ticket)


def admit_public_form(service: Service, slug: str, address: str) -> None:
    """Before a form with pictures is received: whether one more is.

    Raises:
        NotFound: there is no such public flow.
        RateLimited: too many came from this address.
    """
    flow, _ = _public(service, slug)
    service.public_uploads.count(f"{flow.id} {address}", service.clock())


def count_public_upload(service: Service, slug: str, ticket: str) -> int:
    """How many pictures an upload has; none if the ticket opens nothing."""
    flow, caller = _public(service, slug)
    try:
        dataset_id = _opened(service, "upload", flow, ticket)
    except NotFound:
        return 0
    with service.database.reading() as transaction:
        return transaction.of(caller.organization_id).pictures.count(dataset_id=dataset_id)


def open_public_upload(service: Service, slug: str, ticket: str, address: str) -> PublicUpload:
    """The dataset that a ticket opens, for more pictures.

    Raises:
        NotFound: there is no such public flow, or the ticket opens nothing.
        RateLimited: too many uploads came from this address.
        TooLarge: as many pictures are there as the form takes.
    """
    flow, caller = _public(service, slug)
    service.public_uploads.count(f"{flow.id} {address}", service.clock())
    dataset_id = _opened(service, "upload", flow, ticket)
    most = _most_pictures(read_flow(service, caller, flow.id).definition)
    with service.database.reading() as transaction:
        store = transaction.of(caller.organization_id)
        if store.pictures.count(dataset_id=dataset_id) >= most:
            raise TooLarge(f"This form takes at most {most} pictures.", field="files")
    return PublicUpload(caller, dataset_id, ticket)


def start_public_run(
    service: Service, slug: str, given: JsonObject, address: str, request: RequestKey | None = None
) -> PublicRun:
    """Run the flow; its organization pays.

    Raises:
        NotFound: there is no such public flow.
        InvalidFlowInput: with every fault in what was given.
        FlowStopped: the organization's balance does not cover it.
        RateLimited: too many runs were started from this address.
    """
    flow, caller = _public(service, slug)
    if request is not None:
        caller = replace(caller, request=replace(request, key=f"public {flow.id} {request.key}"))
    saved = read_flow(service, caller, flow.id)
    uploads = _uploads(service, flow, given)
    become = {ticket: str(id) for ticket, id in uploads.items()}
    values = cast(JsonObject, with_texts(given, become))
    # a form may have a dataset of the owner's as its default
    allowed = frozenset(uploads.values()) | ids_in(dict(saved.definition.input))
    with service.database.reading() as transaction:
        store = transaction.of(caller.organization_id)
        accepted = accept_input(saved.definition, values, store, only=allowed)
    service.public_runs.count(f"{flow.id} {address}", service.clock())
    try:
        id = begin_run(service, caller, saved, accepted, is_public=True)
    except InsufficientFunds:
        raise FlowStopped from None
    return _shown(service, caller, id, _ticket(service, "run", flow, id, RUNS_ARE_SHOWN))


def read_public_run(service: Service, slug: str, ticket: str) -> PublicRun:
    """What a visitor sees of the run that he started.

    Raises:
        NotFound: there is no such public flow, or the ticket opens nothing.
    """
    caller, id = open_public_run(service, slug, ticket)
    return _shown(service, caller, id, ticket)


def open_public_run(service: Service, slug: str, ticket: str) -> tuple[Caller, UUID]:
    """On whose behalf, and which run a ticket shows.

    Raises:
        NotFound: there is no such public flow, or the ticket opens nothing.
    """
    flow, caller = _public(service, slug)
    return caller, _opened(service, "run", flow, ticket)


def _most_pictures(flow: definition.Flow) -> int:
    """What any of the form's uploaders takes."""
    properties = cast(Mapping[str, object], flow.input.get("properties", {}))
    uploaders = [
        cast(Mapping[str, object], each)
        for each in properties.values()
        if isinstance(each, dict) and cast(Mapping[str, object], each).get("dataset") is True
    ]
    return max((int(cast(float, each.get("max", MOST_PICTURES))) for each in uploaders), default=0)


def _public(service: Service, slug: str) -> tuple[Flow, Caller]:
    """The flow, and the caller on whose behalf visitors ask: its organization."""
    with service.database.reading() as transaction:
        flow = transaction.public_flow(slug)
    return flow, Caller(organization_id=flow.organization_id, role=Role.MEMBER, origin=Origin.FLOW)


def _shown(service: Service, caller: Caller, id: UUID, ticket: str) -> PublicRun:
    seen = read_run(service, caller, id, with_costs=False)
    error = None
    if seen.run.error is not None:
        is_money = seen.run.error.get("code") == "insufficientFunds"
        error = "Insufficient Funds" if is_money else "This run failed."
    return PublicRun(seen, ticket, _results(seen), error)


def _results(seen: SeenRun) -> dict[str, object]:
    """What the widgets show: pictures without how they were asked for, objects as they are."""
    left = {each.step.step_id: each.result for each in seen.steps if each.result is not None}
    shown: dict[str, object] = {}
    for kind, source in _widgets(seen):
        if source in left:
            shown[source] = _as_shown(kind, left[source])
    return shown


def _widgets(seen: SeenRun) -> Iterable[tuple[str, str]]:
    results = cast(Mapping[str, object], seen.ui.get("results", {}))
    widgets = cast(list[Mapping[str, object]], results.get("widgets", []))
    # what one widget shows whole is whole
    for widget in sorted(widgets, key=lambda each: each.get("type") == "Objects"):
        for source in cast(list[str], widget.get("sources", [])):
            yield str(widget.get("type")), source


def _as_shown(kind: str, result: object) -> object:
    if not isinstance(result, Mapping):
        return None
    known = cast(Mapping[str, object], result)
    if kind == "Images":
        images = cast(list[Mapping[str, object]], known.get("images", []))
        return {"images": [_only(image, "url", "width", "height", "format") for image in images]}
    return _only(known, "url") if kind == "Download" else known


def _only(value: Mapping[str, object], *names: str) -> dict[str, object]:
    return {name: value[name] for name in names if name in value}


def _uploads(service: Service, flow: Flow, given: JsonObject) -> dict[str, UUID]:
    """The datasets that tickets in what was given open; what opens nothing stays a text."""
    found: dict[str, UUID] = {}
    for text in texts_in(given):
        if len(found) < MOST_UPLOADS and _TICKET.fullmatch(text):
            with suppress(NotFound):
                found[text] = _opened(service, "upload", flow, text)
    return found


def _ticket(service: Service, what: str, flow: Flow, id: UUID, length: timedelta) -> str:
    token = service.links.sign(what, _sealed(flow, id), service.clock() + length)
    return f"{id.hex}.{token}"


def _opened(service: Service, what: str, flow: Flow, ticket: str) -> UUID:
    found = _TICKET.fullmatch(ticket)
    if found is None:
        raise NotFound(what, ticket[:80])
    id = UUID(found[1])
    try:
        service.links.check(found[2], what, _sealed(flow, id), service.clock())
    except LinkRefused:
        raise NotFound(what, ticket) from None
    return id


def _sealed(flow: Flow, id: UUID) -> str:
    """What a ticket's signature is about; no key of a stored file looks like it."""
    return f"public flow {flow.id.hex} {id.hex}"
