"""What is left of data that a person had deleted."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from modelgenerator.service.records.trainings import JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletionReceipt:
    """That something was deleted, without any of it."""

    id: UUID
    organization_id: UUID
    kind: str
    """What was deleted: subject, dataset, organization."""
    target_id: UUID
    storage_prefixes: tuple[str, ...]
    """What is to be removed from the storage."""
    counts: JsonObject
    """Records and files by kind."""
    sha256s: tuple[str, ...]
    """Of the files that were deleted."""
    requested_at: datetime
    completed_at: datetime | None = None
    """When the storage was found empty of it."""
