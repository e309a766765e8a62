"""Flows, their versions, runs, and the results of steps."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    Connection,
    Index,
    Text,
    UniqueConstraint,
    cast,
    exists,
    func,
    insert,
    select,
    update,
)

from modelgenerator.service.errors import NotFound
from modelgenerator.service.records.flows import (
    Flow,
    FlowRun,
    FlowVersion,
    RunEvent,
    RunEventName,
    RunStatus,
    StepResult,
)
from modelgenerator.service.records.trainings import JsonObject
from modelgenerator.service.store.columns import belongs_to, kind_of, refers_to
from modelgenerator.service.store.scoped import OrganizationScope, Records, Unchanging

FLOWS = kind_of(Flow, "flows", UniqueConstraint("slug"), called="flow")
FLOW_VERSIONS = kind_of(
    FlowVersion,
    "flow_versions",
    UniqueConstraint("flow_id", "number"),
    called="version of a flow",
    flow_id=belongs_to("flows.id"),
)
FLOW_RUNS = kind_of(
    FlowRun,
    "flow_runs",
    Index(None, "status", "id"),
    Index(None, "organization_id", "flow_id", "id"),
    called="run",
    flow_id=refers_to("flows.id"),
    version_id=refers_to("flow_versions.id"),
)
STEP_RESULTS = kind_of(
    StepResult,
    "step_results",
    UniqueConstraint("run_id", "step_id"),
    Index(None, "job_id"),
    Index(None, "organization_id", "run_id", "position"),
    called="step result",
    run_id=belongs_to("flow_runs.id"),
    job_id=refers_to("jobs.id"),
)
RUN_EVENTS = kind_of(
    RunEvent,
    "run_events",
    called="event",
    key=("run_id", "sequence"),
    run_id=belongs_to("flow_runs.id"),
    job_id=refers_to("jobs.id"),
)

MOST_EVENTS = 10_000
"""Of one run itself: a few for each of its steps, and each time that it is resumed."""


class FlowVersions(Unchanging[FlowVersion]):
    """What an organization's flows say, and said."""

    def __init__(self, scope: OrganizationScope) -> None:
        super().__init__(scope, FLOW_VERSIONS)

    def numbers(self, ids: Iterable[UUID]) -> dict[UUID, int]:
        """The numbers of these versions, without what they say."""
        query = select(self._columns.id, self._columns.number).where(self._one_of("id", ids))
        return {row.id: row.number for row in self._connection.execute(query)}

    def newest(self, flow_id: UUID) -> FlowVersion | None:
        """The version that was saved last."""
        number = select(func.max(self._columns.number)).where(self._where(flow_id=flow_id))
        return self.first(flow_id=flow_id, number=number.scalar_subquery())


class FlowRuns(Records[FlowRun]):
    """An organization's runs."""

    def __init__(self, scope: OrganizationScope) -> None:
        super().__init__(scope, FLOW_RUNS)

    def last_of(self, flow_ids: Iterable[UUID]) -> dict[UUID, FlowRun]:
        """The newest run of each of these flows, by the flow's id."""
        newest = func.row_number().over(
            partition_by=self._columns.flow_id, order_by=self._columns.id.desc()
        )
        numbered = select(self._columns.id, newest.label("place"))
        numbered = numbered.where(self._one_of("flow_id", flow_ids)).subquery()
        first = select(numbered.c.id).where(numbered.c.place == 1)
        query = self._select().where(self._columns.id.in_(first))
        runs = [FLOW_RUNS.read(row) for row in self._connection.execute(query)]
        return {run.flow_id: run for run in runs}

    def given(self, dataset_id: UUID) -> list[FlowRun]:
        """Those in whose form a dataset was chosen, or uploaded."""
        named = cast(self._columns.dataset_ids, Text).contains(str(dataset_id))
        query = self._select().where(named).order_by(self._columns.id)
        return [FLOW_RUNS.read(row) for row in self._connection.execute(query)]


