"""Stored files of trainings and inferences that were deleted: receipts first, then the files.

In: what is deleted, within the transaction that deletes it.  Out: a receipt; and afterwards files
that are gone, and a receipt that says when.  A server that dies in between finds the receipt
unfinished and goes on.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from modelgenerator.service.errors import StorageUnreachable
from modelgenerator.service.operations.service import Service
from modelgenerator.service.records.deletions import DeletionReceipt
from modelgenerator.service.records.ids import new_id
from modelgenerator.service.records.trainings import JsonObject
from modelgenerator.service.store.files import Files
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
    """Delete the files; while some are left, or it is not known, the receipt stays unfinished."""
    try:
        removed = sum(_remove(service.files, place) for place in receipt.storage_prefixes)
        is_empty = not any(next(_keys(service.files, it), None) for it in receipt.storage_prefixes)
    except StorageUnreachable:
        _log.warning("files are deleted later: the storage does not answer")
        return receipt
    with service.database.transaction() as transaction:
        receipts = transaction.of(receipt.organization_id).deletion_receipts
        finished = _finished(receipts.get_locked(receipt.id), removed)
        finished = replace(finished, completed_at=service.clock() if is_empty else None)
        receipts.replace(finished)
    service.database.forget_deleted()
    return finished


def _finished(receipt: DeletionReceipt, removed: int) -> DeletionReceipt:
    files = receipt.counts.get("files", 0)
    assert isinstance(files, int)
    return replace(receipt, counts={**receipt.counts, "files": files + removed})


def _keys(files: Files, place: str) -> Iterator[str]:
    """Files at or below a key."""
    if files.has(place):
        yield place
    yield from files.keys(place)


def _remove(files: Files, place: str) -> int:
    keys = [*_keys(files, place)]
    for key in keys:
        files.delete(key)
    return len(keys)
