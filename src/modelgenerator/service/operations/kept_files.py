"""Which stored files of a dataset may go when nothing in the dataset itself needs them any more.

In: keys.  Out: those that no training was given: one that is kept can go on with what it was given,
also when the dataset changes.
"""

from collections.abc import Iterable
from uuid import UUID

from modelgenerator.service.records.trainings import Training
from modelgenerator.service.store.transaction import OrganizationStore


def no_longer_needed(store: OrganizationStore, dataset_id: UUID, keys: Iterable[str]) -> list[str]:
    """The keys among `keys` that no training of the dataset was given, unless it was deleted."""
    trainings = store.snapshots.trainings_of(dataset_id)
    snapshot_ids = {one.snapshot_id for one in trainings if one.deleted_at is None}
    needed = {
        key
        for snapshot in store.snapshots.some(snapshot_ids).values()
        for picture in snapshot.pictures
        for key in (picture.storage_key, picture.mask_key)
    }
    return [key for key in keys if key not in needed]


def left_behind(store: OrganizationStore, training: Training) -> list[str]:
    """Files that were kept for a training alone, which was deleted."""
    snapshot = store.snapshots.get(training.snapshot_id)
    given = {it for one in snapshot.pictures for it in (one.storage_key, one.mask_key) if it}
    there = store.pictures.in_order(snapshot.dataset_id)
    given -= {it for one in there for it in (one.storage_key, one.mask_key) if it}
    return no_longer_needed(store, snapshot.dataset_id, sorted(given))
