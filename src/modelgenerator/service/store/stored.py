"""How much of what is kept for one organization."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Table, func, literal, select

from modelgenerator.flows.definition import StepType
from modelgenerator.service.records.flows import RunStatus
from modelgenerator.service.store.datasets import PICTURES
from modelgenerator.service.store.flows import STEP_RESULTS
from modelgenerator.service.store.generations import GENERATED_PICTURES
from modelgenerator.service.store.scoped import OrganizationScope
from modelgenerator.service.store.trainings import TRAINED_MODELS


@dataclass(frozen=True, slots=True)
class Kept:
    """How many there are, and their bytes."""

    count: int
    byte_count: int


@dataclass(frozen=True, slots=True)
class StoredByKind:
    """What an organization keeps."""

    photos: Kept
    models: Kept
    pictures: Kept
    archives: int
    """How many; their bytes are in no record."""

    @property
    def byte_count(self) -> int:
        """What counts towards the quota."""
        return sum(it.byte_count for it in (self.photos, self.models, self.pictures))


def stored_by_kind(scope: OrganizationScope) -> StoredByKind:
    """Everything that has not been deleted; four statements."""
    model, step = TRAINED_MODELS.table.columns, STEP_RESULTS.table.columns
    archive = (step.type == StepType.ZIPPER, step.status == RunStatus.SUCCEEDED)
    return StoredByKind(
        photos=_kept(scope, PICTURES.table),
        models=_kept(scope, TRAINED_MODELS.table, model.deleted_at.is_(None)),
        pictures=_kept(scope, GENERATED_PICTURES.table),
        archives=_count(scope, STEP_RESULTS.table, *archive, step.result.is_not(None)),
    )


def _kept(scope: OrganizationScope, table: Table, *more: ColumnElement[bool]) -> Kept:
    mine = table.columns.organization_id == scope.organization_id
    total = func.coalesce(func.sum(table.columns.byte_count), literal(0))
    query = select(func.count(), total).select_from(table).where(mine, *more)
    count, byte_count = scope.connection.execute(query).one()
    return Kept(count, int(byte_count))


def _count(scope: OrganizationScope, table: Table, *more: ColumnElement[bool]) -> int:
    mine = table.columns.organization_id == scope.organization_id
    query = select(func.count()).select_from(table).where(mine, *more)
    return scope.connection.execute(query).scalar_one()
