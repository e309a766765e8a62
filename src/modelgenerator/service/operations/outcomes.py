"""What follows when a job has ended, in the transaction in which it ends.

In: the job as it is after its end, and what its body left.  Out: records: a trained model, a
charge, the next step of a run, messages to be sent.  Whoever ends a job, a worker, a cancel, the
sweeper or a refused start, calls `record_end` once, in the same transaction.  What a job leaves
before its end, pictures, is written down by `record_picture`.
"""

from collections.abc import Callable, Mapping

from modelgenerator.service.operations.inference_ends import when_inference_ended
from modelgenerator.service.operations.pictures import add_picture
from modelgenerator.service.operations.run_steps import when_step_job_ended
from modelgenerator.service.operations.service import Service
from modelgenerator.service.operations.training_ends import when_training_ended
from modelgenerator.service.records.job_specs import DrawnPicture
from modelgenerator.service.records.jobs import Job, JobKind
from modelgenerator.service.records.trainings import JsonObject
from modelgenerator.service.store.transaction import Transaction

WhenEnded = Callable[[Service, Transaction, Job, JsonObject | None], None]

_WHEN_ENDED: Mapping[JobKind, WhenEnded] = {
    JobKind.TRAIN: when_training_ended,
    JobKind.GENERATE: when_inference_ended,
}


def record_end(
    service: Service, transaction: Transaction, job: Job, result: JsonObject | None
) -> None:
    """Write down all that follows from the end of `job`; `result` is there when it succeeded."""
    assert job.status.is_final, "it has ended"
    if (when_ended := _WHEN_ENDED.get(job.kind)) is not None:
        when_ended(service, transaction, job, result)
    when_step_job_ended(service, transaction, job, result)


def record_picture(
    service: Service, transaction: Transaction, job: Job, drawn: DrawnPicture
) -> None:
    """Write down a picture of a job that may still draw others."""
    add_picture(transaction.of(job.organization_id), job, drawn, service.clock())
