"""Addresses that want to be told, and what is still to be told them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from modelgenerator.service.records.trainings import JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEndpoint:
    id: UUID
    organization_id: UUID
    url: str
    secrets: tuple[str, ...]
    """All sign, so that one can be replaced; the newest first."""
    event_types: tuple[str, ...]
    """What it wants to be told; none: everything."""
    job_id: UUID | None
    """Set if it was given with one job and is told of that one only."""
    created_at: datetime
    disabled_at: datetime | None = None


class DeliveryStatus(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    EXHAUSTED = "exhausted"  # tried as often as promised


NEXT_DELIVERY_STATUSES: Mapping[DeliveryStatus, frozenset[DeliveryStatus]] = {
    DeliveryStatus.PENDING: frozenset({DeliveryStatus.DELIVERED, DeliveryStatus.EXHAUSTED}),
    # a person may send either again
    DeliveryStatus.DELIVERED: frozenset({DeliveryStatus.PENDING}),
    DeliveryStatus.EXHAUSTED: frozenset({DeliveryStatus.PENDING}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookDelivery:
    """One message to one endpoint, written in the transaction that it tells of."""

    id: UUID
    """Stays the same over all tries: the receiver knows a repetition by it."""
    organization_id: UUID
    endpoint_id: UUID
    type: str
    payload: JsonObject
    status: DeliveryStatus
    tries: int
    next_try_at: datetime
    response: str | None
    """What the last try got: a status, or why there is none."""
    created_at: datetime
    delivered_at: datetime | None = None
