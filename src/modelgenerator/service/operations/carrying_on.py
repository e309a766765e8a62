"""Runs go on: the next step of every run that waits for one is begun.

In: what is in the database, and nothing else: whoever is killed here is followed by one who sees
the same.  Out: steps with jobs, or done at once; runs that have ended.  A step is written down
before anything is made for it, and told its job after; what is made in between has a key that is
the step's, so that it is made once.
"""

import logging
from dataclasses import dataclass, replace
from uuid import UUID

from modelgenerator.errors import ModelGeneratorError
from modelgenerator.flows.definition import Flow, StepType, flow_of
from modelgenerator.flows.engine import Done, Failed, RunState, StepToRun, next_step
from modelgenerator.flows.faults import in_words
from modelgenerator.flows.parameters import (
    ObjectGeneratorParameters,
    ObjectTransformerParameters,
    ZipperParameters,
)
from modelgenerator.service.billing.prices import object_transformer_charge
from modelgenerator.service.errors import ServiceError
from modelgenerator.service.operations.cancelling import ask_to_end
from modelgenerator.service.operations.paying import ledger_of
from modelgenerator.service.operations.run_steps import end_run, end_step, fail_step, finish_step
from modelgenerator.service.operations.runs import transformer_key
from modelgenerator.service.operations.service import Service
from modelgenerator.service.operations.step_starts import (
    Begun,
    begin_elsewhere,
    objects_job,
    zip_job,
)
from modelgenerator.service.operations.webhook_messages import tell_of_run
from modelgenerator.service.records.flows import (
    FlowRun,
    FlowVersion,
    RunEventName,
    RunStatus,
    StepResult,
)
from modelgenerator.service.records.ids import new_id
from modelgenerator.service.records.jobs import Job
from modelgenerator.service.records.money import EntryKind
from modelgenerator.service.records.trainings import JsonObject
from modelgenerator.service.store.flows import MOST_EVENTS
from modelgenerator.service.store.transaction import OrganizationStore

_log = logging.getLogger(__name__)
_ELSEWHERE = (StepType.MODEL_GENERATOR, StepType.IMAGE_GENERATOR)


@dataclass(frozen=True, slots=True)
class _Seen:
    """A run as it was when it was decided what comes next."""

    run: FlowRun
    version: FlowVersion
    steps: tuple[StepResult, ...]

    @property
    def flow(self) -> Flow:
        return flow_of(self.version.definition)

    @property
    def waits(self) -> bool:
        """Whether its next step may be begun: another server may have, since the run was listed."""
        is_open = self.run.status in (RunStatus.QUEUED, RunStatus.RUNNING)
        has_job = any(
            step.status is RunStatus.RUNNING and step.job_id is not None for step in self.steps
        )
        return is_open and not has_job

    def is_so_still(self, store: OrganizationStore) -> bool:
        """Whether nothing went on in between; from now on nothing does in this transaction."""
        if store.flow_runs.get_locked(self.run.id) != self.run:
            return False
        return tuple(store.step_results.in_order(self.run.id)) == self.steps


def carry_on(service: Service, limit: int = 20) -> int:
    """Begin the next step of up to `limit` runs; how many there were to look at.

    A run that cannot go on for a reason that passes is looked at again the next time.
    """
    with service.database.reading() as transaction:
        runs = transaction.ready_runs(limit=limit)
    for run in runs:
        try:
            _go_on(service, run)
        except Exception as error:  # noqa: BLE001  one run must not keep all others waiting
            if _passes(error):
                _log.warning("run %s waits: %s", run.id, error)
            else:
                _give_up(service, run, error)
    return len(runs)


def _go_on(service: Service, run: FlowRun) -> None:
    seen = _look(service, run)
    if not seen.waits:
        return
    results = {
        step.step_id: step.result for step in seen.steps if step.status is RunStatus.SUCCEEDED
    }
    # may take a while: outside of any transaction that others wait for
    following = next_step(seen.flow, RunState(run.input, results))
    try:
        begun = _begin(service, seen, following)
    except ModelGeneratorError as error:
        if _passes(error) or not isinstance(following, StepToRun):
            raise
        _refuse(service, seen, following, error)
        return
    if begun is not None:
        _begin_job_elsewhere(service, begun)


