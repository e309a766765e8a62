"""The trained models of an organization, each with the training that it is from.

In: who asks.  Out: a piece of the list of all, or those that pictures can be drawn with.  What has
expired is shown as such in the list; what was deleted with its training is not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from modelgenerator.service.operations.callers import Caller
from modelgenerator.service.operations.service import Service
from modelgenerator.service.records.datasets import Subject
from modelgenerator.service.records.organizations import Role
from modelgenerator.service.records.trainings import TrainedModel, Training
from modelgenerator.service.store.scoped import Page
from modelgenerator.service.store.transaction import OrganizationStore


@dataclass(frozen=True, kw_only=True)
class ChoosableModel:
    """A trained model and where it comes from."""

    training: Training
    model: TrainedModel
    subject: Subject | None
    """None: its pictures came with a flow."""

    @property
    def name(self) -> str:
        """Whom it shows and which training it is from."""
        named = self.training.name
        if self.subject is None or named.startswith(self.subject.name):
            return named
        return f"{self.subject.name}: {named}"

    @property
    def trigger(self) -> str:
        """The words that every caption began with; empty if there were none."""
        return str(self.training.settings.get("captionPrefix") or "")


def list_models(
    service: Service, caller: Caller, cursor: str | None, *, limit: int
) -> Page[ChoosableModel]:
    """The newest first.

    Raises:
        InvalidValue: a cursor that no page gave, or a limit out of range.
    """
    caller.require(Role.VIEWER)
    with service.database.reading() as transaction:
        store = transaction.of(caller.organization_id)
        page = store.trained_models.listed(cursor, limit=limit)
        return Page(tuple(_choosable(store, page.items)), page.next_cursor)


def choosable_models(service: Service, caller: Caller, *, limit: int) -> list[ChoosableModel]:
    """Trained models whose weights are there, the newest first."""
    caller.require(Role.VIEWER)
    with service.database.reading() as transaction:
        store = transaction.of(caller.organization_id)
        return _choosable(store, store.trained_models.usable(service.clock(), limit=limit))


def choosable_model(service: Service, caller: Caller, training_id: UUID) -> ChoosableModel | None:
    """That of one training, used up or not; none as long as it has made none.

    Raises:
        NotFound: there is no such training.
    """
    caller.require(Role.VIEWER)
    with service.database.reading() as transaction:
        store = transaction.of(caller.organization_id)
        store.trainings.there(training_id)
        model = store.trained_models.first(training_id=training_id)
        return None if model is None else _choosable(store, [model])[0]


def _choosable(store: OrganizationStore, models: Sequence[TrainedModel]) -> list[ChoosableModel]:
    """With as many statements for many as for one."""
    trainings = store.trainings.some(model.training_id for model in models)
    datasets = store.snapshots.dataset_ids(training.snapshot_id for training in trainings.values())
    found = store.subjects.among("dataset_id", set(datasets.values()))
    subjects = {subject.dataset_id: subject for subject in found}
    chosen = [(model, trainings[model.training_id]) for model in models]
    return [
        ChoosableModel(
            training=training, model=model, subject=subjects.get(datasets[training.snapshot_id])
        )
        for model, training in chosen
    ]
