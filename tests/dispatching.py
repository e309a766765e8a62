"""A dispatcher that a test turns by hand, with a clock that goes when it is told to."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from tests.memory_executor import MemoryExecutor, MemoryJob
from tests.remembered import SetClock, a_job

from modelgenerator.datasets.workers import Workers
from modelgenerator.service.billing.ledger import Ledger
from modelgenerator.service.config import ServiceConfig
from modelgenerator.service.jobs.dispatcher import Dispatcher
from modelgenerator.service.jobs.executors.executor import Executor
from modelgenerator.service.operations.news import News
from modelgenerator.service.operations.paying import payment_key
from modelgenerator.service.operations.service import Service
from modelgenerator.service.records.generations import Inference
from modelgenerator.service.records.ids import new_id
from modelgenerator.service.records.job_specs import TrainSpec
from modelgenerator.service.records.jobs import Job, JobEvent, JobKind
from modelgenerator.service.store.database import Database
from modelgenerator.service.store.folder import FolderFiles
from modelgenerator.service.store.links import LinkSigner

SPEC = TrainSpec(
    training_id=UUID(int=1),
    organization_id=UUID(int=2),
    dataset_id=UUID(int=3),
    settings={},
    base_model="modelgenerator/creatures",
    base_revision=None,
    pictures=(),
    subject_kind=None,
    class_name="",
    captioner="none",
    storage_prefix="organizations/2/trainings/1",
)


def a_service(database: Database, clock: SetClock, folder: Path, **config: Any) -> Service:
    """On `database`, with files in `folder`."""
    links = LinkSigner([b"s" * 32])
    return Service(
        config=ServiceConfig(data_dir=folder, **config),
        database=database,
        files=FolderFiles(folder / "files", links, clock, base_url=""),
        links=links,
        clock=clock,
        photo_workers=Workers(0),
        news=News(),
    )


@dataclass
class Timer:
    """Seconds, which go together with the clock."""

    clock: SetClock
    seconds: float = 1_000.0

    def __call__(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.seconds += seconds
        self.clock.advance(seconds)


@dataclass
class Dispatching:
    """Service, executor and dispatcher."""

    service: Service
    clock: SetClock
    timer: Timer
    executor: Any = field(default_factory=MemoryExecutor)

    def __post_init__(self) -> None:
        self.dispatcher = self.another(self.executor)

    def another(self, executor: Executor) -> Dispatcher:
        """Another server on the same database."""
        return Dispatcher(self.service, executor, timer=self.timer)

    def queued(self, organization_id: UUID, *, hold: int | None = None, **changes: Any) -> Job:
        """A job that waits, with so much money held for it."""
        job = a_job(organization_id, self.clock, **{"spec": SPEC.as_json(), **changes})
        with self.service.database.transaction() as transaction:
            mine = transaction.of(organization_id)
            mine.jobs.add(job)
            if hold is not None:
                ledger = Ledger(mine.accounts, self.clock())
                ledger.hold(payment_key(job), hold, job_id=job.id)
        return job

    def queued_drawing(self, organization_id: UUID, **changes: Any) -> Job:
        """A job that draws, with the record of what it draws for."""
        id = new_id(self.clock())
        job = self.queued(organization_id, kind=JobKind.GENERATE, target_id=id, **changes)
        inference = Inference(
            id=id,
            organization_id=organization_id,
            base_model="modelgenerator/creatures",
            trained_model_id=None,
            images=(),
            job_id=job.id,
            flow_run_id=None,
            created_at=self.clock(),
        )
        with self.service.database.transaction() as transaction:
            transaction.of(organization_id).inferences.add(inference)
        return job

    def running(self, organization_id: UUID, **changes: Any) -> tuple[Job, MemoryJob]:
        """A job that was claimed, and the test's hand on it."""
        job = self.queued(organization_id, **changes)
        self.dispatcher.turn(work_came=True)
        assert self.executor.last.assignment.job_id == job.id
        return job, self.executor.last

    def turn(self, seconds: float = 0.0) -> None:
        """Look at everything once, so much later."""
        self.timer.advance(seconds)
        self.dispatcher.turn()

    def job(self, job: Job) -> Job:
        """As it is now."""
        with self.service.database.reading() as transaction:
            return transaction.of(job.organization_id).jobs.get(job.id)

    def events(self, job: Job) -> list[JobEvent]:
        """What is told of it."""
        with self.service.database.reading() as transaction:
            return transaction.of(job.organization_id).jobs.events_after(job.id, 0)

    def told(self, job: Job) -> list[str]:
        """The names of its events."""
        return [event.name for event in self.events(job)]

    def cancel(self, job: Job) -> Job:
        """As a person does."""
        with self.service.database.transaction() as transaction:
            return transaction.of(job.organization_id).jobs.cancel(job.id, self.clock())
