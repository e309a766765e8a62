"""A dataset as it is now, kept for the trainings that work on it.

In: a dataset that may still change.  Out: a snapshot that never does; the same pictures, captions
and masks in the same order are the same snapshot.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from uuid import UUID

from modelgenerator.service.operations.datasets import as_snapshot
from modelgenerator.service.records.datasets import DatasetSnapshot, SnapshotPicture
from modelgenerator.service.records.ids import new_id
from modelgenerator.service.store.transaction import OrganizationStore


def pictures_now(store: OrganizationStore, dataset_id: UUID) -> tuple[SnapshotPicture, ...]:
    """The pictures of a dataset, as a training would see them.

    Raises:
        NotFound: there is no such dataset.
    """
    store.datasets.get(dataset_id)
    return tuple(as_snapshot(picture) for picture in store.pictures.in_order(dataset_id))


def snapshot_of(store: OrganizationStore, dataset_id: UUID, now: datetime) -> DatasetSnapshot:
    """The dataset as it is in this transaction.

    Raises:
        NotFound: there is no such dataset.
    """
    pictures = pictures_now(store, dataset_id)
    fingerprint = fingerprint_of(pictures)
    earlier = store.snapshots.first(dataset_id=dataset_id, fingerprint=fingerprint)
    if earlier is not None:
        return earlier
    snapshot = DatasetSnapshot(
        id=new_id(now),
        organization_id=store.organization_id,
        dataset_id=dataset_id,
        fingerprint=fingerprint,
        pictures=pictures,
        created_at=now,
    )
    store.snapshots.add(snapshot)
    return snapshot


def fingerprint_of(pictures: Iterable[SnapshotPicture]) -> str:
    """SHA-256 over all that is known of them, in their order."""
    facts = [asdict(picture) for picture in pictures]
    return hashlib.sha256(json.dumps(facts, default=str).encode()).hexdigest()
