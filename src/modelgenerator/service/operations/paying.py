"""How a job is paid: held when it is accepted, settled when it has ended.

In: a job within a transaction.  Out: entries under a key that is the job's own, so that nothing is
paid twice.
"""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from modelgenerator.service.billing.ledger import Ledger
from modelgenerator.service.errors import in_dollars
from modelgenerator.service.operations.service import Service
from modelgenerator.service.records.jobs import Fault, Job, JobKind, JobStatus
from modelgenerator.service.records.money import EntryKind, LedgerEntry
from modelgenerator.service.store.transaction import OrganizationStore

OUR_FAULT = "This is our fault, not yours."
_CHARGED_FOR = {
    JobKind.TRAIN: "the time that was used",
    JobKind.GENERATE: "the pictures that were drawn",
    JobKind.ZIP: "what was packed",
    JobKind.GENERATE_OBJECTS: "what was written",
}


def payment_key(job: Job) -> str:
    """Under which a job's hold and its charge are kept."""
    return f"job {job.id.hex}"


def hold_estimate(service: Service, store: OrganizationStore, job: Job) -> None:
    """Keep the job's estimate back; the job was added before.

    Raises:
        InsufficientFunds: less than that is there and not held for other work.
    """
    ledger = ledger_of(service, store, job.created_at)
    ledger.hold(payment_key(job), job.estimate, job_id=job.id)


def settle(
    service: Service,
    store: OrganizationStore,
    job: Job,
    kind: EntryKind,
    cost: int,
    *,
    memo: str,
    now: datetime,
) -> LedgerEntry | None:
    """Take what the job cost; nothing if it was our fault, and nothing more than is there."""
    is_ours = is_our_fault(job)
    words = f"{memo}: free, it was not your fault" if is_ours else memo
    ledger = ledger_of(service, store, now)
    return ledger.settle(payment_key(job), kind, 0 if is_ours else cost, memo=words)


def paid_for_each(store: OrganizationStore, jobs: Iterable[Job]) -> dict[UUID, LedgerEntry]:
    """What was taken for the jobs of a page, by their ids; of those alone that have ended."""
    keys = {job.id: payment_key(job) for job in jobs}
    entries = store.accounts.entries.among("job_id", keys)
    return {it.job_id: it for it in entries if it.job_id and it.key == keys[it.job_id]}


def is_our_fault(job: Job) -> bool:
    """Whether the job failed and the person can do nothing about it."""
    return (
        job.status is JobStatus.FAILED and job.error is not None and job.error.fault is Fault.OURS
    )


def charged_sentence(job: Job, cost: int) -> str:
    """What was charged for a job that did not go to its end, and for what, in words."""
    if is_our_fault(job):
        return "Nothing was charged: it was not your fault."
    if not cost:
        return "Nothing was charged."
    return f"{in_dollars(cost)} was charged for {_CHARGED_FOR[job.kind]}."


def hint_without_charge(hint: str | None) -> str | None:
    """A job's hint for a page that says `charged_sentence` beside it."""
    return None if hint is None else hint.removeprefix("Nothing was charged.").strip() or None


def ledger_of(service: Service, store: OrganizationStore, now: datetime) -> Ledger:
    """The organization's, as this deployment charges."""
    return Ledger(store.accounts, now, is_charging=service.config.billing)
