"""What follows when an inference's job has ended: a charge for what was drawn, and messages.

In: the job as it ended, within the transaction in which it ended.  Out: records.
"""

from modelgenerator.service.billing.prices import pictures_charge
from modelgenerator.service.operations.paying import settle
from modelgenerator.service.operations.service import Service
from modelgenerator.service.operations.webhook_messages import tell_of_end
from modelgenerator.service.records.jobs import Job
from modelgenerator.service.records.money import EntryKind
from modelgenerator.service.records.trainings import JsonObject
from modelgenerator.service.store.transaction import Transaction


def when_inference_ended(
    service: Service, transaction: Transaction, job: Job, result: JsonObject | None
) -> None:
    """Every picture that is there was added before."""
    del result  # pictures were told one by one
    store, now = transaction.of(job.organization_id), service.clock()
    count = store.generated_pictures.count(inference_id=job.target_id)
    memo = "1 picture" if count == 1 else f"{count} pictures"
    cost = pictures_charge(job.prices, count)
    settle(service, store, job, EntryKind.PICTURES, cost, memo=memo, now=now)
    tell_of_end(store, job, now)
