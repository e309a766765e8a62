"""What a person had deleted: gone with everything that was made of it, and a receipt that says so.

In: a subject, or a dataset without one.  Out: in one transaction the records are gone and a receipt
is there; then the storage and this machine's copies are emptied, again and again until they are
empty.  Jobs and money stay, without what the person said.
"""

import shutil
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from uuid import UUID

from modelgenerator.service.errors import Conflict, StillInUse
from modelgenerator.service.operations.callers import Caller
from modelgenerator.service.operations.cancelling import ask_to_end
from modelgenerator.service.operations.derived import Derived, derived_from
from modelgenerator.service.operations.removals import finish_removal, receipt_for
from modelgenerator.service.operations.service import Service
from modelgenerator.service.operations.tombstones import leave_tombstones
from modelgenerator.service.records.deletions import DeletionReceipt
from modelgenerator.service.records.jobs import Job
from modelgenerator.service.records.organizations import Role
from modelgenerator.service.store.transaction import OrganizationStore, Transaction

SUBJECT, DATASET = "subject", "dataset"


def delete_subject(
    service: Service, caller: Caller, id: UUID, *, cancel: bool = False
) -> DeletionReceipt:
    """Delete a subject, its pictures and everything that was made of them.

    With `cancel`, what still runs is cancelled, and all of it is deleted as soon as it has ended:
    the receipt says when that was.

    Raises:
        NotFound: there is none.
        StillInUse: something runs that needs it, and `cancel` is not set.
    """
    caller.require(Role.OWNER)
    with service.database.transaction() as transaction:
        store = transaction.of(caller.organization_id)
        store.subjects.get_locked(id)
        receipt = _begun(store, SUBJECT, id, service.clock())
        receipt = _carried_out(service, transaction, receipt, cancel=cancel) or receipt
    return _emptied(service, receipt)


def delete_dataset(
    service: Service, caller: Caller, id: UUID, *, cancel: bool = False
) -> DeletionReceipt:
    """The same for a dataset that belongs to no subject.

    Raises:
        NotFound: there is none.
        Conflict: it is a subject's.
        StillInUse: something runs that needs it, and `cancel` is not set.
    """
    caller.require(Role.OWNER)
    with service.database.transaction() as transaction:
        store = transaction.of(caller.organization_id)
        store.datasets.get_locked(id)
        if store.subjects.first(dataset_id=id) is not None:
            raise Conflict("This dataset is a subject's.", hint="Delete the subject.")
        receipt = _begun(store, DATASET, id, service.clock())
        receipt = _carried_out(service, transaction, receipt, cancel=cancel) or receipt
    return _emptied(service, receipt)


def read_receipt(service: Service, caller: Caller, id: UUID) -> DeletionReceipt:
    """Raises NotFound: there is none."""
    caller.require(Role.VIEWER)
    with service.database.reading() as transaction:
        return transaction.of(caller.organization_id).deletion_receipts.get(id)


def finish_deletions(service: Service) -> int:
    """Carry on what was begun: how many receipts are complete now that were not before."""
    with service.database.reading() as transaction:
        unfinished = transaction.unfinished_deletions()
    finished = 0
    for begun in unfinished:
        receipt = begun
        if begun.kind in (SUBJECT, DATASET) and not begun.storage_prefixes:
            with service.database.transaction() as transaction:
                receipt = _carried_out(service, transaction, begun, cancel=True) or begun
        finished += _emptied(service, receipt).completed_at is not None
    forget_rooms(service)
    return finished


def forget_rooms(service: Service) -> None:
    """Remove what this machine made of datasets that are gone, whoever deleted them."""
    for room in service.rooms():
        organization_id, dataset_id = UUID(hex=room.parent.name), UUID(hex=room.name)
        with service.database.reading() as transaction:
            is_there = transaction.of(organization_id).datasets.find(dataset_id) is not None
        if not is_there:
            _remove_folder(room)


def _begun(store: OrganizationStore, kind: str, target_id: UUID, now: datetime) -> DeletionReceipt:
    """The receipt of this deletion; the one that is there, if it was asked for before."""
    earlier = store.deletion_receipts.first(kind=kind, target_id=target_id, completed_at=None)
    if earlier is not None:
        return earlier
    # what goes is written into it when it goes: a running job may still add to it
    return receipt_for(store, kind, target_id, prefixes=(), counts={}, sha256s=(), now=now)


def _carried_out(
    service: Service, transaction: Transaction, begun: DeletionReceipt, *, cancel: bool
) -> DeletionReceipt | None:
    """The receipt with what was deleted; none while something that was cancelled still runs.

    Raises:
        StillInUse: something runs, and `cancel` is not set.
    """
    store = transaction.of(begun.organization_id)
    receipt = store.deletion_receipts.get_locked(begun.id)
    if receipt.storage_prefixes:
        return receipt
    dataset_id = _dataset_of(store, receipt)
    if dataset_id is None:
        return _without_anything(store, receipt, service.clock())
    store.datasets.get_locked(dataset_id)
    derived = derived_from(store, dataset_id)
    running = [job for job in derived.jobs if not job.status.is_final]
    if running and not cancel:
        jobs = "1 job still needs" if len(running) == 1 else f"{len(running)} jobs still need"
        raise StillInUse(
            f"{jobs} these pictures.",
            hint="Wait until they have ended, or delete with cancel=true: they are cancelled then.",
        )
    still_running = [job for job in running if _cancelled(service, transaction, job)]
    if still_running:
        return None
    _delete_records(store, receipt, dataset_id, derived)
    receipt = replace(
        receipt,
        storage_prefixes=derived.prefixes,
        counts={f"{receipt.kind}s": 1, **derived.counts},
        sha256s=derived.sha256s,
    )
    store.deletion_receipts.replace(receipt)
    return receipt


def _dataset_of(store: OrganizationStore, receipt: DeletionReceipt) -> UUID | None:
    if receipt.kind == SUBJECT:
        subject = store.subjects.find(receipt.target_id)
        return subject and subject.dataset_id
    dataset = store.datasets.find(receipt.target_id) if receipt.kind == DATASET else None
    return dataset and dataset.id


def _without_anything(
    store: OrganizationStore, receipt: DeletionReceipt, now: datetime
) -> DeletionReceipt:
    """It went with something else in the meantime."""
    receipt = replace(receipt, completed_at=now)
    store.deletion_receipts.replace(receipt)
    return receipt


def _cancelled(service: Service, transaction: Transaction, job: Job) -> bool:
    """Ask a job to end; whether it still runs."""
    store = transaction.of(job.organization_id)
    return not ask_to_end(service, transaction, store, job.id).status.is_final


def _delete_records(
    store: OrganizationStore, receipt: DeletionReceipt, dataset_id: UUID, derived: Derived
) -> None:
    for inference in derived.inferences:
        store.inferences.delete(inference.id)
    for training in derived.trainings:
        store.trainings.delete(training.id)
    if receipt.kind == SUBJECT:
        store.subjects.delete(receipt.target_id)
    store.datasets.delete(dataset_id)
    leave_tombstones(store, dataset_id, derived.jobs)


def _emptied(service: Service, receipt: DeletionReceipt) -> DeletionReceipt:
    """The receipt, complete if nothing is left in the storage."""
    is_waiting = receipt.kind in (SUBJECT, DATASET) and not receipt.storage_prefixes
    if receipt.completed_at is not None or is_waiting:
        return receipt
    forget_rooms(service)
    return finish_removal(service, receipt)


def _remove_folder(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):  # others' rooms are beside it
        folder.parent.rmdir()