def _look(service: Service, run: FlowRun) -> _Seen:
    with service.database.reading() as transaction:
        store = transaction.of(run.organization_id)
        steps = store.step_results.in_order(run.id)
        return _Seen(
            store.flow_runs.get(run.id), store.flow_versions.get(run.version_id), tuple(steps)
        )


def _begin(service: Service, seen: _Seen, following: StepToRun | Done | Failed) -> Begun | None:
    """Write down that the next step begins; none: nothing is left to do for it here."""
    with service.database.transaction() as transaction:
        store = transaction.of(seen.run.organization_id)
        if not seen.is_so_still(store):
            return None
        if isinstance(following, Done):
            end_run(service, store, seen.run, RunStatus.SUCCEEDED)
            return None
        if seen.run.cancel_requested_at is not None and not _is_beginning(seen, following):
            end_run(service, store, seen.run, RunStatus.CANCELLED)
            return None
        record = _record(service, store, seen, following)
        if isinstance(following, Failed):
            error = {"code": "unresolvedTemplate", "message": in_words(following.faults)}
            fail_step(service, store, _running(store, seen.run, service), record, error)
            return None
        run = _running(store, seen.run, service)
        begun = Begun(run, seen.version, seen.steps, record, following, _earlier(store, record))
        if following.step.type in _ELSEWHERE:
            return begun
        _begin_here(service, store, begun)
    return None


def _is_beginning(seen: _Seen, following: StepToRun | Failed) -> bool:
    """Whether somebody began this step and was cut off: a job may have been made for it."""
    return any(
        step.step_id == following.step.id and step.status is RunStatus.RUNNING
        for step in seen.steps
    )


def _record(
    service: Service, store: OrganizationStore, seen: _Seen, following: StepToRun | Failed
) -> StepResult:
    """The step's record, as one that begins now, or that began already."""
    values: JsonObject = following.values if isinstance(following, StepToRun) else {}
    now = service.clock()
    for step in seen.steps:
        if step.step_id != following.step.id:
            continue
        if step.status is RunStatus.RUNNING:
            return step
        again = replace(
            step.moved_to(RunStatus.RUNNING, now),
            attempt=step.attempt + 1,
            parameters=values,
            error=None,
            job_id=None,
        )
        store.step_results.replace(again)
        return again
    step = StepResult(
        id=new_id(now),
        organization_id=seen.run.organization_id,
        run_id=seen.run.id,
        step_id=following.step.id,
        position=following.number,
        type=following.step.type.value,
        status=RunStatus.RUNNING,
        parameters=values,
        attempt=1,
        result=None,
        error=None,
        job_id=None,
        created_at=now,
    )
    store.step_results.add(step)
    return step


def _running(store: OrganizationStore, run: FlowRun, service: Service) -> FlowRun:
    if run.status is RunStatus.RUNNING:
        return run
    now = service.clock()
    run = run.moved_to(RunStatus.RUNNING, now)
    store.flow_runs.replace(run)
    tell_of_run(store, run, now)
    return run


def _earlier(store: OrganizationStore, record: StepResult) -> Job | None:
    """The last job that this step had."""
    if record.attempt == 1:
        return None
    events = store.run_events.from_number(record.run_id, 1, limit=MOST_EVENTS)
    jobs = [event.job_id for event in events if event.data.get("stepId") == record.step_id]
    last = next((id for id in reversed(jobs) if id is not None), None)
    return None if last is None else store.jobs.get(last)


def _begin_here(service: Service, store: OrganizationStore, begun: Begun) -> None:
    """A step that needs nobody else, in this transaction.

    Raises:
        InsufficientFunds: the balance does not cover it; the transaction is over.
    """
    parameters = begun.to_run.parameters
    if isinstance(parameters, ZipperParameters):
        _tell_job(service, store, begun, zip_job(service, store, begun, parameters))
    elif isinstance(parameters, ObjectGeneratorParameters):
        _tell_job(service, store, begun, objects_job(service, store, begun, parameters))
    else:
        assert isinstance(parameters, ObjectTransformerParameters), "there are five kinds"
        _transform(service, store, begun)


def _refuse(service: Service, seen: _Seen, following: StepToRun, error: Exception) -> None:
    """The step could not begin, and nothing of it was kept."""
    with service.database.transaction() as transaction:
        store = transaction.of(seen.run.organization_id)
        if seen.is_so_still(store):
            record = _record(service, store, seen, following)
            run = _running(store, seen.run, service)
            fail_step(service, store, run, record, _error_of(error))


