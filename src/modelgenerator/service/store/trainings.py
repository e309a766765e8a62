"""Training templates, trainings, and trained models."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, Index, UniqueConstraint, and_, func, select

from modelgenerator.service.records.datasets import DatasetSnapshot
from modelgenerator.service.records.jobs import JobStatus
from modelgenerator.service.records.trainings import (
    Template,
    TemplateVersion,
    TrainedModel,
    Training,
)
from modelgenerator.service.store.columns import belongs_to, kind_of, refers_to
from modelgenerator.service.store.datasets import SNAPSHOTS
from modelgenerator.service.store.job_tables import JOBS
from modelgenerator.service.store.scoped import OrganizationScope, Page, Records, Unchanging

TEMPLATES = kind_of(Template, "training_templates", called="training template")
TEMPLATE_VERSIONS = kind_of(
    TemplateVersion,
    "training_template_versions",
    UniqueConstraint("template_id", "number"),
    called="version of a training template",
    template_id=belongs_to("training_templates.id"),
)
TRAININGS = kind_of(
    Training,
    "trainings",
    Index(None, "snapshot_id"),
    called="training",
    snapshot_id=refers_to("dataset_snapshots.id"),
    template_version_id=refers_to("training_template_versions.id"),
    job_id=refers_to("jobs.id"),
    flow_run_id=refers_to("flow_runs.id"),
)
TRAINED_MODELS = kind_of(
    TrainedModel,
    "trained_models",
    UniqueConstraint("training_id"),
    Index(None, "deleted_at", "expires_at"),
    called="trained model",
    training_id=belongs_to("trainings.id"),
)


class Trainings(Records[Training]):
    """The trainings of an organization."""

    def __init__(self, scope: OrganizationScope) -> None:
        super().__init__(scope, TRAININGS)

    def there(self, id: UUID) -> Training:
        """The training with this id, unless it was deleted.

        Raises:
            NotFound: there is none any more, or it is another organization's.
        """
        return self._there(self.first(id=id, deleted_at=None), id)

    def listed(
        self,
        cursor: str | None = None,
        *,
        limit: int = 50,
        status: JobStatus | None = None,
        dataset_id: UUID | None = None,
    ) -> Page[Training]:
        """As `page`, those that were not deleted; by the status of the newest job, and the dataset.

        Raises:
            InvalidValue: see `page`.
        """
        query = self._select(deleted_at=None)
        if status is not None:
            job = JOBS.table.columns
            query = query.join(JOBS.table, job.id == self._columns.job_id)
            query = query.where(job.status == status)
        if dataset_id is not None:
            snapshot = SNAPSHOTS.table.columns
            query = query.join(SNAPSHOTS.table, snapshot.id == self._columns.snapshot_id)
            query = query.where(snapshot.dataset_id == dataset_id)
        return self._page(query, cursor, limit)

    def of_template(
        self, template_id: UUID, cursor: str | None = None, *, limit: int = 50
    ) -> Page[Training]:
        """As `page`, those that were not deleted and were made from any version of a template.

        Raises:
            InvalidValue: see `page`.
        """
        version = TEMPLATE_VERSIONS.table.columns
        query = self._select(deleted_at=None).join(TEMPLATE_VERSIONS.table)
        return self._page(query.where(version.template_id == template_id), cursor, limit)


class TrainedModels(Records[TrainedModel]):
    """What an organization's trainings made."""

    def __init__(self, scope: OrganizationScope) -> None:
        super().__init__(scope, TRAINED_MODELS)

    def expiring(self, now: datetime, before: datetime, *, limit: int) -> list[TrainedModel]:
        """Those that can still be used, but not after `before`; what goes first is first."""
        expiry = self._columns.expires_at
        these = self._select(deleted_at=None).where(expiry > now, expiry <= before)
        rows = self._connection.execute(these.order_by(expiry).limit(limit))
        return [TRAINED_MODELS.read(row) for row in rows]

    def listed(self, cursor: str | None = None, *, limit: int = 50) -> Page[TrainedModel]:
        """As `page`, those whose training was not deleted: an expired model is still shown.

        Raises:
            InvalidValue: see `page`.
        """
        training = TRAININGS.table.columns
        query = self._select().join(TRAININGS.table, training.id == self._columns.training_id)
        return self._page(query.where(training.deleted_at.is_(None)), cursor, limit)

    def usable(self, now: datetime, *, limit: int) -> list[TrainedModel]:
        """Those whose weights are there, the newest first."""
        query = (
            self._select(deleted_at=None)
            .where(self._columns.expires_at > now)
            .order_by(self._columns.id.desc())
            .limit(limit)
        )
        return [self._kind.read(row) for row in self._connection.execute(query)]


