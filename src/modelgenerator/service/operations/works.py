"""What money and jobs belong to, as a person knows it: a training, pictures, a run.

In: jobs and ledger entries, within a transaction.  Out: for each a name and an id that lead to its
page; nothing for what has gone, or never belonged to anything.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from modelgenerator.service.records.jobs import Job, JobKind
from modelgenerator.service.records.money import LedgerEntry
from modelgenerator.service.store.transaction import OrganizationStore

_PAID_FOR_RUN = re.compile(r"(?:refund of )?run ([0-9a-f]{32})(?: |$)")
"""Keys of entries without a job: see `runs`."""


class WorkKind(StrEnum):
    """What was asked for."""

    TRAINING = "training"
    PICTURES = "pictures"
    RUN = "run"


@dataclass(frozen=True, slots=True)
class Work:
    """Something that was asked for, and has a page."""

    kind: WorkKind
    id: UUID
    name: str


def works_of_jobs(store: OrganizationStore, jobs: Iterable[Job]) -> dict[UUID, Work]:
    """What each job works for, by the job's id; of a step its run.  Five statements."""
    jobs = [*jobs]
    by_target = {
        **_trainings(store, _targets(jobs, JobKind.TRAIN)),
        **_pictures(store, _targets(jobs, JobKind.GENERATE)),
    }
    steps = store.step_results.some(_targets(jobs, JobKind.ZIP, JobKind.GENERATE_OBJECTS))
    runs = works_of_runs(store, {step.run_id for step in steps.values()})
    by_target |= {id: runs[step.run_id] for id, step in steps.items() if step.run_id in runs}
    return {job.id: by_target[job.target_id] for job in jobs if job.target_id in by_target}


def works_of_runs(store: OrganizationStore, ids: Iterable[UUID]) -> dict[UUID, Work]:
    """Runs by their ids, each named as its flow."""
    runs = store.flow_runs.some(ids)
    flows = store.flows.some({run.flow_id for run in runs.values()})
    return {
        id: Work(WorkKind.RUN, id, flows[run.flow_id].title)
        for id, run in runs.items()
        if run.flow_id in flows
    }


def works_of_entries(
    store: OrganizationStore, entries: Iterable[LedgerEntry]
) -> Mapping[UUID, Work]:
    """What was paid for, by the entry's id."""
    entries = [*entries]
    jobs = store.jobs.some({entry.job_id for entry in entries if entry.job_id is not None})
    by_job = works_of_jobs(store, jobs.values())
    run_ids = {entry.id: id for entry in entries if (id := _run_paid_for(entry)) is not None}
    runs = works_of_runs(store, set(run_ids.values()))
    of_jobs = {it.id: by_job[it.job_id] for it in entries if it.job_id and it.job_id in by_job}
    return of_jobs | {id: runs[run_id] for id, run_id in run_ids.items() if run_id in runs}


def _trainings(store: OrganizationStore, ids: set[UUID]) -> dict[UUID, Work]:
    found = store.trainings.some(ids)
    return {
        id: Work(WorkKind.TRAINING, id, training.name)
        for id, training in found.items()
        if training.deleted_at is None
    }


def _pictures(store: OrganizationStore, ids: set[UUID]) -> dict[UUID, Work]:
    return {
        id: Work(WorkKind.PICTURES, id, _first_prompt(inference.images))
        for id, inference in store.inferences.some(ids).items()
    }


def _first_prompt(images: Iterable[Mapping[str, object]]) -> str:
    asked = [str(image.get("prompt", "")) for image in images]
    more = f" and {len(asked) - 1} more" if len(asked) > 1 else ""
    return f"{asked[0][:80]}{more}" if asked else "pictures"


def _targets(jobs: Iterable[Job], *kinds: JobKind) -> set[UUID]:
    return {job.target_id for job in jobs if job.kind in kinds}


def _run_paid_for(entry: LedgerEntry) -> UUID | None:
    found = _PAID_FOR_RUN.match(entry.key)
    return None if found is None else UUID(hex=found[1])
