"""Webhooks and their deliveries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Form, Response

from modelgenerator.service.dashboard.as_code import Call
from modelgenerator.service.dashboard.asking_others import ask_an_administrator
from modelgenerator.service.dashboard.form_faults import Faults, faults_of
from modelgenerator.service.dashboard.page_errors import PageRoute
from modelgenerator.service.dashboard.visits import Visit, VisitHere
from modelgenerator.service.dashboard.webhook_verifier import VERIFIER
from modelgenerator.service.errors import AddressRefused, Conflict, InvalidValue
from modelgenerator.service.operations import webhooks
from modelgenerator.service.operations.webhook_messages import EVENT_TYPES
from modelgenerator.service.operations.webhooks import ShownEndpoint
from modelgenerator.service.records.organizations import Role
from modelgenerator.service.records.webhooks import (
    DeliveryStatus,
    WebhookDelivery,
    WebhookEndpoint,
)

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_THINGS = {"training": "A training", "inference": "A request for pictures", "run": "A flow's run"}
_HAPPENINGS = {
    "started": "has begun",
    "succeeded": "is done, and its result can be asked for",
    "failed": "has failed; the message says why",
    "cancelled": "was cancelled",
}
BADGES: Mapping[DeliveryStatus, tuple[str, str]] = {
    DeliveryStatus.PENDING: ("busy", "to be sent"),
    DeliveryStatus.DELIVERED: ("good", "delivered"),
    DeliveryStatus.EXHAUSTED: ("bad", "given up"),
}
"""A badge's class and its word."""
_ON_A_PAGE = 50


@dataclass(frozen=True, slots=True)
class Written:
    """What stands in a form of an endpoint."""

    url: str = ""
    types: Sequence[str] = ()


def explained(type: str) -> str:
    """What `training.succeeded` and so on tell, as a sentence."""
    thing, _, happened = type.partition(".")
    return f"{_THINGS[thing]} {_HAPPENINGS[happened]}"


@router.get("/webhooks")
def list_page(visit: VisitHere, cursor: str | None = None) -> Response:
    """All addresses that are told."""
    if not visit.may("admin"):
        return ask_an_administrator(visit, "Webhooks", "make or see webhooks")
    return _list(visit, cursor)


@router.post("/webhooks")
def create(
    visit: VisitHere,
    url: Annotated[str, Form()] = "",
    types: Annotated[tuple[str, ...], Form()] = (),
) -> Response:
    """A new address; its secret is shown on the page that answers."""
    try:
        made = webhooks.create_webhook(
            visit.service, visit.caller, url=url.strip(), event_types=types
        )
    except (AddressRefused, InvalidValue) as error:
        faults = faults_of(error, ("url", "eventTypes"))
        return _list(visit, faults=faults, written=Written(url, types), status=error.status)
    return _one(visit, made.endpoint, shown=made, status=201)


@router.get("/webhooks/{id}")
def one_page(visit: VisitHere, id: UUID, cursor: str | None = None) -> Response:
    """An address, and what was sent to it."""
    if not visit.may("admin"):
        return ask_an_administrator(visit, "Webhooks", "make or see webhooks")
    endpoint = webhooks.read_webhook(visit.service, visit.caller, id)
    if visit.is_partial:
        values = _deliveries(visit, endpoint, cursor)
        return visit.page("webhooks/deliveries.html", status=200, **values)
    return _one(visit, endpoint, cursor)


@router.post("/webhooks/{id}")
def change(
    visit: VisitHere,
    id: UUID,
    url: Annotated[str, Form()] = "",
    types: Annotated[tuple[str, ...], Form()] = (),
) -> Response:
    """Another address, or other events."""
    try:
        webhooks.change_webhook(visit.service, visit.caller, id, url=url.strip(), event_types=types)
    except (AddressRefused, InvalidValue) as error:
        faults = faults_of(error, ("url", "eventTypes"))
        endpoint = webhooks.read_webhook(visit.service, visit.caller, id)
        written = Written(url, types)
        return _one(visit, endpoint, faults=faults, written=written, status=error.status)
    return visit.go(f"/webhooks/{id}", "Saved.")


@router.post("/webhooks/{id}/off")
def switch_off(visit: VisitHere, id: UUID) -> Response:
    """Nothing is sent until it is on again."""
    webhooks.change_webhook(visit.service, visit.caller, id, enabled=False)
    return visit.go(f"/webhooks/{id}", "Switched off: nothing new is sent to it.")


@router.post("/webhooks/{id}/on")
def switch_on(visit: VisitHere, id: UUID) -> Response:
    """It is told again."""
    webhooks.change_webhook(visit.service, visit.caller, id, enabled=True)
    return visit.go(f"/webhooks/{id}", "Switched on: it is told from now on.")


