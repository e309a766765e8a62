"""What there is to know at a glance: money, work, machines, what ends soon and what went wrong.

In: who asks.  Out: one look at the organization, read with a fixed number of statements.
"""

from dataclasses import dataclass
from datetime import timedelta

from modelgenerator.service.operations.callers import Caller
from modelgenerator.service.operations.cluster import machines_of_servers
from modelgenerator.service.operations.inferences import ShownPicture, shown_picture
from modelgenerator.service.operations.paying import paid_for_each
from modelgenerator.service.operations.service import Service
from modelgenerator.service.operations.storage_use import ExpiringModel, expiring_models
from modelgenerator.service.operations.waiting import (
    Situation,
    situation_of,
    waits,
    why_it_waits,
)
from modelgenerator.service.operations.working_jobs import WorkingJob, working_jobs
from modelgenerator.service.operations.works import works_of_jobs
from modelgenerator.service.records.datasets import Subject
from modelgenerator.service.records.jobs import WAITING_FOR_MACHINE, JobStatus
from modelgenerator.service.records.money import Account
from modelgenerator.service.records.organizations import Role
from modelgenerator.service.records.servers import Machine

_WEEK = timedelta(days=7)
LATELY = timedelta(hours=24)
_MOST_WORK, _MOST_FAILED, _MOST_EXPIRING, _MOST_PICTURES = 20, 10, 10, 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Machines:
    """What jobs run on, and how much of it is taken, whoever took it."""

    there: tuple[Machine, ...]
    """None: no server takes jobs, or it has no cluster."""
    running: int
    """Jobs."""
    gpus_busy: int
    uses_gpus: bool
    """Where they are not used, though they may be there, jobs run on processors."""


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
    machines: Machines
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
        situation = situation_of(service, transaction, caller.organization_id, unfinished)
        waiting = {it.id: why_it_waits(it, situation) for it in unfinished if waits(it)}
        subjects = store.subjects.page(limit=1).items
        return Overview(
            account=store.accounts.read(),
            spent_week=week,
            spent_month=month,
            work=working_jobs(works, unfinished, waiting=waiting),
            queued_count=store.jobs.count(status=JobStatus.QUEUED),
            machines=_machines(situation),
            expiring=tuple(expiring_models(store, now, limit=_MOST_EXPIRING)),
            failed=working_jobs(works, failed, paid=paid_for_each(store, failed)),
            pictures=tuple(
                shown_picture(service, picture)
                for picture in store.generated_pictures.page(limit=_MOST_PICTURES).items
            ),
            newest_subject=subjects[0] if subjects else None,
            has_trained=bool(store.trainings.listed(limit=1).items),
        )


def _machines(situation: Situation) -> Machines:
    running = [it for it in situation.counts if it.status is JobStatus.RUNNING]
    return Machines(
        there=tuple(machines_of_servers(situation.servers)),
        running=sum(it.jobs for it in running),
        gpus_busy=sum(it.gpus for it in running if it.phase != WAITING_FOR_MACHINE),
        uses_gpus=any(places.gpus for places in situation.places),
    )
