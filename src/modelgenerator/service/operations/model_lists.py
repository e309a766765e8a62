"""The trained models of an organization, each with the training that it is from.

In: who asks.  Out: a piece of the list.  What has expired is shown as such; what was deleted with
its training is not.
"""

from dataclasses import dataclass

from modelgenerator.service.operations.callers import Caller
from modelgenerator.service.operations.service import Service
from modelgenerator.service.records.datasets import Subject
from modelgenerator.service.records.organizations import Role
from modelgenerator.service.records.trainings import TrainedModel, Training
from modelgenerator.service.store.scoped import Page


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedModel:
    """A trained model and where it comes from."""

    model: TrainedModel
    training: Training
    subject: Subject | None


def list_models(
    service: Service, caller: Caller, cursor: str | None, *, limit: int
) -> Page[ListedModel]:
    """The newest first.

    Raises:
        InvalidValue: a cursor that no page gave, or a limit out of range.
    """
    caller.require(Role.VIEWER)
    with service.database.reading() as transaction:
        store = transaction.of(caller.organization_id)
        page = store.trained_models.listed(cursor, limit=limit)
        trainings = store.trainings.some(model.training_id for model in page.items)
        datasets = store.snapshots.dataset_ids(it.snapshot_id for it in trainings.values())
        subjects = {
            it.dataset_id: it for it in store.subjects.among("dataset_id", datasets.values())
        }
    items = [(model, trainings[model.training_id]) for model in page.items]
    return Page(
        tuple(
            ListedModel(
                model=model,
                training=training,
                subject=subjects.get(datasets[training.snapshot_id]),
            )
            for model, training in items
        ),
        page.next_cursor,
    )
