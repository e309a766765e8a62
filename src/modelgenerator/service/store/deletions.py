"""Receipts of what was deleted, and what is still to be removed from the storage."""

from sqlalchemy import Connection, Index, select

from modelgenerator.service.records.deletions import DeletionReceipt
from modelgenerator.service.store.columns import kind_of

RECEIPTS = kind_of(
    DeletionReceipt,
    "deletion_receipts",
    Index(None, "completed_at"),
    Index(None, "organization_id", "target_id", "id"),
    called="deletion receipt",
)


def unfinished_deletions(connection: Connection) -> list[DeletionReceipt]:
    """Receipts of all organizations whose files are not known to be gone, the oldest first."""
    columns = RECEIPTS.table.columns
    query = select(RECEIPTS.table).where(columns.completed_at.is_(None)).order_by(columns.id)
    return [RECEIPTS.read(row) for row in connection.execute(query)]
