"""Public flows over HTTP: what the page at `/f/<slug>` asks, without a key.

In: a slug, and tickets for what a visitor made.  Out: what the flow shows.  How often one address
may ask is limited; who pays is the flow's organization.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import Field, JsonValue
from starlette.concurrency import run_in_threadpool

from modelgenerator.service.api.asking import RequestKeyHere, ServiceHere
from modelgenerator.service.api.datasets import FileAnswer
from modelgenerator.service.api.event_streams import LastEventId, Read, Told, stream
from modelgenerator.service.api.problems import problems
from modelgenerator.service.api.runs import events_of_run
from modelgenerator.service.api.shapes import Body, Shape
from modelgenerator.service.http.received_files import FORM, received_files
from modelgenerator.service.operations import flows, public_runs, uploads
from modelgenerator.service.operations.callers import Caller
from modelgenerator.service.operations.public_runs import RUNS_ARE_SHOWN, PublicRun, PublicUpload
from modelgenerator.service.operations.service import Service
from modelgenerator.service.records.flows import RunStatus

router = APIRouter(prefix="/v1/public/flows/{slug}", tags=["public flows"])
_TOLD = frozenset(
    {"stepId", "type", "number", "of", "status", "at", "phase", "step", "totalSteps", "epoch"}
    | {"stepsPerSecond", "secondsRemaining"}
)
"""What a visitor hears of events: how far it is, and no reasons."""


class PageStep(Shape):
    """A step, for showing how far a run is."""

    id: str
    type: str


class PageShape(Shape):
    """What anybody may see of a public flow."""

    slug: str
    title: str
    description: str
    input: dict[str, Any]
    """JSON Schema of the form; a property with `dataset: true` takes the ticket of an upload."""
    ui: dict[str, Any]
    steps: tuple[PageStep, ...]


class PublicUploadShape(Shape):
    """Pictures that were uploaded for the form."""

    ticket: str
    """The value of the form's dataset property; good for a day. More pictures go to
    `uploads/{ticket}`."""
    files: tuple[FileAnswer, ...]


class PublicRunBody(Body):
    """What the form was filled in with."""

    input: dict[str, JsonValue] = Field(default_factory=dict[str, JsonValue])


class PublicStepShape(Shape):
    """A step that has begun."""

    id: str
    type: str
    status: RunStatus


class PublicRunShape(Shape):
    """What a visitor sees of the run that he started."""

    ticket: str = Field(
        description=f"Shows this run to whoever has it, for {RUNS_ARE_SHOWN.days} days."
    )
    status: RunStatus
    error: str | None
    steps: tuple[PublicStepShape, ...]
    results: dict[str, Any]
    """Of the steps that the flow shows; links are good for an hour."""
    ui: dict[str, Any]
    created_at: datetime
    finished_at: datetime | None


def _address(request: Request) -> str:
    return request.client.host if request.client else "unknown"


AddressHere = Annotated[str, Depends(_address)]


@router.get("", responses=problems(404))
def public_page(service: ServiceHere, slug: str) -> PageShape:
    """Read the page of a public flow."""
    page = flows.public_page(service, slug)
    return PageShape(
        slug=page.slug,
        title=page.title,
        description=page.description,
        input=dict(page.input),
        ui=dict(page.ui),
        steps=tuple(PageStep(id=id, type=kind) for id, kind in page.steps),
    )


@router.post(
    "/uploads", status_code=201, responses=problems(404, 408, 415, 507), openapi_extra=FORM
)
async def upload_for_form(
    service: ServiceHere, slug: str, request: Request, address: AddressHere
) -> PublicUploadShape:
    """Upload pictures for a dataset property of the form; without a run they go in a day."""
    upload = await run_in_threadpool(public_runs.start_public_upload, service, slug, address)
    return await _add_files(service, request, upload)


@router.post(
    "/uploads/{ticket}", status_code=201, responses=problems(404, 408, 415, 507), openapi_extra=FORM
)
async def upload_more_for_form(
    service: ServiceHere, slug: str, ticket: str, request: Request, address: AddressHere
) -> PublicUploadShape:
    """Add more pictures to an upload."""
    upload = await run_in_threadpool(public_runs.open_public_upload, service, slug, ticket, address)
    return await _add_files(service, request, upload)


@router.post("/runs", status_code=202, responses=problems(402, 404, 409))
def start_public_run(
    service: ServiceHere,
    slug: str,
    body: PublicRunBody,
    address: AddressHere,
    key: RequestKeyHere,
) -> PublicRunShape:
    """Run a public flow; its organization pays."""
    return _shape(public_runs.start_public_run(service, slug, body.input, address, key))


@router.get("/runs/{ticket}", responses=problems(404))
def read_public_run(service: ServiceHere, slug: str, ticket: str) -> PublicRunShape:
    """Read a run that was started from the page."""
    return _shape(public_runs.read_public_run(service, slug, ticket))


def _opened_run(service: ServiceHere, slug: str, ticket: str) -> tuple[Caller, UUID]:
    return public_runs.open_public_run(service, slug, ticket)


@router.get("/runs/{ticket}/events", response_class=EventSourceResponse, responses=problems(404))
async def watch_public_run(
    service: ServiceHere,
    opened: Annotated[tuple[Caller, UUID], Depends(_opened_run)],
    after: LastEventId,
) -> AsyncIterator[ServerSentEvent]:
    """Watch a run that was started from the page."""
    caller, run_id = opened
    read = _without_reasons(events_of_run(service, caller, run_id))
    async for event in stream(service, run_id, read, after):
        yield event


async def _add_files(service: Service, request: Request, upload: PublicUpload) -> PublicUploadShape:
    async with received_files(request, service) as (files, folder):
        results = await run_in_threadpool(
            uploads.add_files, service, upload.caller, upload.dataset_id, files, folder
        )
    return PublicUploadShape(ticket=upload.ticket, files=tuple(map(FileAnswer.of, results)))


def _without_reasons(read: Read) -> Read:
    def read_less(after: int) -> Sequence[Told] | None:
        told = read(after)
        return None if told is None else [_less(one) for one in told]

    return read_less


def _less(told: Told) -> Told:
    assert isinstance(told.data, dict), "an event has names"
    data = {name: value for name, value in told.data.items() if name in _TOLD}
    return Told(told.number, told.name, data, told.is_final)


def _shape(run: PublicRun) -> PublicRunShape:
    seen = run.seen
    return PublicRunShape(
        ticket=run.ticket,
        status=seen.run.status,
        error=run.error,
        steps=tuple(
            PublicStepShape(id=each.step.step_id, type=each.step.type, status=each.step.status)
            for each in seen.steps
        ),
        results=dict(run.results),
        ui=dict(seen.ui),
        created_at=seen.run.created_at,
        finished_at=seen.run.finished_at,
    )
