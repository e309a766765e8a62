"""What a training was made from: the template as it was, and a photo of what it learns.

In: who asks, and which training.  Out: records as they are, to be shown beside it.
"""

from dataclasses import dataclass
from uuid import UUID

from modelgenerator.service.operations.callers import Caller
from modelgenerator.service.operations.service import Service
from modelgenerator.service.records.datasets import DatasetPicture
from modelgenerator.service.records.organizations import Role
from modelgenerator.service.records.trainings import Template, TemplateVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOrigin:
    """Where a training comes from."""

    template: Template | None
    version: TemplateVersion | None
    """None: it was started without a template."""
    photo: DatasetPicture | None
    """The first of its dataset as it is now."""


def read_origin(service: Service, caller: Caller, id: UUID) -> TrainingOrigin:
    """Raises NotFound: there is no such training."""
    caller.require(Role.VIEWER)
    with service.database.reading() as transaction:
        store = transaction.of(caller.organization_id)
        training = store.trainings.there(id)
        version_id = training.template_version_id
        version = None if version_id is None else store.template_versions.find(version_id)
        dataset_id = store.snapshots.get(training.snapshot_id).dataset_id
        return TrainingOrigin(
            template=None if version is None else store.templates.find(version.template_id),
            version=version,
            photo=store.pictures.covers([dataset_id]).get(dataset_id),
        )
