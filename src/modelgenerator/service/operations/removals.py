"""Stored files of trainings and inferences that were deleted: receipts first, then the files.

In: what is deleted, within the transaction that deletes it.  Out: a receipt, by which `deletions`
empties the storage afterwards.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from modelgenerator.service.records.deletions import DeletionReceipt
from modelgenerator.service.records.ids import new_id
from modelgenerator.service.records.trainings import JsonObject
from modelgenerator.service.store.transaction import OrganizationStore


def receipt_for(
    store: OrganizationStore,
    kind: str,
    target_id: UUID,
    *,
    prefixes: Sequence[str],
    counts: JsonObject,
    sha256s: Sequence[str],
    now: datetime,
) -> DeletionReceipt:
    """Write down that everything below `prefixes` is to go."""
    receipt = DeletionReceipt(
        id=new_id(now),
        organization_id=store.organization_id,
        kind=kind,
        target_id=target_id,
        storage_prefixes=tuple(prefixes),
        counts=counts,
        sha256s=tuple(sha256s),
        requested_at=now,
    )
    store.deletion_receipts.add(receipt)
    return receipt


def open_again(store: OrganizationStore, target_id: UUID) -> None:
    """Something may have been written after the files were deleted: they are deleted again."""
    for receipt in store.deletion_receipts.all(target_id=target_id):
        store.deletion_receipts.replace(replace(receipt, completed_at=None))