@router.post("/webhooks/{id}/secret")
def rotate(visit: VisitHere, id: UUID, forget: Annotated[str, Form()] = "") -> Response:
    """A new secret, shown on the page that answers."""
    shown = webhooks.rotate_secret(visit.service, visit.caller, id, keep_old=not forget)
    return _one(visit, shown.endpoint, shown=shown)


@router.post("/webhooks/{id}/delete")
def delete(visit: VisitHere, id: UUID) -> Response:
    """It is told nothing more."""
    webhooks.delete_webhook(visit.service, visit.caller, id)
    return visit.go("/webhooks", "Deleted.")


@router.get("/webhooks/deliveries/{id}")
def delivery_page(visit: VisitHere, id: UUID) -> Response:
    """One message, with what it says."""
    delivery = webhooks.read_delivery(visit.service, visit.caller, id)
    return visit.page(
        "webhooks/delivery.html",
        delivery=delivery,
        endpoint=webhooks.read_webhook(visit.service, visit.caller, delivery.endpoint_id),
        message_id=webhooks.message_id(delivery),
        badge=BADGES[delivery.status],
        is_pending=_is_pending(delivery),
        calls=(Call("POST", f"/v1/webhooks/deliveries/{id}/replay"),),
    )


@router.post("/webhooks/deliveries/{id}/replay")
def replay(visit: VisitHere, id: UUID) -> Response:
    """The same message once more."""
    try:
        delivery = webhooks.replay_delivery(visit.service, visit.caller, id)
    except Conflict as error:
        words = f"{error} {error.hint or ''}".strip()
        return visit.go(f"/webhooks/deliveries/{id}", words, is_good=False)
    return visit.go(f"/webhooks/{delivery.endpoint_id}", "It is sent again, with the same id.")


def _list(
    visit: Visit,
    cursor: str | None = None,
    *,
    faults: Faults | None = None,
    written: Written | None = None,
    status: int = 200,
) -> Response:
    visit.caller.require(Role.ADMIN)
    return visit.page(
        "webhooks/list.html",
        status=status,
        endpoints=webhooks.list_webhooks(visit.service, visit.caller, cursor, limit=_ON_A_PAGE),
        types={type: explained(type) for type in EVENT_TYPES},
        faults=faults or {},
        written=written or Written(),
        allows_private=visit.service.config.webhook_private_networks,
        calls=(
            Call(
                "POST",
                "/v1/webhooks",
                {
                    "url": "https://example.org/hooks",
                    "eventTypes": ["training.succeeded", "training.failed"],
                },
            ),
            Call("GET", "/v1/webhooks"),
        ),
    )


def _one(
    visit: Visit,
    endpoint: WebhookEndpoint,
    cursor: str | None = None,
    *,
    shown: ShownEndpoint | None = None,
    faults: Faults | None = None,
    written: Written | None = None,
    status: int = 200,
) -> Response:
    answer = visit.page(
        "webhooks/one.html",
        status=status,
        **_deliveries(visit, endpoint, cursor),
        shown=shown,
        types={type: explained(type) for type in EVENT_TYPES},
        faults=faults or {},
        written=written or Written(endpoint.url, endpoint.event_types),
        verifier=VERIFIER,
        allows_private=visit.service.config.webhook_private_networks,
        calls=_calls(endpoint),
    )
    if shown is not None:
        answer.headers["Cache-Control"] = "no-store"  # not even the browser keeps a secret
    return answer


def _deliveries(visit: Visit, endpoint: WebhookEndpoint, cursor: str | None) -> dict[str, Any]:
    page = webhooks.list_deliveries(
        visit.service, visit.caller, endpoint.id, cursor, limit=_ON_A_PAGE
    )
    return {
        "endpoint": endpoint,
        "deliveries": page,
        "badges": BADGES,
        "is_live": cursor is None and endpoint.disabled_at is None,
    }


def _is_pending(delivery: WebhookDelivery) -> bool:
    return delivery.status is DeliveryStatus.PENDING


def _calls(endpoint: WebhookEndpoint) -> tuple[Call, ...]:
    here = f"/v1/webhooks/{endpoint.id}"
    return (
        Call("PATCH", here, {"enabled": endpoint.disabled_at is not None}),
        Call("POST", f"{here}/rotate-secret"),
        Call("GET", f"{here}/deliveries"),
        Call("POST", "/v1/webhooks/deliveries/DELIVERY_ID/replay"),
        Call("DELETE", here),
    )
