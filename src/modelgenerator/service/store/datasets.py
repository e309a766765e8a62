"""Subjects, datasets, their pictures, and the snapshots that trainings work on."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, Index, UniqueConstraint, and_, func, select, update

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
    UniqueConstraint("dataset_id", "upload_sha256"),
    UniqueConstraint("dataset_id", "label"),
    UniqueConstraint("dataset_id", "position"),
    Index(None, "organization_id", "dataset_id", "id"),
    called="picture",
    dataset_id=belongs_to("datasets.id"),
)
SNAPSHOTS = kind_of(
    DatasetSnapshot,
    "dataset_snapshots",
    Index(None, "organization_id", "dataset_id", "id"),
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

    def counts(self, dataset_ids: Iterable[UUID]) -> dict[UUID, int]:
        """How many pictures each of these datasets has; those without any are left out."""
        dataset = self._columns.dataset_id
        counted = select(dataset, func.count().label("pictures")).group_by(dataset)
        query = counted.where(self._one_of("dataset_id", dataset_ids))
        return {row.dataset_id: row.pictures for row in self._connection.execute(query)}

    def covers(self, dataset_ids: Iterable[UUID]) -> dict[UUID, DatasetPicture]:
        """The first picture of each of these datasets."""
        dataset, position = self._columns.dataset_id, self._columns.position
        these = self._one_of("dataset_id", dataset_ids)
        firsts = select(dataset, func.min(position).label("first")).where(these).group_by(dataset)
        first = firsts.subquery()
        is_first = and_(dataset == first.c.dataset_id, position == first.c.first)
        query = select(PICTURES.table).join(first, is_first)
        pictures = (PICTURES.read(row) for row in self._connection.execute(query))
        return {picture.dataset_id: picture for picture in pictures}

    def labels(self, dataset_id: UUID) -> list[str]:
        """What a dataset's pictures are called."""
        query = select(self._columns.label).where(self._where(dataset_id=dataset_id))
        return list(self._connection.execute(query).scalars())

    def put_in_order(self, dataset_id: UUID, ids: Sequence[UUID]) -> None:
        """`ids` are all of the dataset's pictures, as a person wants to see them."""
        table = self._kind.table
        mine = self._where(dataset_id=dataset_id)
        # a position is one of a kind at every moment: below zero nobody is in the way
        self._connection.execute(update(table).where(mine).values(position=-1 - table.c.position))
        for position, id in enumerate(ids):
            this = update(table).where(mine, self._columns.id == id)
            self._connection.execute(this.values(position=position))


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
