"""Addresses that want to be told: made, listed, changed, and what was sent to them.

In: who asks, and an address.  Out: endpoints without their secrets, which are shown once; and
deliveries, which can be sent again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from modelgenerator.service.errors import Conflict, InvalidValue
from modelgenerator.service.operations.callers import Caller, earlier_answer, remember
from modelgenerator.service.operations.service import Service
from modelgenerator.service.operations.signing import new_secret
from modelgenerator.service.operations.webhook_addresses import check_written, resolved
from modelgenerator.service.operations.webhook_messages import EVENT_TYPES
from modelgenerator.service.records.ids import new_id
from modelgenerator.service.records.organizations import Role
from modelgenerator.service.records.webhooks import (
    DeliveryStatus,
    WebhookDelivery,
    WebhookEndpoint,
)
from modelgenerator.service.store.scoped import Page
from modelgenerator.setting_faults import closest

MOST_ENDPOINTS = 50
"""Of an organization, beside those that were given with one job."""


@dataclass(frozen=True, slots=True)
class ShownEndpoint:
    """An endpoint, and its newest secret where that is shown."""

    endpoint: WebhookEndpoint
    secret: str | None


def create_webhook(
    service: Service, caller: Caller, *, url: str, event_types: Sequence[str] = ()
) -> ShownEndpoint:
    """An address that is told of everything, or of `event_types`.

    Raises:
        Forbidden: the caller is no administrator.
        AddressRefused: nothing may be sent there.
        InvalidValue: there is no such type of event.
        Conflict: there are too many endpoints.
    """
    caller.require(Role.ADMIN)
    types = checked_types(event_types)
    check_address(service, url)
    now = service.clock()
    with service.database.transaction() as transaction:
        store = transaction.of(caller.organization_id)
        if (earlier := earlier_answer(store, caller, now)) is not None:
            return ShownEndpoint(store.webhook_endpoints.get(earlier), None)
        if store.webhook_endpoints.count(job_id=None) >= MOST_ENDPOINTS:
            raise Conflict(f"There are {MOST_ENDPOINTS} webhooks already: delete one first.")
        endpoint = new_endpoint(caller.organization_id, url, now, event_types=types)
        store.webhook_endpoints.add(endpoint)
        remember(store, caller, endpoint.id)
    return ShownEndpoint(endpoint, endpoint.secrets[0])


def list_webhooks(
    service: Service, caller: Caller, cursor: str | None, *, limit: int
) -> Page[WebhookEndpoint]:
    """The organization's endpoints, without those of single jobs."""
    caller.require(Role.ADMIN)
    with service.database.reading() as transaction:
        endpoints = transaction.of(caller.organization_id).webhook_endpoints
        return endpoints.page(cursor, limit=limit, job_id=None)


def read_webhook(service: Service, caller: Caller, id: UUID) -> WebhookEndpoint:
    """One of them.

    Raises:
        NotFound: there is none.
    """
    caller.require(Role.ADMIN)
    with service.database.reading() as transaction:
        return transaction.of(caller.organization_id).webhook_endpoints.get(id)


def change_webhook(
    service: Service,
    caller: Caller,
    id: UUID,
    *,
    url: str | None = None,
    event_types: Sequence[str] | None = None,
    enabled: bool | None = None,
) -> WebhookEndpoint:
    """Another address or other types; switched off, or on again after its server was gone.

    Raises:
        NotFound: there is none.
        AddressRefused, InvalidValue: see `create_webhook`.
    """
    caller.require(Role.ADMIN)
    if url is not None:
        check_address(service, url)
    types = None if event_types is None else checked_types(event_types)
    with service.database.transaction() as transaction:
        endpoints = transaction.of(caller.organization_id).webhook_endpoints
        endpoint = endpoints.get_locked(id)
        if url is not None:
            endpoint = replace(endpoint, url=url)
        if types is not None:
            endpoint = replace(endpoint, event_types=types)
        if enabled is not None:
            off_since = None if enabled else (endpoint.disabled_at or service.clock())
            endpoint = replace(endpoint, disabled_at=off_since)
        endpoints.replace(endpoint)
    return endpoint


