"""What an organization has, holds back and has paid; whole microdollars throughout."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The sums of an organization's entries and of its open holds."""

    organization_id: UUID
    balance: int
    held: int

    @property
    def available(self) -> int:
        """What new work may take."""
        return self.balance - self.held


class EntryKind(StrEnum):
    CREDIT = "credit"  # added by a person or a payment
    TRAINING = "training"
    PICTURES = "pictures"
    FLOW_RUN = "flowRun"
    OBJECT_TRANSFORMER = "objectTransformer"
    ZIPPER = "zipper"
    OBJECT_GENERATOR = "objectGenerator"
    REFUND = "refund"


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """Money that came or went; never changes."""

    id: UUID
    organization_id: UUID
    key: str
    """One of a kind in the organization: what was written once is not written twice."""
    kind: EntryKind
    amount: int
    """Negative when the organization paid."""
    balance_after: int
    job_id: UUID | None
    memo: str
    """In words: 40 minutes of training."""
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Money that is kept back for work that has been accepted."""

    id: UUID
    organization_id: UUID
    key: str
    amount: int
    job_id: UUID | None
    created_at: datetime
    released_at: datetime | None = None
