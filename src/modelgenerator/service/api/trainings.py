"""Trainings over HTTP."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import StreamingResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import Field

from modelgenerator.service.api.asking import CallerHere, ServiceHere
from modelgenerator.service.api.event_streams import LastEventId, events_of_job, stream
from modelgenerator.service.api.job_shapes import (
    AttemptShape,
    attempt_shape,
)
from modelgenerator.service.api.problems import problems
from modelgenerator.service.api.receipts import Receipt
from modelgenerator.service.api.shapes import Body, PageOf, PagingHere, Shape
from modelgenerator.service.api.training_shapes import (
    DryRun,
    TrainingShape,
    TrainingSummary,
    full,
    summary,
)
from modelgenerator.service.http.sent_lora import sent_lora
from modelgenerator.service.operations import (
    cancelling,
    planning,
    trained_models,
    training_status,
    trainings,
)
from modelgenerator.service.operations.planning import TrainingRequest
from modelgenerator.service.records.jobs import JobStatus
from modelgenerator.service.records.priorities import Priority

router = APIRouter(prefix="/v1/trainings", tags=["trainings"])
Layout = Literal["kohya", "diffusers"]


class NewTraining(Body):
    """What to train."""

    dataset_id: UUID
    training_settings_id: UUID | None = None
    """A template."""
    settings: dict[str, object] = Field(default_factory=dict)
    """Each wins over the template's; `/v1/schemas/settings.json` says which there are."""
    name: str | None = None
    priority: Priority = Priority.NORMAL
    """Trainings of a lower one make room for it, at a checkpoint."""
    webhook_url: str | None = None
    """Is told when this training starts and ends."""
    acknowledge_warnings: bool = False
    """Train though very few pictures can be used."""


class TrainingChange(Body):
    """What is to be different; what is left out stays."""

    name: str | None = None
    expires_at: datetime | None = None
    """Of the trained model, before it expires."""
    priority: Priority | None = None
    """As long as it has not ended."""


class SampleShape(Shape):
    """A picture that was drawn on the way."""

    epoch: int
    prompt: str
    url: str
    """For an hour."""
    created_at: datetime


class LogLineShape(Shape):
    """One thing that happened, in words."""

    number: int
    at: datetime
    attempt: int
    text: str


class LogShape(Shape):
    """A piece of the log."""

    lines: tuple[LogLineShape, ...]
    last_number: int
    """Give it as `after` for what comes next."""


def _job(service: ServiceHere, caller: CallerHere, id: UUID) -> UUID:
    return training_status.job_of_training(service, caller, id)


@router.post(
    "",
    status_code=202,
    responses={
        200: {"model": DryRun, "description": "With `dryRun`: what it would be"},
        **problems(402, 404, 409),
    },
)
def create_training(
    service: ServiceHere,
    caller: CallerHere,
    body: NewTraining,
    response: Response,
    dry_run: Annotated[
        bool, Query(alias="dryRun", description="Say what it would be and start nothing")
    ] = False,
) -> TrainingShape | DryRun:
    """Train a LoRA on a dataset, or with `dryRun` say plan, steps, minutes and cost."""
    request = TrainingRequest(
        dataset_id=body.dataset_id,
        template_id=body.training_settings_id,
        settings=body.settings,
        name=body.name,
        priority=body.priority,
        webhook_url=body.webhook_url,
        acknowledges_warnings=body.acknowledge_warnings,
    )
    if dry_run:
        response.status_code = 200
        return DryRun.of(planning.plan_training(service, caller, request))
    id = trainings.create_training(service, caller, request)
    secret = trainings.webhook_secret_of(service, caller, id)
    return full(training_status.read_training(service, caller, id), secret)


@router.get("", responses=problems())
def list_trainings(
    service: ServiceHere,
    caller: CallerHere,
    paging: PagingHere,
    status: Annotated[JobStatus | None, Query(description="Only those that are this")] = None,
    dataset_id: Annotated[
        UUID | None, Query(alias="datasetId", description="Only those on this dataset")
    ] = None,
) -> PageOf[TrainingSummary]:
    """The organization's trainings, the newest first."""
    page = training_status.list_trainings(
        service, caller, paging.cursor, limit=paging.limit, status=status, dataset_id=dataset_id
    )
    return PageOf[TrainingSummary].of(page, summary)


