"""What there is to know at a glance: money, work, machines, what ends soon and what went wrong.

In: who asks.  Out: one look at the organization, read with a fixed number of statements.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from modelgenerator.service.operations.callers import Caller
from modelgenerator.service.operations.inferences import ShownPicture, shown_picture
from modelgenerator.service.operations.paying import paid_for_each
from modelgenerator.service.operations.service import Service
from modelgenerator.service.operations.storage_use import ExpiringModel, expiring_models
from modelgenerator.service.operations.works import Work, works_of_jobs
from modelgenerator.service.records.datasets import Subject
from modelgenerator.service.records.jobs import Job, JobStatus
from modelgenerator.service.records.money import Account, LedgerEntry
from modelgenerator.service.records.organizations import Role
from modelgenerator.service.store.transaction import Transaction

_WEEK = timedelta(days=7)
LATELY = timedelta(hours=24)
_MOST_WORK, _MOST_FAILED, _MOST_EXPIRING, _MOST_PICTURES = 20, 10, 10, 12


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkingJob:
    """A job, and what it is for."""

    job: Job
    work: Work
    cost: int
    """Microdollars; nothing is paid before it has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What jobs run on, and how much of it is taken, whoever took it."""

    is_cluster: bool
    """Jobs run on other machines: how many those are is not known here."""
    gpus: tuple[str, ...]
    """Names of this machine's; none: jobs run on its processor, or on a cluster."""
    busy: int
    """Jobs on it; each takes a GPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """One look at an organization."""

    account: Account
    spent_week: int
    """Microdollars in the last seven days."""
    spent_month: int
    """The same since the first of this month, in UTC."""
    work: tuple[WorkingJob, ...]
    """What runs and what waits, some of it."""
    queued_count: int
    machine: Machine
    expiring: tuple[ExpiringModel, ...]
    failed: tuple[WorkingJob, ...]
    """In the last day."""
    pictures: tuple[ShownPicture, ...]
    """The newest."""
    newest_subject: Subject | None
    has_trained: bool


def read_overview(service: Service, caller: Caller) -> Overview:
    """Everything that a person wants to know first."""
    caller.require(Role.VIEWER)
    now = service.clock()
    with service.database.reading() as transaction:
        store = transaction.of(caller.organization_id)
        this_month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        week, month = store.accounts.spent_since(now - _WEEK, this_month)
        unfinished = store.jobs.unfinished(limit=_MOST_WORK)
        failed = store.jobs.failed_since(now - LATELY, limit=_MOST_FAILED)
        works = works_of_jobs(store, [*unfinished, *failed])
        subjects = store.subjects.page(limit=1).items
        return Overview(
            account=store.accounts.read(),
            spent_week=week,
            spent_month=month,
            work=_of(works, unfinished, {}),
            queued_count=store.jobs.count(status=JobStatus.QUEUED),
            machine=_machine(service, transaction),
            expiring=tuple(expiring_models(store, now, limit=_MOST_EXPIRING)),
            failed=_of(works, failed, paid_for_each(store, failed)),
            pictures=tuple(
                shown_picture(service, picture)
                for picture in store.generated_pictures.page(limit=_MOST_PICTURES).items
            ),
            newest_subject=subjects[0] if subjects else None,
            has_trained=bool(store.trainings.listed(limit=1).items),
        )


def _of(
    works: Mapping[UUID, Work], jobs: Iterable[Job], paid: Mapping[UUID, LedgerEntry]
) -> tuple[WorkingJob, ...]:
    """Without those whose training was deleted."""
    return tuple(
        WorkingJob(
            job=job,
            work=works[job.id],
            cost=-paid[job.id].amount if job.id in paid else 0,
        )
        for job in jobs
        if job.id in works
    )


def _machine(service: Service, transaction: Transaction) -> Machine:
    running, on_gpus = transaction.jobs.count_running()
    names = tuple(gpu.name for gpu in service.gpus)
    is_cluster = service.config.executor == "ray"
    return Machine(is_cluster=is_cluster, gpus=names, busy=on_gpus if names else running)
