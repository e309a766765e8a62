"""What an organization leaves behind that has trained often, written through the store's tables.

In: an opened service and a number of trainings.  Out: as many that have succeeded, each with a job,
its events and samples, a snapshot, a model, an inference with a picture, a run and what was paid.
"""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, insert, update

from modelgenerator.service.config import PriceList
from modelgenerator.service.operations.service import Service
from modelgenerator.service.records.datasets import (
    Dataset,
    DatasetSnapshot,
    Origin,
    SnapshotPicture,
    Subject,
    SubjectKind,
)
from modelgenerator.service.records.flows import Flow, FlowRun, FlowVersion, RunStatus, StepResult
from modelgenerator.service.records.generations import GeneratedPicture, Inference
from modelgenerator.service.records.ids import new_id
from modelgenerator.service.records.jobs import (
    AttemptEnd,
    Job,
    JobAttempt,
    JobEvent,
    JobKind,
    JobStatus,
)
from modelgenerator.service.records.money import EntryKind, LedgerEntry
from modelgenerator.service.records.trainings import TrainedModel, Training
from modelgenerator.service.store import accounts, datasets, flows, generations, job_tables
from modelgenerator.service.store import trainings as kinds
from modelgenerator.service.store.columns import Kind, R

EVENTS = 20
PICTURES = 8
COST = 1_000
PIECE = 1_000
SAMPLE_EVERY = 5
HASH = "0" * 64
_STEP = {"losses": [0.1], "learningRates": [0.001], "d": [1.0]}
_FLOW: dict[str, object] = {
    "title": "Nothing but a number",
    "description": "One step that is done at once.",
    "steps": [{"id": "number", "type": "ObjectTransformer", "result": {"number": 7}}],
}


@dataclass
class Written:
    """Records that wait to be written, by kind, in an order in which each finds what it needs."""

    organization_id: UUID
    now: datetime
    dataset_id: UUID
    flow_id: UUID
    version_id: UUID
    balance: int
    rows: dict[str, tuple[Kind[Any], list[dict[str, Any]]]] = field(
        default_factory=dict[str, tuple[Kind[Any], list[dict[str, Any]]]]
    )

    def add(self, kind: Kind[R], record: R) -> R:
        self.rows.setdefault(kind.table.name, (kind, []))[1].append(kind.row(record))
        return record

    def flush(self, connection: Connection) -> None:
        for kind, rows in self.rows.values():
            connection.execute(insert(kind.table), rows)
        self.rows.clear()

    def id(self) -> UUID:
        return new_id(self.now)


def write_trainings(service: Service, count: int) -> UUID:
    """The id of the training in the middle of them."""
    with service.database.reading() as transaction:
        (organization,) = transaction.identities.organizations()
        balance = transaction.of(organization.id).accounts.read().balance
    start = service.clock() - timedelta(minutes=count + 1)
    made = Written(organization.id, start, *(new_id(start) for _ in range(3)), balance)
    _begin(made)
    middle: UUID | None = None
    for number in range(count):
        made.now += timedelta(minutes=1)
        training = _training(made, number)
        middle = training.id if number == count // 2 else middle
        if number % PIECE == PIECE - 1 or number == count - 1:
            with service.database.changing_tables() as connection:
                made.flush(connection)
                table = accounts.ACCOUNTS.table
                connection.execute(update(table).values(balance=made.balance))
    assert middle is not None
    return middle


def waiting_training(service: Service) -> UUID:
    """A training that no worker may begin before tomorrow."""
    with service.database.reading() as transaction:
        (organization,) = transaction.identities.organizations()
    now = service.clock()
    made = Written(organization.id, now, *(new_id(now) for _ in range(3)), 0)
    _begin(made)
    training_id = made.id()
    job = _job(made, JobKind.TRAIN, training_id, JobStatus.QUEUED)
    snapshot = made.add(kinds.SNAPSHOTS, _snapshot(made))
    made.add(kinds.TRAININGS, _asked(made, training_id, snapshot.id, job.id, "Waits"))
    with service.database.changing_tables() as connection:
        made.flush(connection)
    return training_id


