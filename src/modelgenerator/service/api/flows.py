"""Flows over HTTP: saved, checked, read, changed, run."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field, JsonValue

from modelgenerator.service.api.asking import CallerHere, ServiceHere
from modelgenerator.service.api.problems import problems
from modelgenerator.service.api.runs import RunShape, RunSummary, run_shape, run_summary
from modelgenerator.service.api.shapes import Body, PageOf, PagingHere, Shape
from modelgenerator.service.operations import flows, form_uploads, runs
from modelgenerator.service.operations.flow_estimates import RunEstimate
from modelgenerator.service.operations.flows import SavedFlow
from modelgenerator.service.operations.service import Service
from modelgenerator.service.records.flows import Flow, FlowVersion

router = APIRouter(prefix="/v1/flows", tags=["flows"])


class FlowBody(Body):
    """A flow's definition."""

    definition: dict[str, JsonValue] | str
    """As JSON, or as JSON5 text: then faults have line and column, and comments are kept."""


class RunBody(Body):
    """What a run is given."""

    input: dict[str, JsonValue] = Field(default_factory=dict[str, JsonValue])
    """What the flow's form asks for; the value of a dataset property is the id of a dataset."""


class FlowSummary(Shape):
    """A flow in a list."""

    id: UUID
    slug: str
    title: str
    public: bool
    created_at: datetime
    updated_at: datetime


class StepPriceShape(Shape):
    """What a step costs, in microdollars."""

    step_id: str
    type: str
    fixed: int
    """Whatever it does."""
    unit: str | None
    """What is counted beside that: minute, picture, megabyte, token."""
    unit_price: int
    count: int | None
    """How many of them, where the definition says it."""


class FlowEstimateShape(Shape):
    """What a run costs, in microdollars, as far as it is known before it runs."""

    run: int
    """The run itself."""
    known: int
    """The run, and what its steps cost at the least."""
    steps: tuple[StepPriceShape, ...]


class FlowShape(FlowSummary):
    """A flow."""

    version: int
    """Its newest, which a run takes."""
    definition: dict[str, Any]
    source: str
    """The definition as the text in which it was written."""
    estimate: FlowEstimateShape


class VersionShape(Shape):
    """A flow as it was saved once."""

    id: UUID
    number: int
    source: str
    created_at: datetime


class CheckedShape(Shape):
    """All that is to be said about a definition."""

    faults: tuple[dict[str, Any], ...]
    """What keeps it from being saved: pointer, code, message, hint, and line and column in text."""
    remarks: tuple[dict[str, Any], ...]
    """What is allowed and yet looks like a mistake."""
    estimate: FlowEstimateShape | None
    """None if there is a fault."""


class UploadShape(Shape):
    """A dataset that waits for pictures and for a run that takes it."""

    dataset_id: UUID
    """Send pictures to `/v1/datasets/{datasetId}/images`, and give it as a run's input."""
    expires_at: datetime | None
    """Deleted then, unless a run has taken it."""


@router.post("", status_code=201, responses=problems(409))
def create_flow(service: ServiceHere, caller: CallerHere, body: FlowBody) -> FlowShape:
    """Save a flow; every fault in it is told at once."""
    return _shape(service, flows.create_flow(service, caller, body.definition))


@router.post("/check", responses=problems())
def check_flow(service: ServiceHere, caller: CallerHere, body: FlowBody) -> CheckedShape:
    """Say what is wrong with a definition and what a run of it costs; nothing is saved."""
    checked = flows.check_flow(service, caller, body.definition)
    estimate = checked.estimate and _estimate(checked.estimate)
    return CheckedShape(
        faults=tuple(map(dict, checked.faults)),
        remarks=tuple(map(dict, checked.remarks)),
        estimate=estimate,
    )


