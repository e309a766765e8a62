"""Records with something plausible in every field, and a clock that goes when it is told to."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from modelgenerator.service.billing.ledger import Ledger
from modelgenerator.service.config import PriceList
from modelgenerator.service.records.flows import Flow, FlowRun, FlowVersion, RunStatus
from modelgenerator.service.records.ids import new_id
from modelgenerator.service.records.jobs import Job, JobKind
from modelgenerator.service.records.organizations import Organization
from modelgenerator.service.store.database import Database

START = datetime(2026, 11, 25, 12, tzinfo=UTC)


class SetClock:
    """Every reading is a microsecond later, so that ids tell the order."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        self.now += timedelta(microseconds=1)
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def an_organization(database: Database, clock: SetClock, *, balance: int = 0) -> UUID:
    """A new organization with an account."""
    organization = Organization(id=new_id(clock()), name="Tests", created_at=clock())
    with database.transaction() as transaction:
        transaction.identities.add_organization(organization)
        accounts = transaction.of(organization.id).accounts
        Ledger(accounts, clock()).open(balance)
    return organization.id


def a_job(organization_id: UUID, clock: SetClock, **changes: object) -> Job:
    """A job that can run anywhere."""
    job = Job(
        id=new_id(clock()),
        organization_id=organization_id,
        kind=JobKind.TRAIN,
        target_id=new_id(clock()),
        spec={"steps": 600},
        prices=PriceList(),
        estimate=60_000,
        created_at=clock(),
    )
    return replace(job, **changes)  # type: ignore[arg-type]


def queued(database: Database, organization_id: UUID, clock: SetClock, **changes: object) -> Job:
    """A job that waits in the queue."""
    job = a_job(organization_id, clock, **changes)
    with database.transaction() as transaction:
        transaction.of(organization_id).jobs.add(job)
    return job


def a_flow_run(
    database: Database, organization_id: UUID, clock: SetClock, **changes: object
) -> FlowRun:
    """A run of a flow that says nothing, which waits for its first step."""
    now = clock()
    flow = Flow(
        id=new_id(now),
        organization_id=organization_id,
        slug="mine",
        title="T",
        is_public=False,
        version_id=None,
        created_at=now,
        updated_at=now,
    )
    version = FlowVersion(
        id=new_id(now),
        organization_id=organization_id,
        flow_id=flow.id,
        number=1,
        definition={},
        source="{}",
        created_at=now,
    )
    run = FlowRun(
        id=new_id(now),
        organization_id=organization_id,
        flow_id=flow.id,
        version_id=version.id,
        is_public=False,
        input={},
        dataset_ids=(),
        status=RunStatus.QUEUED,
        error=None,
        created_at=now,
    )
    run = replace(run, **changes)  # type: ignore[arg-type]
    with database.transaction() as transaction:
        store = transaction.of(organization_id)
        store.flows.add(flow)
        store.flow_versions.add(version)
        store.flow_runs.add(run)
    return run
