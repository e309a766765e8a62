"""The outbox: what is to be told to whom, written with what it tells of, sent afterwards."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, Index, Text, cast, select, update

from modelgenerator.service.records.webhooks import (
    DeliveryStatus,
    WebhookDelivery,
    WebhookEndpoint,
)
from modelgenerator.service.store.columns import belongs_to, kind_of
from modelgenerator.service.store.scoped import OrganizationScope, Records

ENDPOINTS = kind_of(
    WebhookEndpoint,
    "webhook_endpoints",
    Index(None, "organization_id", "job_id", "id"),
    called="webhook endpoint",
    job_id=belongs_to("jobs.id"),
)
DELIVERIES = kind_of(
    WebhookDelivery,
    "webhook_deliveries",
    Index(None, "status", "next_try_at"),
    Index(None, "organization_id", "endpoint_id", "id"),
    called="webhook delivery",
    endpoint_id=belongs_to("webhook_endpoints.id"),
)


class Deliveries(Records[WebhookDelivery]):
    """What an organization's endpoints are told."""

    def __init__(self, scope: OrganizationScope) -> None:
        super().__init__(scope, DELIVERIES)

    def forget_error(self, target_id: UUID) -> None:
        """Leave out of all messages about a thing why it failed: that may name what is deleted."""
        told = cast(self._columns.payload, Text)
        query = self._select().where(told.contains(str(target_id)), told.contains('"error"'))
        for row in self._connection.execute(query).all():
            delivery = DELIVERIES.read(row)
            data = delivery.payload["data"]
            assert isinstance(data, Mapping)
            kept = {name: value for name, value in data.items() if name != "error"}
            self.replace(replace(delivery, payload={**delivery.payload, "data": kept}))


class Outbox:
    """The deliveries of all organizations, for whoever sends them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def claim_due(
        self, now: datetime, *, limit: int, again_after: timedelta
    ) -> list[tuple[WebhookDelivery, WebhookEndpoint]]:
        """Deliveries whose time has come, and where they go.

        They come up again `again_after` from now unless `tried` says how it went: a sender that
        dies delays a message and does not lose it.
        """
        columns = DELIVERIES.table.columns
        due = (
            select(columns.id)
            .where(columns.status == DeliveryStatus.PENDING, columns.next_try_at <= now)
            .order_by(columns.next_try_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        claimed = (
            update(DELIVERIES.table)
            .where(columns.id.in_(due), columns.status == DeliveryStatus.PENDING)
            .values(next_try_at=now + again_after)
            .returning(DELIVERIES.table)
        )
        deliveries = [DELIVERIES.read(row) for row in self._connection.execute(claimed)]
        return [(delivery, self._endpoint(delivery)) for delivery in deliveries]

    def tried(
        self,
        delivery: WebhookDelivery,
        *,
        now: datetime,
        response: str,
        delivered: bool,
        next_try_at: datetime | None,
    ) -> WebhookDelivery:
        """Remember how a try went; with `next_try_at` None it was the last."""
        status = DeliveryStatus.PENDING
        if delivered or next_try_at is None:
            status = DeliveryStatus.DELIVERED if delivered else DeliveryStatus.EXHAUSTED
        after = replace(
            delivery,
            status=status,
            tries=delivery.tries + 1,
            response=response,
            next_try_at=next_try_at or now,
            delivered_at=now if delivered else None,
        )
        table = DELIVERIES.table
        statement = update(table).where(table.columns.id == delivery.id)
        self._connection.execute(statement.values(DELIVERIES.row(after)))
        return after

    def _endpoint(self, delivery: WebhookDelivery) -> WebhookEndpoint:
        table = ENDPOINTS.table
        query = select(table).where(table.columns.id == delivery.endpoint_id)
        return ENDPOINTS.read(self._connection.execute(query).one())
