"""Runs of flows: started with what the form asks for, read, gone on with where they failed.

In: who asks, and a flow.  Out: a run that waits for its next step, and what a run has so far.  The
steps are begun by `carrying_on`; how they end is in `run_steps`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from modelgenerator.flows.definition import StepType, flow_of
from modelgenerator.service.billing.prices import flow_run_charge
from modelgenerator.service.errors import AlreadyFinished, Conflict, NotFound
from modelgenerator.service.operations.callers import Caller, earlier_answer, remember
from modelgenerator.service.operations.flows import SavedFlow, read_flow
from modelgenerator.service.operations.form_inputs import AcceptedInput, accept_input
from modelgenerator.service.operations.paying import ledger_of, payment_key
from modelgenerator.service.operations.queue_room import require_room
from modelgenerator.service.operations.service import Service
from modelgenerator.service.operations.stored_addresses import links_to, with_addresses
from modelgenerator.service.operations.waiting import Waiting, why_they_wait
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
from modelgenerator.service.records.organizations import Role
from modelgenerator.service.records.trainings import JsonObject
from modelgenerator.service.store.flows import MOST_EVENTS
from modelgenerator.service.store.scoped import Page
from modelgenerator.service.store.transaction import OrganizationStore


@dataclass(frozen=True, slots=True)
class SeenStep:
    """A step of a run that has begun."""

    step: StepResult
    job: Job | None
    result: object
    """With links in the place of addresses; none before it has succeeded."""
    cost: int
    """Microdollars that were taken for its last attempt."""
    waiting: Waiting | None
    """Why its job waits, if it does."""


@dataclass(frozen=True, slots=True)
class SeenRun:
    """A run as somebody reads it."""

    run: FlowRun
    version: FlowVersion
    steps: tuple[SeenStep, ...]
    cost: int
    """Microdollars that were taken for it so far."""

    @property
    def ui(self) -> JsonObject:
        """How the flow wants its results shown."""
        return flow_of(self.version.definition).ui


def start_run(service: Service, caller: Caller, flow_id: UUID, given: JsonObject) -> UUID:
    """Start a run of a flow, and take its price; the run's id.

    Raises:
        NotFound: there is no such flow.
        InvalidFlowInput: with every fault in what was given.
        InsufficientFunds: the balance does not cover the run's price.
        QueueFull: too much waits already.
    """
    caller.require(Role.MEMBER)
    saved = read_flow(service, caller, flow_id)
    with service.database.reading() as transaction:
        store = transaction.of(caller.organization_id)
        accepted = accept_input(saved.definition, given, store)
    return begin_run(service, caller, saved, accepted, is_public=False)


def begin_run(
    service: Service,
    caller: Caller,
    saved: SavedFlow,
    accepted: AcceptedInput,
    *,
    is_public: bool,
) -> UUID:
    """Add a run of what was accepted, paid by the caller's organization."""
    with service.database.transaction() as transaction:
        store, now = transaction.of(caller.organization_id), service.clock()
        if (earlier := earlier_answer(store, caller, now)) is not None:
            return earlier
        require_room(service, store)
        run = FlowRun(
            id=new_id(now),
            organization_id=caller.organization_id,
            flow_id=saved.flow.id,
            version_id=saved.version.id,
            is_public=is_public,
            input=accepted.values,
            dataset_ids=accepted.dataset_ids,
            status=RunStatus.QUEUED,
            error=None,
            created_at=now,
        )
        price = flow_run_charge(service.config.prices, is_public=is_public)
        words = f"Run of {saved.flow.title}" + (", by its public page" if is_public else "")
        ledger = ledger_of(service, store, now)
        ledger.charge(_price_key(run.id), EntryKind.FLOW_RUN, price, memo=words)
        _take_datasets(store, accepted.dataset_ids, now)
        store.flow_runs.add(run)
        store.run_events.tell(run.id, RunEventName.QUEUED, {}, now)
        remember(store, caller, run.id)
    service.news.work_came()
    return run.id


