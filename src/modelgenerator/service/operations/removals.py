"""Stored files of trainings and inferences that were deleted: receipts first, then the files.

In: what is deleted, within the transaction that deletes it.  Out: a receipt; and afterwards files
that are gone, and a receipt that says when.  A server that dies in between finds the receipt
unfinished and goes on.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from modelgenerator.service.errors import StorageUnreachable
from modelgenerator.service.operations.service import Service
from modelgenerator.service.records.deletions import DeletionReceipt
from modelgenerator.service.records.ids import new_id
from modelgenerator.service.records.trainings import JsonObject
from modelgenerator.service.store.transaction import OrganizationStore

_log = logging.getLogger(__name__)


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


def finish_removal(service: Service, receipt: DeletionReceipt) -> DeletionReceipt:
    """Delete the files; when the storage does not answer, the receipt stays unfinished."""
    try:
        for prefix in receipt.storage_prefixes:
            service.files.delete_all(prefix)
    except StorageUnreachable:
        _log.warning("files are deleted later: the storage does not answer")
        return receipt
    finished = replace(receipt, completed_at=service.clock())
    with service.database.transaction() as transaction:
        transaction.of(receipt.organization_id).deletion_receipts.replace(finished)
    return finished