def queued_job(organization_id: UUID, now: datetime) -> Job:
    """A job that anybody may begin."""
    return Job(
        id=new_id(now),
        organization_id=organization_id,
        kind=JobKind.TRAIN,
        target_id=new_id(now),
        spec={"settings": {"captionPrefix": "lvff"}},
        prices=PriceList(),
        estimate=COST,
        created_at=now,
    )


def _begin(made: Written) -> None:
    mine: dict[str, Any] = {"organization_id": made.organization_id, "created_at": made.now}
    made.add(datasets.DATASETS, Dataset(id=made.dataset_id, origin=Origin.API, **mine))
    subject = Subject(
        id=made.id(),
        name="Luff",
        kind=SubjectKind.ANIMAL,
        class_name="creature",
        dataset_id=made.dataset_id,
        **mine,
    )
    made.add(datasets.SUBJECTS, subject)
    flow = Flow(
        id=made.flow_id,
        slug=made.flow_id.hex,
        title="Portraits",
        is_public=False,
        version_id=made.version_id,
        updated_at=made.now,
        **mine,
    )
    made.add(flows.FLOWS, flow)
    version = FlowVersion(
        id=made.version_id,
        flow_id=flow.id,
        number=1,
        definition=_FLOW,
        source=json.dumps(_FLOW, indent=2),
        **mine,
    )
    made.add(flows.FLOW_VERSIONS, version)


def _training(made: Written, number: int) -> Training:
    training_id = made.id()
    job = _job(made, JobKind.TRAIN, training_id, JobStatus.SUCCEEDED)
    snapshot = made.add(kinds.SNAPSHOTS, _snapshot(made))
    training = _asked(made, training_id, snapshot.id, job.id, f"Training {number}")
    made.add(kinds.TRAININGS, training)
    model = made.add(kinds.TRAINED_MODELS, _model(made, training))
    _picture(made, model)
    _run(made, job)
    return training


def _job(made: Written, kind: JobKind, target_id: UUID, status: JobStatus) -> Job:
    is_over = status.is_final
    later = made.now + timedelta(minutes=1)
    job = Job(
        id=made.id(),
        organization_id=made.organization_id,
        kind=kind,
        target_id=target_id,
        spec={"trainingId": str(target_id), "baseModel": "modelgenerator/creatures"},
        prices=PriceList(),
        estimate=COST,
        created_at=made.now,
        status=status,
        not_before=None if is_over else made.now + timedelta(days=1),
        attempt=int(is_over),
        used_ms=COST * is_over,
        event_count=EVENTS if is_over else 1,
        progress={"step": 100, "totalSteps": 100, "usedMs": COST} if is_over else None,
        started_at=made.now if is_over else None,
        finished_at=later if is_over else None,
    )
    made.add(job_tables.JOBS, job)
    _tell(made, job)
    if is_over:
        attempt = JobAttempt(
            job_id=job.id,
            organization_id=job.organization_id,
            number=1,
            owner="worker",
            started_at=made.now,
            ended_at=later,
            end=AttemptEnd.FINISHED,
        )
        made.add(job_tables.ATTEMPTS, attempt)
        _pay(made, job)
    return job


def _tell(made: Written, job: Job) -> None:
    for sequence in range(1, job.event_count + 1):
        is_last = job.status.is_final and sequence == job.event_count
        name, data = "steps", dict(_STEP, steps=[sequence])
        if sequence % SAMPLE_EVERY == 0:
            key = f"organizations/{job.organization_id.hex}/samples/{job.id.hex}-{sequence}.png"
            name, data = "sample", {"epoch": sequence, "prompt": "lvff", "storageKey": key}
        event = JobEvent(
            job_id=job.id,
            organization_id=job.organization_id,
            sequence=sequence,
            attempt=job.attempt,
            name="queued" if sequence == 1 else "finished" if is_last else name,
            data={} if sequence == 1 else {"status": job.status.value} if is_last else data,
            created_at=made.now,
            is_final=is_last,
        )
        made.add(job_tables.EVENTS, event)


