"""Flows, their versions, runs, and the results of steps."""

from uuid import UUID

from sqlalchemy import Connection, UniqueConstraint, func, select

from modelgenerator.service.errors import NotFound
from modelgenerator.service.records.flows import Flow, FlowRun, FlowVersion, StepResult
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
    called="flow run",
    flow_id=refers_to("flows.id"),
    version_id=refers_to("flow_versions.id"),
)
STEP_RESULTS = kind_of(
    StepResult,
    "step_results",
    UniqueConstraint("run_id", "step_id"),
    called="step result",
    run_id=belongs_to("flow_runs.id"),
    job_id=refers_to("jobs.id"),
)


class FlowVersions(Unchanging[FlowVersion]):
    """What an organization's flows say, and said."""

    def __init__(self, scope: OrganizationScope) -> None:
        super().__init__(scope, FLOW_VERSIONS)

    def newest(self, flow_id: UUID) -> FlowVersion | None:
        """The version that was saved last."""
        number = select(func.max(self._columns.number)).where(self._where(flow_id=flow_id))
        return self.first(flow_id=flow_id, number=number.scalar_subquery())


class StepResults(Records[StepResult]):
    """What the steps of an organization's runs gave."""

    def __init__(self, scope: OrganizationScope) -> None:
        super().__init__(scope, STEP_RESULTS)

    def in_order(self, run_id: UUID) -> list[StepResult]:
        """A run's steps, in the order in which they run."""
        query = self._select(run_id=run_id).order_by(self._columns.position)
        return [STEP_RESULTS.read(row) for row in self._connection.execute(query)]


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
