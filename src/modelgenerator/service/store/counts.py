"""How much there is of what, in all organizations together: for who watches the service."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from modelgenerator.service.records.jobs import JobStatus
from modelgenerator.service.records.webhooks import DeliveryStatus
from modelgenerator.service.store.deletions import RECEIPTS
from modelgenerator.service.store.job_tables import JOBS
from modelgenerator.service.store.webhooks import DELIVERIES


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerCounts:
    """One state of the ledger, in numbers."""

    jobs: Mapping[tuple[str, str], int]
    """By kind and status."""
    oldest_queued_at: datetime | None
    pending_deliveries: int
    unfinished_deletions: int


def ledger_counts(connection: Connection) -> LedgerCounts:
    """What is there now."""
    job = JOBS.table.columns
    by_kind = select(job.kind, job.status, func.count()).group_by(job.kind, job.status)
    rows = connection.execute(by_kind).all()
    oldest = select(func.min(job.created_at)).where(job.status == JobStatus.QUEUED)
    deliveries, receipts = DELIVERIES.table.columns, RECEIPTS.table.columns
    pending = select(func.count()).where(deliveries.status == DeliveryStatus.PENDING)
    unfinished = select(func.count()).where(receipts.completed_at.is_(None))
    return LedgerCounts(
        jobs={(str(kind), str(status)): count for kind, status, count in rows},
        oldest_queued_at=connection.execute(oldest).scalar_one(),
        pending_deliveries=connection.execute(pending).scalar_one(),
        unfinished_deletions=connection.execute(unfinished).scalar_one(),
    )