def _pay(made: Written, job: Job) -> None:
    made.balance -= COST
    entry = LedgerEntry(
        id=made.id(),
        organization_id=job.organization_id,
        key=f"job {job.id.hex}",
        kind=EntryKind.TRAINING if job.kind is JobKind.TRAIN else EntryKind.PICTURES,
        amount=-COST,
        balance_after=made.balance,
        job_id=job.id,
        memo="1 second",
        created_at=made.now,
    )
    made.add(accounts.ENTRIES, entry)


def _snapshot(made: Written) -> DatasetSnapshot:
    pictures = tuple(
        SnapshotPicture(
            picture_id=made.id(),
            label=f"{number}.jpg",
            sha256=HASH,
            caption="lvff creature at the beach",
            storage_key=f"organizations/{number}.png",
            mask_key=None,
        )
        for number in range(PICTURES)
    )
    return DatasetSnapshot(
        id=made.id(),
        organization_id=made.organization_id,
        dataset_id=made.dataset_id,
        fingerprint=HASH,
        pictures=pictures,
        created_at=made.now,
    )


def _asked(made: Written, id: UUID, snapshot_id: UUID, job_id: UUID, name: str) -> Training:
    pictures = [{"label": f"{n}.jpg", "width": 512, "height": 512} for n in range(PICTURES)]
    settings = {f"setting{number}": number for number in range(40)}
    return Training(
        id=id,
        organization_id=made.organization_id,
        name=name,
        origin=Origin.API,
        snapshot_id=snapshot_id,
        template_version_id=None,
        settings=settings,
        plan={**settings, "baseModel": "creatures", "totalSteps": 100, "pictures": pictures},
        notices=(),
        estimate={
            **{"seconds": 60, "fewestSeconds": 30, "mostSeconds": 90, "minutes": 1.0},
            **{"certainty": "measured", "because": "3 trainings", "cost": COST},
        },
        job_id=job_id,
        flow_run_id=None,
        created_at=made.now,
    )


def _model(made: Written, training: Training) -> TrainedModel:
    return TrainedModel(
        id=made.id(),
        organization_id=made.organization_id,
        training_id=training.id,
        base_model="creatures",
        family="stable-diffusion-1",
        layout="kohya",
        storage_key=f"organizations/{training.id.hex}.safetensors",
        sha256=HASH,
        byte_count=1_000_000,
        other_layout=None,
        created_at=made.now,
        expires_at=made.now + timedelta(days=3_000),
    )


def _picture(made: Written, model: TrainedModel) -> None:
    inference_id = made.id()
    job = _job(made, JobKind.GENERATE, inference_id, JobStatus.SUCCEEDED)
    inference = Inference(
        id=inference_id,
        organization_id=made.organization_id,
        base_model=None,
        trained_model_id=model.id,
        images=({"prompt": "lvff in the snow"},),
        job_id=job.id,
        flow_run_id=None,
        created_at=made.now,
    )
    made.add(generations.INFERENCES, inference)
    picture = GeneratedPicture(
        id=made.id(),
        organization_id=made.organization_id,
        inference_id=inference_id,
        position=0,
        storage_key=f"organizations/{inference_id.hex}.png",
        sha256=HASH,
        byte_count=5_000,
        width=64,
        height=64,
        seed=1,
        parameters={"prompt": "lvff in the snow"},
        created_at=made.now,
    )
    made.add(generations.GENERATED_PICTURES, picture)


def _run(made: Written, job: Job) -> None:
    mine: dict[str, Any] = {"organization_id": made.organization_id, "created_at": made.now}
    run = FlowRun(
        id=made.id(),
        flow_id=made.flow_id,
        version_id=made.version_id,
        is_public=False,
        input={"name": "Ada"},
        dataset_ids=(made.dataset_id,),
        status=RunStatus.SUCCEEDED,
        error=None,
        finished_at=made.now,
        **mine,
    )
    made.add(flows.FLOW_RUNS, run)
    step = StepResult(
        id=made.id(),
        run_id=run.id,
        step_id="train",
        position=1,
        type="Trainer",
        status=RunStatus.SUCCEEDED,
        parameters={},
        attempt=1,
        result={},
        error=None,
        job_id=job.id,
        finished_at=made.now,
        **mine,
    )
    made.add(flows.STEP_RESULTS, step)
