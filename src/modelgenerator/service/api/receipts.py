"""Receipts of what a person had deleted."""

from collections.abc import Mapping
from datetime import datetime
from typing import Self
from uuid import UUID

from fastapi import APIRouter

from modelgenerator.service.api.asking import CallerHere, ServiceHere
from modelgenerator.service.api.problems import problems
from modelgenerator.service.api.shapes import Shape
from modelgenerator.service.operations import deletions
from modelgenerator.service.records.deletions import DeletionReceipt

router = APIRouter(prefix="/v1/deletions", tags=["deletions"])


class Receipt(Shape):
    """That something was deleted, without any of it."""

    id: UUID
    kind: str
    """What was deleted: subject, dataset."""
    target_id: UUID
    counts: Mapping[str, object]
    """Records and files by kind; none yet while something that was cancelled still runs."""
    hashes: tuple[str, ...]
    """SHA-256 of the files that were deleted."""
    requested_at: datetime
    completed_at: datetime | None
    """When nothing of it was left in the storage."""

    @classmethod
    def of(cls, receipt: DeletionReceipt) -> Self:
        """The shape of a receipt."""
        return cls(
            id=receipt.id,
            kind=receipt.kind,
            target_id=receipt.target_id,
            counts=receipt.counts,
            hashes=receipt.sha256s,
            requested_at=receipt.requested_at,
            completed_at=receipt.completed_at,
        )


@router.get("/{id}", responses=problems(404))
def read_receipt(service: ServiceHere, caller: CallerHere, id: UUID) -> Receipt:
    """How far a deletion is."""
    return Receipt.of(deletions.read_receipt(service, caller, id))
