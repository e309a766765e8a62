"""What stays of deleted pictures' work: when it ran and what it cost, without what a person said.

In: a dataset that is being deleted and the jobs of its pictures, all of which have ended, within a
transaction.  Out: nothing; jobs, entries, messages and runs say less than before.
"""

from collections.abc import Iterable
from dataclasses import replace
from uuid import UUID

from modelgenerator.service.records.flows import FlowRun, StepResult
from modelgenerator.service.records.jobs import Job
from modelgenerator.service.records.trainings import JsonObject
from modelgenerator.service.store.transaction import OrganizationStore


def leave_tombstones(store: OrganizationStore, dataset_id: UUID, jobs: Iterable[Job]) -> None:
    """Forget the words of all that worked with the pictures."""
    run_ids = {run.id for run in store.flow_runs.given(dataset_id)}
    for job in jobs:
        store.jobs.leave_tombstone(job.id)
        store.accounts.reword(job.id, "Deleted")
        store.webhook_deliveries.forget_error(job.target_id)
        run_ids |= {step.run_id for step in store.step_results.all(job_id=job.id)}
    for id in sorted(run_ids):
        _forget_run(store, store.flow_runs.get_locked(id))


def _forget_run(store: OrganizationStore, run: FlowRun) -> None:
    for step in store.step_results.in_order(run.id):
        store.step_results.replace(_without_words(step))
    store.run_events.forget_errors(run.id)
    store.webhook_deliveries.forget_error(run.id)
    if run.finished_at is not None:  # one that goes on fails by itself: the pictures are gone
        store.flow_runs.replace(replace(run, input={}, error=_code_of(run.error)))


def _without_words(step: StepResult) -> StepResult:
    return replace(step, parameters={}, result=None, error=_code_of(step.error))


def _code_of(error: JsonObject | None) -> JsonObject | None:
    return error and {"code": error.get("code"), "message": "Deleted."}
