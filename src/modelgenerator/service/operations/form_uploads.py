"""Pictures that are uploaded for a flow's form: a dataset that waits to be taken by a run.

In: who will run the flow.  Out: a dataset that is deleted in a day unless a run has taken it.  How
pictures get into it is known elsewhere.
"""

from contextlib import suppress
from datetime import timedelta
from uuid import UUID

from modelgenerator.service.errors import Conflict, NotFound
from modelgenerator.service.operations.callers import Caller, earlier_answer, remember
from modelgenerator.service.operations.deletions import delete_dataset
from modelgenerator.service.operations.flows import read_flow
from modelgenerator.service.operations.service import Service
from modelgenerator.service.records.datasets import Dataset, Origin
from modelgenerator.service.records.ids import new_id
from modelgenerator.service.records.organizations import Role

UPLOADS_WAIT = timedelta(days=1)


def start_upload(service: Service, caller: Caller, flow_id: UUID) -> Dataset:
    """A dataset for a dataset property of the flow's form, with no pictures in it.

    Raises:
        NotFound: there is no such flow.
    """
    caller.require(Role.MEMBER)
    read_flow(service, caller, flow_id)
    return add_waiting_dataset(service, caller)


def add_waiting_dataset(service: Service, caller: Caller) -> Dataset:
    """The same, where it is known that there is such a flow."""
    now = service.clock()
    dataset = Dataset(
        id=new_id(now),
        organization_id=caller.organization_id,
        origin=Origin.FLOW,
        created_at=now,
        expires_at=now + UPLOADS_WAIT,
    )
    with service.database.transaction() as transaction:
        store = transaction.of(caller.organization_id)
        if (earlier := earlier_answer(store, caller, now)) is not None:
            return store.datasets.get(earlier)
        store.datasets.add(dataset)
        remember(store, caller, dataset.id)
    return dataset


def is_waiting_upload(service: Service, caller: Caller, dataset_id: UUID) -> bool:
    """Whether this dataset was uploaded for a form and no run has taken it yet."""
    caller.require(Role.MEMBER)
    with service.database.reading() as transaction:
        dataset = transaction.of(caller.organization_id).datasets.find(dataset_id)
    if dataset is None or dataset.origin is not Origin.FLOW or dataset.expires_at is None:
        return False
    return dataset.expires_at > service.clock()


def forget_uploads(service: Service) -> int:
    """Delete the datasets that no run has taken in time, with every picture; how many."""
    with service.database.reading() as transaction:
        waited = transaction.expired_datasets(service.clock())
    for dataset in waited:
        owner = Caller(organization_id=dataset.organization_id, role=Role.OWNER)
        with suppress(NotFound, Conflict):  # somebody else has deleted it, or still needs it
            delete_dataset(service, owner, dataset.id)
    return len(waited)
