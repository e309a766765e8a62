"""Webhooks over HTTP."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import Field

from modelgenerator.service.api.asking import CallerHere, ServiceHere
from modelgenerator.service.api.problems import problems
from modelgenerator.service.api.shapes import Body, PageOf, PagingHere, Shape
from modelgenerator.service.operations import webhooks
from modelgenerator.service.records.webhooks import (
    DeliveryStatus,
    WebhookDelivery,
    WebhookEndpoint,
)

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])


class NewWebhook(Body):
    """An address that wants to be told."""

    url: str
    event_types: list[str] = Field(default_factory=list, max_length=50)
    """`training.succeeded` and so on; none is everything."""


class WebhookChange(Body):
    """What is to be different; what is left out stays."""

    url: str | None = None
    event_types: list[str] | None = Field(None, max_length=50)
    enabled: bool | None = None


class WebhookShape(Shape):
    """An address that is told."""

    id: UUID
    url: str
    event_types: tuple[str, ...]
    enabled: bool
    """False: switched off, by a person or because its server said that it is gone."""
    created_at: datetime
    secret: str | None = None
    """Signs the messages; shown when it is new, and not again."""


class DeliveryShape(Shape):
    """One message to one address."""

    id: UUID
    message_id: str
    """In the header `webhook-id`: the same whenever it is sent again."""
    type: str
    payload: Mapping[str, object]
    status: DeliveryStatus
    tries: int
    next_try_at: datetime | None
    response: str | None
    """What the last try got: a status, or why there is none."""
    created_at: datetime
    delivered_at: datetime | None


@router.post("", status_code=201, responses=problems(409))
def create_webhook(service: ServiceHere, caller: CallerHere, body: NewWebhook) -> WebhookShape:
    """Tell an address of what happens; its secret is shown in this answer only."""
    made = webhooks.create_webhook(service, caller, url=body.url, event_types=body.event_types)
    return _shape(made.endpoint, made.secret)


@router.get("", responses=problems())
def list_webhooks(
    service: ServiceHere, caller: CallerHere, paging: PagingHere
) -> PageOf[WebhookShape]:
    """The organization's webhooks, the newest first."""
    page = webhooks.list_webhooks(service, caller, paging.cursor, limit=paging.limit)
    return PageOf[WebhookShape].of(page, _shape)


@router.get("/{id}", responses=problems(404))
def read_webhook(service: ServiceHere, caller: CallerHere, id: UUID) -> WebhookShape:
    """One webhook."""
    return _shape(webhooks.read_webhook(service, caller, id))


@router.patch("/{id}", responses=problems(404))
def change_webhook(
    service: ServiceHere, caller: CallerHere, id: UUID, body: WebhookChange
) -> WebhookShape:
    """Give it another address or other events, or switch it off or on."""
    changed = webhooks.change_webhook(
        service, caller, id, url=body.url, event_types=body.event_types, enabled=body.enabled
    )
    return _shape(changed)


@router.delete("/{id}", status_code=204, responses=problems(404))
def delete_webhook(service: ServiceHere, caller: CallerHere, id: UUID) -> Response:
    """Tell it nothing more."""
    webhooks.delete_webhook(service, caller, id)
    return Response(status_code=204)


@router.post("/{id}/rotate-secret", responses=problems(404))
def rotate_webhook_secret(
    service: ServiceHere,
    caller: CallerHere,
    id: UUID,
    keep_old: Annotated[
        bool, Query(alias="keepOld", description="Sign with the old one too, until the next time")
    ] = True,
) -> WebhookShape:
    """Give it a new secret, which is shown in this answer only."""
    made = webhooks.rotate_secret(service, caller, id, keep_old=keep_old)
    return _shape(made.endpoint, made.secret)


@router.get("/{id}/deliveries", responses=problems(404))
def list_webhook_deliveries(
    service: ServiceHere, caller: CallerHere, id: UUID, paging: PagingHere
) -> PageOf[DeliveryShape]:
    """What was sent to it, or is to be, the newest first."""
    page = webhooks.list_deliveries(service, caller, id, paging.cursor, limit=paging.limit)
    return PageOf[DeliveryShape].of(page, _delivery)


@router.post("/deliveries/{id}/replay", status_code=202, responses=problems(404, 409))
def replay_webhook_delivery(service: ServiceHere, caller: CallerHere, id: UUID) -> DeliveryShape:
    """Send a message again."""
    return _delivery(webhooks.replay_delivery(service, caller, id))


def _shape(endpoint: WebhookEndpoint, secret: str | None = None) -> WebhookShape:
    return WebhookShape(
        id=endpoint.id,
        url=endpoint.url,
        event_types=endpoint.event_types,
        enabled=endpoint.disabled_at is None,
        created_at=endpoint.created_at,
        secret=secret,
    )


def _delivery(delivery: WebhookDelivery) -> DeliveryShape:
    is_pending = delivery.status is DeliveryStatus.PENDING
    return DeliveryShape(
        id=delivery.id,
        message_id=webhooks.message_id(delivery),
        type=delivery.type,
        payload=delivery.payload,
        status=delivery.status,
        tries=delivery.tries,
        next_try_at=delivery.next_try_at if is_pending else None,
        response=delivery.response,
        created_at=delivery.created_at,
        delivered_at=delivery.delivered_at,
    )
