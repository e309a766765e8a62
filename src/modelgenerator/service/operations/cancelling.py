"""To end what was asked for, while it waits or runs.

In: who asks, and which training or inference.  Out: what waited has ended, what runs is asked to
end and does so at its next step.  What it used until then is paid, as `outcomes` settles it.
"""

from uuid import UUID

from modelgenerator.service.operations.callers import Caller
from modelgenerator.service.operations.outcomes import record_end
from modelgenerator.service.operations.service import Service
from modelgenerator.service.records.jobs import Job
from modelgenerator.service.records.organizations import Role
from modelgenerator.service.store.transaction import OrganizationStore, Transaction


def cancel_training(service: Service, caller: Caller, id: UUID) -> None:
    """Asked twice, it changes nothing.

    Raises:
        NotFound: there is none.
        AlreadyFinished: it has ended.
    """
    caller.require(Role.MEMBER)
    with service.database.transaction() as transaction:
        store = transaction.of(caller.organization_id)
        job = ask_to_end(service, transaction, store, store.trainings.there(id).job_id)
    _tell(service, job)


def cancel_inference(service: Service, caller: Caller, id: UUID) -> None:
    """Pictures that are drawn already are kept, and paid.

    Raises:
        NotFound: there is none.
        AlreadyFinished: it has ended.
    """
    caller.require(Role.MEMBER)
    with service.database.transaction() as transaction:
        store = transaction.of(caller.organization_id)
        job = ask_to_end(service, transaction, store, store.inferences.get(id).job_id)
    _tell(service, job)


def ask_to_end(
    service: Service, transaction: Transaction, store: OrganizationStore, job_id: UUID
) -> Job:
    """The job as it is afterwards: cancelled if it waited, with all that follows.

    Raises:
        AlreadyFinished: it has ended.
    """
    job = store.jobs.cancel(job_id, service.clock())
    if job.status.is_final:
        record_end(service, transaction, job, None)
    return job


def _tell(service: Service, job: Job) -> None:
    service.news.tell(job.id)
    service.news.work_came()
