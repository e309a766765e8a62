"""Subjects, datasets, their pictures, and the snapshots that trainings work on."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, Index, UniqueConstraint, func, select

from modelgenerator.service.records.datasets import (
    Dataset,
    DatasetPicture,
    DatasetSnapshot,
    Subject,
)
from modelgenerator.service.store.columns import belongs_to, kind_of, refers_to
from modelgenerator.service.store.scoped import OrganizationScope, Records

DATASETS = kind_of(Dataset, "datasets", Index(None, "expires_at"), called="dataset")
SUBJECTS = kind_of(
    Subject,
    "subjects",
    UniqueConstraint("dataset_id"),
    called="subject",
    dataset_id=refers_to("datasets.id"),
)
PICTURES = kind_of(
    DatasetPicture,
    "dataset_pictures",
    UniqueConstraint("dataset_id", "sha256"),
    UniqueConstraint("dataset_id", "position"),
    called="picture",
    dataset_id=belongs_to("datasets.id"),
)
SNAPSHOTS = kind_of(
    DatasetSnapshot,
    "dataset_snapshots",
    called="dataset snapshot",
    dataset_id=belongs_to("datasets.id"),
)


class Pictures(Records[DatasetPicture]):
    """The pictures of an organization's datasets."""

    def __init__(self, scope: OrganizationScope) -> None:
        super().__init__(scope, PICTURES)

    def in_order(self, dataset_id: UUID) -> list[DatasetPicture]:
        """A dataset's pictures as a person sees them."""
        query = self._select(dataset_id=dataset_id).order_by(self._columns.position)
        return [PICTURES.read(row) for row in self._connection.execute(query)]

    def next_position(self, dataset_id: UUID) -> int:
        """Behind all that are there; from 0."""
        last = select(func.max(self._columns.position)).where(self._where(dataset_id=dataset_id))
        position = self._connection.execute(last).scalar_one()
        return 0 if position is None else position + 1


def expired_datasets(connection: Connection, now: datetime, limit: int) -> list[Dataset]:
    """Datasets of all organizations that nobody took in time, the oldest first."""
    columns = DATASETS.table.columns
    query = (
        select(DATASETS.table)
        .where(columns.expires_at <= now)
        .order_by(columns.expires_at)
        .limit(limit)
    )
    return [DATASETS.read(row) for row in connection.execute(query)]
