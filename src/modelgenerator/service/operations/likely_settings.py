"""What a training of a subject would most likely begin with.

In: a dataset.  Out: a base model and a trigger word, as far as they are known: those of its newest
training, or those that the sample subject is made for.
"""

from modelgenerator.service.operations.callers import Caller
from modelgenerator.service.operations.datasets import DatasetSeen
from modelgenerator.service.operations.sample_subject import SETTINGS, is_sample
from modelgenerator.service.operations.service import Service
from modelgenerator.service.records.organizations import Role


def likely_settings(service: Service, caller: Caller, seen: DatasetSeen) -> dict[str, str]:
    """Of `baseModel` and `captionPrefix` what is known, by these names."""
    caller.require(Role.VIEWER)
    with service.database.reading() as transaction:
        store = transaction.of(caller.organization_id)
        newest = store.trainings.listed(limit=1, dataset_id=seen.dataset.id).items
    if newest:
        settings = newest[0].settings
        return {name: str(settings[name]) for name in SETTINGS if settings.get(name)}
    return dict(SETTINGS) if is_sample(seen.pictures) else {}