class TemplateVersions(Unchanging[TemplateVersion]):
    """What an organization's templates say, and said."""

    def __init__(self, scope: OrganizationScope) -> None:
        super().__init__(scope, TEMPLATE_VERSIONS)

    def newest(self, template_id: UUID) -> TemplateVersion | None:
        """The version that a training takes."""
        number = select(func.max(self._columns.number)).where(self._where(template_id=template_id))
        return self.first(template_id=template_id, number=number.scalar_subquery())

    def newest_of(self, template_ids: Iterable[UUID]) -> dict[UUID, TemplateVersion]:
        """The same of several templates, by their ids."""
        of, number = self._columns.template_id, self._columns.number
        last = (
            select(of, func.max(number).label("number"))
            .where(self._one_of("template_id", template_ids))
            .group_by(of)
            .subquery("last")
        )
        is_last = and_(last.columns.template_id == of, last.columns.number == number)
        query = self._select().join(last, is_last)
        rows = self._connection.execute(query)
        return {row.template_id: TEMPLATE_VERSIONS.read(row) for row in rows}

    def times_used(self, template_ids: Iterable[UUID]) -> dict[UUID, int]:
        """How many trainings were made from any version of each; without any: left out."""
        of, training = self._columns.template_id, TRAININGS.table.columns
        query = (
            select(of, func.count().label("trainings"))
            .select_from(TRAININGS.table.join(TEMPLATE_VERSIONS.table))
            .where(
                self._one_of("template_id", template_ids),
                training.organization_id == self._scope.organization_id,
            )
            .group_by(of)
        )
        return {row.template_id: row.trainings for row in self._connection.execute(query)}


class Snapshots(Unchanging[DatasetSnapshot]):
    """Datasets as trainings were given them."""

    def __init__(self, scope: OrganizationScope) -> None:
        super().__init__(scope, SNAPSHOTS)

    def dataset_ids(self, ids: Iterable[UUID]) -> dict[UUID, UUID]:
        """Of which datasets these snapshots are."""
        columns = self._columns
        these = select(columns.id, columns.dataset_id).where(self._one_of("id", ids))
        return {row.id: row.dataset_id for row in self._connection.execute(these)}

    def trainings_of(self, dataset_id: UUID) -> list[Training]:
        """All trainings that a dataset was given to, the oldest first."""
        training = TRAININGS.table.columns
        query = (
            select(TRAININGS.table).join(SNAPSHOTS.table).where(self._where(dataset_id=dataset_id))
        )
        rows = self._connection.execute(query.order_by(training.id))
        return [TRAININGS.read(row) for row in rows]

    def times_trained(self, dataset_ids: Iterable[UUID]) -> dict[UUID, int]:
        """How many trainings of each of these datasets were not deleted; without any: left out."""
        dataset, training = self._columns.dataset_id, TRAININGS.table.columns
        # an expression, so that SQLite goes from snapshots to trainings and not through all of them
        snapshot_id = func.coalesce(self._columns.id, self._columns.id)
        query = (
            select(dataset, func.count().label("trainings"))
            .join(TRAININGS.table, training.snapshot_id == snapshot_id)
            .where(self._where(), dataset.in_(list(dataset_ids)), training.deleted_at.is_(None))
            .group_by(dataset)
        )
        return {row.dataset_id: row.trainings for row in self._connection.execute(query)}


def expired_models(connection: Connection, now: datetime, limit: int) -> list[TrainedModel]:
    """Models of all organizations whose weights should be gone and are not, the oldest first."""
    columns = TRAINED_MODELS.table.columns
    query = (
        select(TRAINED_MODELS.table)
        .where(columns.deleted_at.is_(None), columns.expires_at <= now)
        .order_by(columns.expires_at)
        .limit(limit)
    )
    return [TRAINED_MODELS.read(row) for row in connection.execute(query)]