def rotate_secret(
    service: Service, caller: Caller, id: UUID, *, keep_old: bool = True
) -> ShownEndpoint:
    """A new secret; messages are signed with the one before it too, until the next rotation.

    The same request again changes nothing, and shows no secret.

    Raises:
        NotFound: there is none.
    """
    caller.require(Role.ADMIN)
    with service.database.transaction() as transaction:
        store, now = transaction.of(caller.organization_id), service.clock()
        endpoints = store.webhook_endpoints
        if (earlier := earlier_answer(store, caller, now)) is not None:
            return ShownEndpoint(endpoints.get(earlier), None)
        endpoint = endpoints.get_locked(id)
        old = endpoint.secrets[:1] if keep_old else ()
        endpoint = replace(endpoint, secrets=(new_secret(), *old))
        endpoints.replace(endpoint)
        remember(store, caller, endpoint.id)
    return ShownEndpoint(endpoint, endpoint.secrets[0])


def delete_webhook(service: Service, caller: Caller, id: UUID) -> None:
    """The endpoint and what was to be sent to it.

    Raises:
        NotFound: there is none.
    """
    caller.require(Role.ADMIN)
    with service.database.transaction() as transaction:
        transaction.of(caller.organization_id).webhook_endpoints.delete(id)


def list_deliveries(
    service: Service, caller: Caller, id: UUID, cursor: str | None, *, limit: int
) -> Page[WebhookDelivery]:
    """What was sent to an endpoint, or is to be, the newest first.

    Raises:
        NotFound: there is no such endpoint.
    """
    caller.require(Role.ADMIN)
    with service.database.reading() as transaction:
        store = transaction.of(caller.organization_id)
        store.webhook_endpoints.get(id)
        return store.webhook_deliveries.page(cursor, limit=limit, endpoint_id=id)


def read_delivery(service: Service, caller: Caller, id: UUID) -> WebhookDelivery:
    """One message.

    Raises:
        NotFound: there is none.
    """
    caller.require(Role.ADMIN)
    with service.database.reading() as transaction:
        return transaction.of(caller.organization_id).webhook_deliveries.get(id)


def replay_delivery(service: Service, caller: Caller, id: UUID) -> WebhookDelivery:
    """Send a message again, with its old id, as if it were new.

    Raises:
        NotFound: there is none.
        Conflict: its endpoint is switched off.
    """
    caller.require(Role.ADMIN)
    now = service.clock()
    with service.database.transaction() as transaction:
        store = transaction.of(caller.organization_id)
        delivery = store.webhook_deliveries.get_locked(id)
        if store.webhook_endpoints.get(delivery.endpoint_id).disabled_at is not None:
            raise Conflict("The webhook is switched off: switch it on first.")
        again = replace(
            delivery,
            status=DeliveryStatus.PENDING,
            tries=0,
            next_try_at=now,
            delivered_at=None,
        )
        store.webhook_deliveries.replace(again)
    return again


def new_endpoint(
    organization_id: UUID,
    url: str,
    now: datetime,
    *,
    event_types: tuple[str, ...] = (),
    job_id: UUID | None = None,
) -> WebhookEndpoint:
    """An endpoint with a secret of its own; `url` was checked."""
    return WebhookEndpoint(
        id=new_id(now),
        organization_id=organization_id,
        url=url,
        secrets=(new_secret(),),
        event_types=event_types,
        job_id=job_id,
        created_at=now,
    )


def message_id(delivery: WebhookDelivery) -> str:
    """By which the receiver knows a message again; the same over all tries."""
    return f"msg_{delivery.id.hex}"


def check_address(service: Service, url: str, *, field: str = "url") -> None:
    """Refuse at once what would be refused at every message; asks a name server.

    Raises:
        AddressRefused: nothing may be sent there.
    """
    check_written(url, field=field)
    allows_private = service.config.webhook_private_networks
    resolved(url, allows_private=allows_private, field=field)


def checked_types(event_types: Sequence[str]) -> tuple[str, ...]:
    """Raises InvalidValue: there is no such type of event."""
    for type in event_types:
        if type not in EVENT_TYPES:
            near = closest(type, EVENT_TYPES)
            meant = f" Do you mean {near}?" if near else f" There are {', '.join(EVENT_TYPES)}."
            raise InvalidValue(f"There is no event {type!r}.{meant}", field="eventTypes")
    return tuple(dict.fromkeys(event_types))