class StepResults(Records[StepResult]):
    """What the steps of an organization's runs gave."""

    def __init__(self, scope: OrganizationScope) -> None:
        super().__init__(scope, STEP_RESULTS)

    def in_order(self, run_id: UUID) -> list[StepResult]:
        """A run's steps, in the order in which they run."""
        query = self._select(run_id=run_id).order_by(self._columns.position)
        return [STEP_RESULTS.read(row) for row in self._connection.execute(query)]


class RunEvents:
    """What an organization's runs tell of themselves."""

    def __init__(self, scope: OrganizationScope) -> None:
        self._connection = scope.connection
        self._organization_id = scope.organization_id

    def tell(
        self,
        run_id: UUID,
        name: RunEventName,
        data: JsonObject,
        now: datetime,
        *,
        job_id: UUID | None = None,
    ) -> None:
        """Append an event; counting in the run's own row leaves no gap and no number twice."""
        run = FLOW_RUNS.table.columns
        counted = (
            update(FLOW_RUNS.table)
            .where(run.id == run_id, run.organization_id == self._organization_id)
            .values(event_count=run.event_count + 1)
            .returning(run.event_count)
        )
        event = RunEvent(
            run_id=run_id,
            organization_id=self._organization_id,
            sequence=self._connection.execute(counted).scalar_one(),
            name=name,
            data=data,
            job_id=job_id,
            created_at=now,
        )
        self._connection.execute(insert(RUN_EVENTS.table).values(RUN_EVENTS.row(event)))

    def forget_errors(self, run_id: UUID) -> None:
        """Leave out why something failed: that may name what is deleted."""
        table, columns = RUN_EVENTS.table, RUN_EVENTS.table.columns
        for event in self.from_number(run_id, 1, limit=MOST_EVENTS):
            if "error" in event.data:
                kept = {name: value for name, value in event.data.items() if name != "error"}
                this = update(table).where(
                    columns.run_id == run_id, columns.sequence == event.sequence
                )
                self._connection.execute(this.values(data=kept))

    def from_number(self, run_id: UUID, sequence: int, *, limit: int) -> list[RunEvent]:
        """The run's events from this number on, this one included."""
        columns = RUN_EVENTS.table.columns
        query = (
            select(RUN_EVENTS.table)
            .where(
                columns.organization_id == self._organization_id,
                columns.run_id == run_id,
                columns.sequence >= sequence,
            )
            .order_by(columns.sequence)
            .limit(limit)
        )
        return [RUN_EVENTS.read(row) for row in self._connection.execute(query)]


def ready_runs(connection: Connection, limit: int) -> list[FlowRun]:
    """Runs of all organizations whose next step can be begun, the oldest first.

    They have begun or wait to, and none of their steps has a job that is still to end; a step that
    was being begun when its server died has none.
    """
    run, step = FLOW_RUNS.table.columns, STEP_RESULTS.table.columns
    is_working = exists().where(
        step.run_id == run.id, step.status == RunStatus.RUNNING, step.job_id.is_not(None)
    )
    query = (
        select(FLOW_RUNS.table)
        .where(run.status.in_((RunStatus.QUEUED, RunStatus.RUNNING)), ~is_working)
        .order_by(run.id)
        .limit(limit)
    )
    return [FLOW_RUNS.read(row) for row in connection.execute(query)]


def slug_is_taken(connection: Connection, slug: str, *, but_by: UUID | None) -> bool:
    """Whether another flow of any organization has, or had, this address."""
    columns = FLOWS.table.columns
    query = select(columns.id).where(columns.slug == slug)
    others = query if but_by is None else query.where(columns.id != but_by)
    return connection.execute(others).first() is not None


def public_flow(connection: Connection, slug: str) -> Flow:
    """The flow at `/f/<slug>`, which anybody may see.

    Raises:
        NotFound: there is none, or it is not public.
    """
    columns = FLOWS.table.columns
    query = select(FLOWS.table).where(
        columns.slug == slug, columns.is_public, columns.deleted_at.is_(None)
    )
    row = connection.execute(query).first()
    if row is None:
        raise NotFound(FLOWS.called, slug)
    return FLOWS.read(row)
