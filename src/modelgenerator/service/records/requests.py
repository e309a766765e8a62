"""Requests that must not happen twice."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from modelgenerator.service.records.trainings import JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotencyKey:
    """What was answered to the first request with this key."""

    organization_id: UUID
    key: str
    fingerprint: str
    """SHA-256 over method, address and body: the same key with another request is an error."""
    status: int
    body: JsonObject
    created_at: datetime