@router.get("", responses=problems())
def list_flows(
    service: ServiceHere,
    caller: CallerHere,
    paging: PagingHere,
    slug: Annotated[str | None, Query(description="Only the one with this address")] = None,
) -> PageOf[FlowSummary]:
    """List the flows, the newest first."""
    page = flows.list_flows(service, caller, paging.cursor, paging.limit, slug=slug)
    return PageOf[FlowSummary].of(page, _summary)


@router.get("/{flow_id}", responses=problems(404))
def read_flow(service: ServiceHere, caller: CallerHere, flow_id: UUID) -> FlowShape:
    """Read a flow with its newest version."""
    return _shape(service, flows.read_flow(service, caller, flow_id))


@router.put("/{flow_id}", responses=problems(404, 409))
def update_flow(
    service: ServiceHere, caller: CallerHere, flow_id: UUID, body: FlowBody
) -> FlowShape:
    """Save the next version of a flow; runs that have begun go on with theirs."""
    return _shape(service, flows.update_flow(service, caller, flow_id, body.definition))


@router.delete("/{flow_id}", status_code=204, responses=problems(404))
def delete_flow(service: ServiceHere, caller: CallerHere, flow_id: UUID) -> None:
    """Take a flow away; its runs and their results stay."""
    flows.delete_flow(service, caller, flow_id)


@router.get("/{flow_id}/versions", responses=problems(404))
def list_flow_versions(
    service: ServiceHere, caller: CallerHere, flow_id: UUID, paging: PagingHere
) -> PageOf[VersionShape]:
    """List everything that a flow ever was, the newest first."""
    page = flows.list_versions(service, caller, flow_id, paging.cursor, paging.limit)
    return PageOf[VersionShape].of(page, _version)


@router.post("/{flow_id}/uploads", status_code=201, responses=problems(404))
def start_upload(service: ServiceHere, caller: CallerHere, flow_id: UUID) -> UploadShape:
    """Make an empty dataset for a form's pictures; it goes in a day unless a run takes it."""
    dataset = form_uploads.start_upload(service, caller, flow_id)
    return UploadShape(dataset_id=dataset.id, expires_at=dataset.expires_at)


@router.post("/{flow_id}/runs", status_code=202, responses=problems(402, 404, 409))
def start_run(service: ServiceHere, caller: CallerHere, flow_id: UUID, body: RunBody) -> RunShape:
    """Run a flow."""
    id = runs.start_run(service, caller, flow_id, body.input)
    return run_shape(runs.read_run(service, caller, id))


@router.get("/{flow_id}/runs", responses=problems(404))
def list_runs_of_flow(
    service: ServiceHere, caller: CallerHere, flow_id: UUID, paging: PagingHere
) -> PageOf[RunSummary]:
    """List the runs of a flow, the newest first."""
    page = runs.list_runs(service, caller, paging.cursor, paging.limit, flow_id=flow_id)
    return PageOf[RunSummary].of(page, run_summary)


def _summary(flow: Flow) -> FlowSummary:
    return FlowSummary(
        id=flow.id,
        slug=flow.slug,
        title=flow.title,
        public=flow.is_public,
        created_at=flow.created_at,
        updated_at=flow.updated_at,
    )


def _shape(service: Service, saved: SavedFlow) -> FlowShape:
    return FlowShape(
        **dict(_summary(saved.flow)),
        version=saved.version.number,
        definition=dict(saved.values),
        source=saved.version.source,
        estimate=_estimate(flows.estimate_of(service, saved)),
    )


def _version(version: FlowVersion) -> VersionShape:
    return VersionShape(
        id=version.id,
        number=version.number,
        source=version.source,
        created_at=version.created_at,
    )


def _estimate(estimate: RunEstimate) -> FlowEstimateShape:
    return FlowEstimateShape(
        run=estimate.run,
        known=estimate.known,
        steps=tuple(
            StepPriceShape(
                step_id=step.step_id,
                type=step.type,
                fixed=step.fixed,
                unit=step.unit,
                unit_price=step.unit_price,
                count=step.count,
            )
            for step in estimate.steps
        ),
    )
