"""Which stored files of a dataset may go when nothing in the dataset itself needs them any more.

In: keys.  Out: those that no snapshot names: a training goes on with what it was given, also when
the dataset changes.
"""

from collections.abc import Iterable
from uuid import UUID

from modelgenerator.service.store.transaction import OrganizationStore


def no_longer_needed(store: OrganizationStore, dataset_id: UUID, keys: Iterable[str]) -> list[str]:
    """The keys among `keys` that no snapshot of the dataset names."""
    needed: set[str] = set()
    for snapshot in store.snapshots.all(dataset_id=dataset_id):
        for picture in snapshot.pictures:
            needed |= {picture.storage_key, picture.mask_key or ""}
    return [key for key in keys if key not in needed]
