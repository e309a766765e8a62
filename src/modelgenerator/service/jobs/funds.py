"""Whether the money that is held for a training covers the time that it used.

In: the time so far.  Out: nothing while it does; more is held before it is used up.  Where nothing
is charged, it always does.
"""

from datetime import timedelta

from modelgenerator.service.billing.prices import training_charge
from modelgenerator.service.errors import InsufficientFunds
from modelgenerator.service.operations.paying import ledger_of, payment_key
from modelgenerator.service.operations.service import Service
from modelgenerator.service.records.jobs import Fault, Job, JobError, JobKind

AHEAD = timedelta(seconds=10)
"""More is held so long before it is needed: to write a checkpoint takes its time."""
MINUTE = timedelta(minutes=1)


class Funds:
    """Of one attempt."""

    def __init__(self, service: Service, job: Job) -> None:
        self._service, self._job = service, job
        self._is_asked = job.kind is JobKind.TRAIN
        self._held: int | None = None

    def lack(self, used_ms: int) -> JobError | None:
        """What the job ends with, when the organization cannot pay the next minute.

        Raises:
            StoreBusy: ask again.
        """
        soon = training_charge(self._job.prices, timedelta(milliseconds=used_ms) + AHEAD)
        if not self._is_asked or (self._held is not None and soon <= self._held):
            return None
        minute = training_charge(self._job.prices, MINUTE)
        try:
            with self._service.database.transaction() as transaction:
                store, key = transaction.of(self._job.organization_id), payment_key(self._job)
                ledger = ledger_of(self._service, store, self._service.clock())
                held = ledger.held(key)
                if held is not None and soon > held:
                    ledger.hold_more(key, soon - held + minute)
                    held = soon + minute
        except InsufficientFunds as error:
            return _insufficient(error)
        self._held, self._is_asked = held, held is not None
        return None


def _insufficient(error: InsufficientFunds) -> JobError:
    return JobError(
        code=error.code,
        message=str(error),
        fault=Fault.THEIRS,
        hint="What was trained is kept: add credits to the organization and resume.",
    )
