"""How far trainings are: what is shown of them, in lists and one by one.

In: who asks, and which training.  Out: the training with its job, what it made and what it cost so
far.  Nothing is changed.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast
from uuid import UUID

from modelgenerator.service.billing.prices import training_charge
from modelgenerator.service.operations.callers import Caller
from modelgenerator.service.operations.paying import paid_for_each
from modelgenerator.service.operations.readable_events import LINK_TIME, SAMPLE, without_insides
from modelgenerator.service.operations.service import Service
from modelgenerator.service.operations.waiting import Waiting, why_they_wait
from modelgenerator.service.records.datasets import Subject
from modelgenerator.service.records.jobs import Job, JobAttempt, JobEvent, JobStatus
from modelgenerator.service.records.money import LedgerEntry
from modelgenerator.service.records.organizations import Role
from modelgenerator.service.records.trainings import TrainedModel, Training
from modelgenerator.service.store.scoped import Page
from modelgenerator.service.store.transaction import OrganizationStore, Transaction

_PIECE = 500


@dataclass(frozen=True, kw_only=True)
class ShownTraining:
    """A training and everything that belongs to it."""

    training: Training
    job: Job
    dataset_id: UUID
    subject: Subject | None
    """Whose pictures they are; none: a dataset that has no subject."""
    model: TrainedModel | None
    cost_so_far: int
    """Microdollars, of all its jobs."""
    final_cost: int | None
    """None as long as a job of it is not settled."""
    waiting: Waiting | None
    """Why, while it waits."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A picture that was drawn while the LoRA was learning."""

    epoch: int
    prompt: str
    url: str
    """For an hour."""
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class LogLine:
    """One event as a sentence."""

    number: int
    at: datetime
    attempt: int
    text: str


@dataclass(frozen=True, kw_only=True)
class Log:
    """A piece of a training's log."""

    lines: tuple[LogLine, ...]
    last_number: int
    """Ask for what comes after it."""


def list_trainings(
    service: Service,
    caller: Caller,
    cursor: str | None,
    *,
    limit: int,
    status: JobStatus | None = None,
    dataset_id: UUID | None = None,
) -> Page[ShownTraining]:
    """The organization's trainings, the newest first."""
    caller.require(Role.VIEWER)
    with service.database.reading() as transaction:
        store = transaction.of(caller.organization_id)
        page = store.trainings.listed(cursor, limit=limit, status=status, dataset_id=dataset_id)
        shown = tuple(_shown(service, transaction, store, page.items))
    return Page(shown, page.next_cursor)


def read_training(service: Service, caller: Caller, id: UUID) -> ShownTraining:
    """One of them.

    Raises:
        NotFound: there is none.
    """
    caller.require(Role.VIEWER)
    with service.database.reading() as transaction:
        store = transaction.of(caller.organization_id)
        (shown,) = _shown(service, transaction, store, [store.trainings.there(id)])
    return shown


def read_attempts(service: Service, caller: Caller, id: UUID) -> list[JobAttempt]:
    """Who worked on a training, and when, the first first.

    Raises:
        NotFound: there is none.
    """
    caller.require(Role.VIEWER)
    with service.database.reading() as transaction:
        store = transaction.of(caller.organization_id)
        store.trainings.there(id)
        jobs = store.jobs.all(target_id=id)
        return [attempt for job in jobs for attempt in store.jobs.attempts(job.id)]


def read_samples(service: Service, caller: Caller, id: UUID) -> list[Sample]:
    """The pictures that were drawn on the way, in their order.

    Raises:
        NotFound: there is none.
    """
    caller.require(Role.VIEWER)
    with service.database.reading() as transaction:
        store = transaction.of(caller.organization_id)
        store.trainings.there(id)
        jobs = store.jobs.all(target_id=id)
        events = [event for job in jobs for event in store.jobs.events_named(job.id, [SAMPLE])]
    return [
        Sample(
            epoch=int(str(event.data["epoch"])),
            prompt=str(event.data["prompt"]),
            url=service.files.link("GET", str(event.data["storageKey"]), expires_in=LINK_TIME),
            created_at=event.created_at,
        )
        for event in events
    ]


def read_log(
    service: Service,
    caller: Caller,
    id: UUID,
    *,
    after: int = 0,
    search: str = "",
    limit: int = 500,
) -> Log:
    """What the newest job told after event `after`, in sentences that contain `search`.

    Raises:
        NotFound: there is none.
    """
    caller.require(Role.VIEWER)
    with service.database.reading() as transaction:
        store = transaction.of(caller.organization_id)
        job_id = store.trainings.there(id).job_id
        lines: list[LogLine] = []
        while len(lines) < limit:
            events = store.jobs.events_after(job_id, after, limit=_PIECE)
            for event in events:
                after = event.sequence
                line = _line(event)
                if search.casefold() in line.text.casefold():
                    lines.append(line)
                if len(lines) == limit:
                    break
            if len(events) < _PIECE:
                break
    return Log(lines=tuple(lines), last_number=after)