@router.get("/{id}", responses=problems(404))
def read_training(service: ServiceHere, caller: CallerHere, id: UUID) -> TrainingShape:
    """One training: how far it is, what it was told, what it cost."""
    return full(training_status.read_training(service, caller, id))


@router.patch("/{id}", responses=problems(404, 409, 410))
def change_training(
    service: ServiceHere, caller: CallerHere, id: UUID, body: TrainingChange
) -> TrainingShape:
    """Give it another name, another priority, or its model another expiry."""
    trained_models.change_training(
        service,
        caller,
        id,
        name=body.name,
        expires_at=body.expires_at,
        priority=body.priority,
    )
    return full(training_status.read_training(service, caller, id))


@router.delete("/{id}", responses=problems(404, 409))
def delete_training(
    service: ServiceHere,
    caller: CallerHere,
    id: UUID,
    cancel: Annotated[bool, Query(description="End it first if it still runs")] = False,
) -> Receipt:
    """Delete its weights, samples and checkpoints."""
    return Receipt.of(trained_models.delete_training(service, caller, id, cancel=cancel))


@router.post("/{id}/cancel", status_code=202, responses=problems(404, 409))
def cancel_training(service: ServiceHere, caller: CallerHere, id: UUID) -> TrainingShape:
    """End it: at once while it waits, at its next step while it runs."""
    cancelling.cancel_training(service, caller, id)
    return full(training_status.read_training(service, caller, id))


@router.post("/{id}/resume", status_code=202, responses=problems(402, 404, 409))
def resume_training(service: ServiceHere, caller: CallerHere, id: UUID) -> TrainingShape:
    """Go on from the last checkpoint of a training that failed or was cancelled."""
    trainings.resume_training(service, caller, id)
    return full(training_status.read_training(service, caller, id))


@router.get("/{id}/events", responses=problems(404), response_class=EventSourceResponse)
async def training_events(
    service: ServiceHere,
    caller: CallerHere,
    job_id: Annotated[UUID, Depends(_job)],
    after: LastEventId,
) -> AsyncIterator[ServerSentEvent]:
    """Everything that it tells, as it tells it; goes on after `Last-Event-ID`."""
    async for event in stream(service, job_id, events_of_job(service, caller, job_id), after):
        yield event


@router.get("/{id}/logs", responses=problems(404))
def training_log(
    service: ServiceHere,
    caller: CallerHere,
    id: UUID,
    after: Annotated[int, Query(ge=0, le=2**53, description="Only later lines")] = 0,
    search: Annotated[str, Query(max_length=200, description="Only lines with this in them")] = "",
    limit: Annotated[int, Query(ge=1, le=5_000)] = 500,
) -> LogShape:
    """What happened, one line each, from the beginning."""
    log = training_status.read_log(service, caller, id, after=after, search=search, limit=limit)
    lines = tuple(
        LogLineShape(number=line.number, at=line.at, attempt=line.attempt, text=line.text)
        for line in log.lines
    )
    return LogShape(lines=lines, last_number=log.last_number)


@router.get("/{id}/attempts", responses=problems(404))
def training_attempts(service: ServiceHere, caller: CallerHere, id: UUID) -> list[AttemptShape]:
    """The turns that workers took at it."""
    return [attempt_shape(one) for one in training_status.read_attempts(service, caller, id)]


@router.get("/{id}/samples", responses=problems(404))
def training_samples(service: ServiceHere, caller: CallerHere, id: UUID) -> list[SampleShape]:
    """Pictures that were drawn while it learnt, by `sampleEvery` and `samplePrompts`."""
    return [
        SampleShape(
            epoch=sample.epoch,
            prompt=sample.prompt,
            url=sample.url,
            created_at=sample.created_at,
        )
        for sample in training_status.read_samples(service, caller, id)
    ]


@router.get(
    "/{id}/model",
    responses={
        200: {"content": {"application/octet-stream": {}}, "description": "A .safetensors file"},
        307: {"description": "Where the storage has it: a link that is good for ten minutes"},
        **problems(404, 409, 410),
    },
    response_class=StreamingResponse,
)
def download_model(
    service: ServiceHere,
    caller: CallerHere,
    id: UUID,
    layout: Annotated[
        Layout | None, Query(description="Absent: as the programs for its base model read it")
    ] = None,
) -> Response:
    """The trained LoRA."""
    return sent_lora(trained_models.download_model(service, caller, id, layout))