def _transform(service: Service, store: OrganizationStore, begun: Begun) -> None:
    now, record = service.clock(), begun.record
    cost = object_transformer_charge(service.config.prices)
    ledger_of(service, store, now).charge(
        transformer_key(begun.run.id, record.step_id),
        EntryKind.OBJECT_TRANSFORMER,
        cost,
        memo=f"Step {record.step_id}",
    )
    _tell_begun(service, store, begun, None)
    finish_step(service, store, begun.run, record, begun.to_run.values)


def _begin_job_elsewhere(service: Service, begun: Begun) -> None:
    try:
        job_id = begin_elsewhere(service, begun)
    except ModelGeneratorError as error:
        if _passes(error):
            raise
        _fail(service, begun, error)
        return
    with service.database.transaction() as transaction:
        store = transaction.of(begun.run.organization_id)
        # locked first, as by those who end it: it ends before the step knows of it, or after
        job = store.jobs.get_locked(job_id)
        run = store.flow_runs.get_locked(begun.run.id)
        record = store.step_results.get_locked(begun.record.id)
        if not _waits_for_job(record, begun.record.attempt):
            # another server was faster: it told the step the same job, or that it failed
            if record.job_id != job_id and not job.status.is_final:
                ask_to_end(service, transaction, store, job_id)
            return
        _tell_job(service, store, replace(begun, run=run, record=record), job)
        if job.status.is_final:
            end_step(service, store, store.step_results.get(record.id), job, None)
        elif run.cancel_requested_at is not None:
            ask_to_end(service, transaction, store, job_id)


def _waits_for_job(record: StepResult, attempt: int) -> bool:
    is_beginning = record.status is RunStatus.RUNNING and record.job_id is None
    return is_beginning and record.attempt == attempt


def _tell_job(service: Service, store: OrganizationStore, begun: Begun, job: Job) -> None:
    store.step_results.replace(replace(begun.record, job_id=job.id))
    _tell_begun(service, store, begun, job.id)


def _tell_begun(
    service: Service, store: OrganizationStore, begun: Begun, job_id: UUID | None
) -> None:
    data = {
        "stepId": begun.record.step_id,
        "type": begun.record.type,
        "number": begun.to_run.number,
        "of": len(flow_of(begun.version.definition).steps),
        "attempt": begun.record.attempt,
    }
    now = service.clock()
    store.run_events.tell(begun.run.id, RunEventName.STEP_STARTED, data, now, job_id=job_id)
    service.news.tell(begun.run.id)
    service.news.work_came()


def _fail(service: Service, begun: Begun, error: Exception) -> None:
    with service.database.transaction() as transaction:
        store = transaction.of(begun.run.organization_id)
        run = store.flow_runs.get_locked(begun.run.id)
        record = store.step_results.get_locked(begun.record.id)
        if record.status is RunStatus.RUNNING and record.job_id is None:
            fail_step(service, store, run, record, _error_of(error))


def _give_up(service: Service, run: FlowRun, error: Exception) -> None:
    """What should not happen has: the run fails, with its results, and can be resumed."""
    _log.error("run %s cannot go on", run.id, exc_info=error)
    with service.database.transaction() as transaction:
        store = transaction.of(run.organization_id)
        now = store.flow_runs.get_locked(run.id)
        if now.status not in (RunStatus.QUEUED, RunStatus.RUNNING):
            return
        for step in store.step_results.in_order(run.id):
            if step.status is RunStatus.RUNNING and step.job_id is None:
                fail_step(service, store, now, step, _error_of(error))
                return
        end_run(service, store, now, RunStatus.FAILED, _error_of(error))


def _passes(error: Exception) -> bool:
    """Whether it is right to try again later."""
    return isinstance(error, ServiceError) and error.retry_after is not None


def _error_of(error: Exception) -> dict[str, object]:
    """What is kept of why a step could not begin."""
    if not isinstance(error, ModelGeneratorError):
        message = (
            "Something broke that should not. This is our fault: resume the run, or report it."
        )
        return {"code": "internalError", "message": message, "hint": None, "isOurFault": True}
    hint = error.hint if isinstance(error, ServiceError) else None
    return {"code": error.code, "message": str(error), "hint": hint, "isOurFault": False}