def job_of_training(service: Service, caller: Caller, id: UUID) -> UUID:
    """The newest job of a training: its events are the training's.

    Raises:
        NotFound: there is none.
    """
    caller.require(Role.VIEWER)
    with service.database.reading() as transaction:
        return transaction.of(caller.organization_id).trainings.there(id).job_id


def _shown(
    service: Service,
    transaction: Transaction,
    store: OrganizationStore,
    trainings: Iterable[Training],
) -> Iterator[ShownTraining]:
    """With as many statements for a page as for one."""
    trainings = list(trainings)
    ids = [training.id for training in trainings]
    jobs = store.jobs.among("target_id", ids)
    paid = paid_for_each(store, jobs)
    waiting = why_they_wait(service, transaction, store.organization_id, jobs)
    dataset_ids = store.snapshots.dataset_ids(training.snapshot_id for training in trainings)
    subjects = {
        it.dataset_id: it for it in store.subjects.among("dataset_id", dataset_ids.values())
    }
    models = {it.training_id: it for it in store.trained_models.among("training_id", ids)}
    for training in trainings:
        mine = [job for job in jobs if job.target_id == training.id]
        (newest,) = (job for job in mine if job.id == training.job_id)
        cost = _cost(mine, newest, paid)
        yield ShownTraining(
            training=training,
            job=newest,
            dataset_id=dataset_ids[training.snapshot_id],
            subject=subjects.get(dataset_ids[training.snapshot_id]),
            model=models.get(training.id),
            cost_so_far=cost,
            final_cost=cost if newest.status.is_final else None,
            waiting=waiting.get(newest.id),
        )


def _cost(jobs: Iterable[Job], newest: Job, paid: Mapping[UUID, LedgerEntry]) -> int:
    """Microdollars of all jobs of a training, and of what its newest has used so far."""
    cost = -sum(paid[job.id].amount for job in jobs if job.id in paid)
    if newest.status.is_final:
        return cost
    return cost + training_charge(newest.prices, timedelta(milliseconds=used_ms(newest)))


def used_ms(job: Job) -> int:
    """Paid work so far, as far as the job has told of it."""
    told = (job.progress or {}).get("usedMs")
    return max(job.used_ms, told if isinstance(told, int) else 0)


def _line(event: JobEvent) -> LogLine:
    words = _WORDS.get(event.name)
    text = _plain(event) if words is None else words.format_map(_Told(event.data))
    return LogLine(
        number=event.sequence, at=event.created_at, attempt=event.attempt, text=text.strip()
    )


class _Told(dict[str, object]):
    """What an event says; what it does not say is left out of its sentence."""

    def __init__(self, data: Mapping[str, object]) -> None:
        super().__init__({name: _short(value) for name, value in data.items()})

    def __missing__(self, name: str) -> str:
        return ""


_WORDS = {
    "queued": "Waits for its turn.",
    "started": "Attempt {attempt} begins.",
    "phase": "Phase: {phase}.",
    "checkpointSaved": "Checkpoint saved at step {step}.",
    "cancelRequested": "Is to be cancelled.",
    "priorityChanged": "Its priority is {priority} now.",
    "makesRoom": "Saves a checkpoint and makes room for work of a higher priority.",
    "attemptLost": "Attempt {attempt} was lost. {message}",
    "handedBack": "Handed back: {reason}.",
    "finished": "Ended: {status}. {message}",
    "planned": "{totalSteps} steps, {stepsPerEpoch} an epoch, {pictures} pictures, {computeDtype}.",
    "loadingBegun": "Loads {baseModel}.",
    "checkpointUnusable": "A checkpoint cannot be used: {reason}",
    "datasetPrepared": "The pictures are ready; the last one is {used}.",
    "resumed": "Goes on from step {step} of {totalSteps}.",
    "steps": "Step {steps}: loss {losses}.",
    "epoch": "Epoch {epoch} is done, mean loss {meanLoss}.",
    "validated": "Epoch {epoch}, loss on pictures that were kept out: {loss}.",
    "sample": "Sample of epoch {epoch}: {prompt}",
    "loraSaved": "The LoRA of epoch {epoch} is kept.",
    "notice": "{setting} {message}",
}


def _plain(event: JobEvent) -> str:
    """An event that has no sentence of its own: its name and what it says."""
    shown = without_insides(event.data)
    said = ", ".join(f"{name} {_short(value)}" for name, value in shown.items())
    return f"{event.name}: {said}" if said else event.name


def _short(value: object) -> object:
    """Of a history the newest, of a number a few digits, of nothing nothing."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        items = cast(Sequence[object], value)
        return _short(items[-1]) if items else ""
    if isinstance(value, float):
        return f"{value:.6g}"
    return "" if value is None or isinstance(value, Mapping) else value
