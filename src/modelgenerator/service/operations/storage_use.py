"""What is kept for an organization: how much of what, and what goes when.

In: who asks.  Out: counts and bytes by kind, the room that is left, and the models that expire
soonest.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from modelgenerator.service.operations.callers import Caller
from modelgenerator.service.operations.service import Service
from modelgenerator.service.records.deletions import DeletionReceipt
from modelgenerator.service.records.organizations import Role
from modelgenerator.service.records.trainings import TrainedModel, Training
from modelgenerator.service.store.scoped import Page
from modelgenerator.service.store.stored import StoredByKind
from modelgenerator.service.store.transaction import OrganizationStore

SOON = timedelta(days=14)
"""Of models that expire: they are shown beforehand."""
_GIGABYTE = 1_000_000_000
_NEARLY_FULL = 0.1
_NEARLY_FULL_BYTES = 5 * _GIGABYTE


@dataclass(frozen=True, slots=True)
class Disk:
    """Where the data folder is."""

    free: int
    total: int

    @property
    def is_nearly_full(self) -> bool:
        """Whether somebody should make room soon."""
        return self.free < min(self.total * _NEARLY_FULL, _NEARLY_FULL_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageUse:
    """What is kept for an organization."""

    stored: StoredByKind
    quota: int
    """Bytes that photos, models and pictures may take together."""
    disk: Disk

    @property
    def used(self) -> int:
        """Bytes of what counts towards the quota."""
        return self.stored.byte_count


@dataclass(frozen=True, slots=True)
class ExpiringModel:
    """A trained model, and the training that made it."""

    model: TrainedModel
    training: Training


def read_storage_use(service: Service, caller: Caller) -> StorageUse:
    """How much is kept."""
    caller.require(Role.VIEWER)
    with service.database.reading() as transaction:
        kept = transaction.of(caller.organization_id).stored()
    disk = shutil.disk_usage(service.config.data_dir)
    return StorageUse(
        stored=kept,
        quota=service.config.storage_gigabytes * _GIGABYTE,
        disk=Disk(disk.free, disk.total),
    )


def list_expiring(service: Service, caller: Caller, *, limit: int) -> Sequence[ExpiringModel]:
    """The models whose weights go within `SOON`, the first of them first."""
    caller.require(Role.VIEWER)
    with service.database.reading() as transaction:
        store = transaction.of(caller.organization_id)
        return expiring_models(store, service.clock(), limit=limit)


def expiring_models(
    store: OrganizationStore, now: datetime, *, limit: int
) -> Sequence[ExpiringModel]:
    """The same within a transaction."""
    models = store.trained_models.expiring(now, now + SOON, limit=limit)
    trainings = store.trainings.some({model.training_id for model in models})
    return [ExpiringModel(model, trainings[model.training_id]) for model in models]


def list_receipts(
    service: Service, caller: Caller, cursor: str | None, *, limit: int
) -> Page[DeletionReceipt]:
    """What was deleted, the newest first."""
    caller.require(Role.VIEWER)
    with service.database.reading() as transaction:
        return transaction.of(caller.organization_id).deletion_receipts.page(cursor, limit=limit)
