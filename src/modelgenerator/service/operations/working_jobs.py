"""Jobs as a person knows them: what each is for, what it cost, and why it waits.

In: jobs of one organization, within a transaction.  Out: the same with words.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from modelgenerator.service.operations.waiting import Waiting
from modelgenerator.service.operations.works import Work
from modelgenerator.service.records.jobs import Job
from modelgenerator.service.records.money import LedgerEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkingJob:
    """A job, and what it is for."""

    job: Job
    work: Work
    cost: int = 0
    """Microdollars; nothing is paid before it has ended."""
    waiting: Waiting | None = None
    """Why, where it waits."""


def working_jobs(
    works: Mapping[UUID, Work],
    jobs: Iterable[Job],
    *,
    paid: Mapping[UUID, LedgerEntry] | None = None,
    waiting: Mapping[UUID, Waiting] | None = None,
) -> tuple[WorkingJob, ...]:
    """Without those whose training was deleted; all are by the job's id."""
    paid, waiting = paid or {}, waiting or {}
    return tuple(
        WorkingJob(
            job=job,
            work=works[job.id],
            cost=-paid[job.id].amount if job.id in paid else 0,
            waiting=waiting.get(job.id),
        )
        for job in jobs
        if job.id in works
    )