def read_run(service: Service, caller: Caller, id: UUID, *, with_costs: bool = True) -> SeenRun:
    """A run with everything that its steps left so far; for strangers without costs and reasons.

    Raises:
        NotFound: there is none.
    """
    caller.require(Role.VIEWER)
    with service.database.reading() as transaction:
        store = transaction.of(caller.organization_id)
        run = store.flow_runs.get(id)
        version = store.flow_versions.get(run.version_id)
        steps = store.step_results.in_order(id)
        jobs = store.jobs.some(_job_ids(store, run, steps, with_earlier=with_costs))
        paid = _paid(store, run, steps, jobs.values()) if with_costs else {}
        asked = jobs.values() if with_costs else ()
        waiting = why_they_wait(service, transaction, caller.organization_id, asked)
    links = links_to(steps, service.files)
    seen: list[SeenStep] = []
    for step in steps:
        job = jobs[step.job_id] if step.job_id else None
        cost = paid.get(payment_key(job) if job else transformer_key(id, step.step_id), 0)
        why = waiting.get(job.id) if job else None
        seen.append(SeenStep(step, job, with_addresses(step.result, links), cost, why))
    return SeenRun(run, version, tuple(seen), sum(paid.values()))


def list_runs(
    service: Service,
    caller: Caller,
    cursor: str | None,
    limit: int,
    *,
    flow_id: UUID | None = None,
    status: RunStatus | None = None,
) -> Page[FlowRun]:
    """Runs, the newest first; of one flow, or in one status, where that is given."""
    caller.require(Role.VIEWER)
    asked = {"flow_id": flow_id, "status": status}
    wanted = {name: value for name, value in asked.items() if value is not None}
    with service.database.reading() as transaction:
        store = transaction.of(caller.organization_id)
        if flow_id is not None:
            store.flows.get(flow_id)
        return store.flow_runs.page(cursor, limit=limit, **wanted)


def resume_run(service: Service, caller: Caller, id: UUID) -> UUID:
    """Go on with a failed run at the step that failed: nothing before it is done or paid again.

    Raises:
        NotFound: there is none.
        Conflict: it has not failed.
    """
    caller.require(Role.MEMBER)
    with service.database.transaction() as transaction:
        store, now = transaction.of(caller.organization_id), service.clock()
        if (earlier := earlier_answer(store, caller, now)) is not None:
            return earlier
        run = store.flow_runs.get_locked(id)
        if run.status in (RunStatus.QUEUED, RunStatus.RUNNING):
            raise Conflict(f"The run is {run.status}: there is nothing to resume.")
        if run.status is not RunStatus.FAILED:
            raise AlreadyFinished(f"The run {run.status.in_words}: only a failed one can go on.")
        store.flow_runs.replace(replace(run.moved_to(RunStatus.RUNNING, now), error=None))
        store.run_events.tell(id, RunEventName.RESUMED, {}, now)
        remember(store, caller, id)
    service.news.work_came()
    service.news.tell(id)
    return id


def transformer_key(run_id: UUID, step_id: str) -> str:
    """Under which a step that is done at once is paid."""
    return f"run {run_id.hex} step {step_id}"


def _price_key(run_id: UUID) -> str:
    return f"run {run_id.hex}"


def _take_datasets(store: OrganizationStore, ids: tuple[UUID, ...], now: datetime) -> None:
    """What was uploaded for a form is kept from now on.

    Raises:
        NotFound: one was waiting too long, and is being deleted.
    """
    for id in ids:
        dataset = store.datasets.get_locked(id)
        if dataset.expires_at is not None:
            if dataset.expires_at <= now:
                raise NotFound("dataset", id)
            store.datasets.replace(replace(dataset, expires_at=None))


def _job_ids(
    store: OrganizationStore, run: FlowRun, steps: list[StepResult], *, with_earlier: bool
) -> set[UUID]:
    """Jobs of the steps; and those of attempts before, which the events tell."""
    ids = {step.job_id for step in steps if step.job_id is not None}
    if with_earlier:
        events = store.run_events.from_number(run.id, 1, limit=MOST_EVENTS)
        ids |= {event.job_id for event in events if event.job_id is not None}
    return ids


def _paid(
    store: OrganizationStore, run: FlowRun, steps: list[StepResult], jobs: Iterable[Job]
) -> dict[str, int]:
    """What was taken for the run, for steps that are done at once, and for every job, by key."""
    keys = [_price_key(run.id)]
    keys += [
        transformer_key(run.id, step.step_id)
        for step in steps
        if step.type == StepType.OBJECT_TRANSFORMER
    ]
    keys += map(payment_key, jobs)
    return {key: -entry.amount for key, entry in store.accounts.entries_under(keys).items()}
