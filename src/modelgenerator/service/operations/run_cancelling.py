"""To end a run: what its step waits for or does is ended too.

In: who asks, and which run.  Out: a run that has been cancelled, or will be as soon as its step has
stopped.  What was used until then is paid; results so far are kept.
"""

from contextlib import suppress
from dataclasses import replace
from uuid import UUID

from modelgenerator.service.errors import AlreadyFinished
from modelgenerator.service.operations.callers import Caller
from modelgenerator.service.operations.cancelling import ask_to_end
from modelgenerator.service.operations.run_steps import end_run
from modelgenerator.service.operations.service import Service
from modelgenerator.service.records.flows import FlowRun, RunStatus, StepResult
from modelgenerator.service.records.organizations import Role
from modelgenerator.service.store.transaction import OrganizationStore, Transaction


def cancel_run(service: Service, caller: Caller, id: UUID) -> None:
    """Asked twice, it changes nothing.

    Raises:
        NotFound: there is no such run.
        AlreadyFinished: it has ended.
    """
    caller.require(Role.MEMBER)
    with service.database.transaction() as transaction:
        store = transaction.of(caller.organization_id)
        # first the job, then the run: the order in which those lock them who end a job
        first = _working(store, id)
        _end_job(service, transaction, store, first)
        _cancel(service, store, id)
        if (begun := _working(store, id)) != first:
            _end_job(service, transaction, store, begun)  # begun a moment ago
    service.news.tell(id)
    service.news.work_came()


def _cancel(service: Service, store: OrganizationStore, id: UUID) -> None:
    run: FlowRun = store.flow_runs.get_locked(id)
    if run.status is RunStatus.CANCELLED:
        return
    if run.status in (RunStatus.SUCCEEDED, RunStatus.FAILED):
        raise AlreadyFinished(f"The run has ended already: it {run.status.in_words}.")
    if run.cancel_requested_at is None:
        run = replace(run, cancel_requested_at=service.clock())
        store.flow_runs.replace(run)
    begun = [step for step in store.step_results.in_order(id) if step.status is RunStatus.RUNNING]
    if not begun:
        end_run(service, store, run, RunStatus.CANCELLED)


def _working(store: OrganizationStore, id: UUID) -> StepResult | None:
    """The step whose job waits or runs."""
    store.flow_runs.get(id)
    return next(
        (
            step
            for step in store.step_results.in_order(id)
            if step.status is RunStatus.RUNNING and step.job_id is not None
        ),
        None,
    )


def _end_job(
    service: Service, transaction: Transaction, store: OrganizationStore, step: StepResult | None
) -> None:
    if step is None or step.job_id is None:
        return
    with suppress(AlreadyFinished):  # a moment ago: what follows from that has been written
        ask_to_end(service, transaction, store, step.job_id)
    service.news.tell(step.job_id)
