"""Pictures over HTTP."""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import Field

from modelgenerator.service.api.asking import CallerHere, ServiceHere
from modelgenerator.service.api.event_streams import LastEventId, events_of_job, stream
from modelgenerator.service.api.job_shapes import (
    Started,
    error_shape,
    waiting_shape,
)
from modelgenerator.service.api.problems import problems
from modelgenerator.service.api.receipts import Receipt
from modelgenerator.service.api.shapes import Body, PageOf, PagingHere, Shape
from modelgenerator.service.operations import cancelling, inferences
from modelgenerator.service.operations.inferences import (
    InferenceRequest,
    ShownInference,
    ShownPicture,
)
from modelgenerator.service.records.priorities import Priority, priority_of

router = APIRouter(prefix="/v1/inferences", tags=["inferences"])


class NewInference(Body):
    """What to draw."""

    images: list[dict[str, object]] = Field(default_factory=list)
    """Each `prompt` with whatever `/v1/schemas/image.json` says, and `baseModel`, `trainingId`,
    `format` (png, jpeg, webp)."""
    base_model: str | None = None
    """For the images that name none; absent: the training's own."""
    training_id: UUID | None = None
    """For the images that name none."""
    inference_pack_id: UUID | None = None
    """Its images are drawn after the others."""
    priority: Priority = Priority.NORMAL
    webhook_url: str | None = None
    """Is told when this starts and ends."""


class PictureShape(Shape):
    """A picture that is drawn."""

    id: UUID
    position: int
    url: str
    """For an hour."""
    width: int
    height: int
    seed: int
    byte_count: int
    sha256: str
    parameters: Mapping[str, object]
    """Everything else that it was drawn with."""
    created_at: datetime


class InferenceShape(Started):
    """A request for pictures, with those that are drawn."""

    id: UUID
    run_id: UUID | None
    """The flow run that it is a step of."""
    images: tuple[Mapping[str, object], ...]
    """What each picture is to be, with every question answered."""
    pictures: tuple[PictureShape, ...]
    estimate: int
    """Microdollars that are held back until it has ended."""
    webhook_secret: str | None = None
    """Signs the messages to `webhookUrl`; in the answer to the request that gave it."""


def _job(service: ServiceHere, caller: CallerHere, id: UUID) -> UUID:
    return inferences.job_of_inference(service, caller, id)


@router.post("", status_code=202, responses=problems(402, 404, 409, 410))
def create_inference(
    service: ServiceHere, caller: CallerHere, body: NewInference
) -> InferenceShape:
    """Draw pictures with a base model, or with what a training taught it."""
    request = InferenceRequest(
        images=body.images,
        base_model=body.base_model,
        training_id=body.training_id,
        pack_id=body.inference_pack_id,
        priority=body.priority,
        webhook_url=body.webhook_url,
    )
    id = inferences.create_inference(service, caller, request)
    secret = inferences.webhook_secret_of_inference(service, caller, id)
    return _shape(inferences.read_inference(service, caller, id), secret)


@router.get("", responses=problems())
def list_inferences(
    service: ServiceHere, caller: CallerHere, paging: PagingHere
) -> PageOf[InferenceShape]:
    """The organization's, the newest first."""
    page = inferences.list_inferences(service, caller, paging.cursor, limit=paging.limit)
    return PageOf[InferenceShape].of(page, _shape)


@router.get("/{id}", responses=problems(404))
def read_inference(service: ServiceHere, caller: CallerHere, id: UUID) -> InferenceShape:
    """One of them: its pictures appear as they are drawn."""
    return _shape(inferences.read_inference(service, caller, id))


@router.get("/{id}/events", responses=problems(404), response_class=EventSourceResponse)
async def inference_events(
    service: ServiceHere,
    caller: CallerHere,
    job_id: Annotated[UUID, Depends(_job)],
    after: LastEventId,
) -> AsyncIterator[ServerSentEvent]:
    """Everything that it tells, as it tells it; goes on after `Last-Event-ID`."""
    async for event in stream(service, job_id, events_of_job(service, caller, job_id), after):
        yield event


@router.post("/{id}/cancel", status_code=202, responses=problems(404, 409))
def cancel_inference(service: ServiceHere, caller: CallerHere, id: UUID) -> InferenceShape:
    """End it; pictures that are drawn already are kept, and paid."""
    cancelling.cancel_inference(service, caller, id)
    return _shape(inferences.read_inference(service, caller, id))


@router.delete("/{id}", responses=problems(404, 409))
def delete_inference(service: ServiceHere, caller: CallerHere, id: UUID) -> Receipt:
    """Delete its pictures and what was asked."""
    return Receipt.of(inferences.delete_inference(service, caller, id))


def _shape(shown: ShownInference, webhook_secret: str | None = None) -> InferenceShape:
    inference, job = shown.inference, shown.job
    return InferenceShape(
        id=inference.id,
        run_id=inference.flow_run_id,
        images=inference.images,
        pictures=tuple(map(_picture, shown.pictures)),
        estimate=job.estimate,
        webhook_secret=webhook_secret,
        status=job.status,
        priority=priority_of(job.priority),
        phase=job.phase,
        progress=job.progress,
        waiting_for=waiting_shape(shown.waiting),
        is_cancelling=job.cancel_requested_at is not None and not job.status.is_final,
        cost_so_far=shown.cost_so_far,
        final_cost=shown.final_cost,
        error=error_shape(job, shown.cost_so_far),
        created_at=inference.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
    )


def _picture(shown: ShownPicture) -> PictureShape:
    picture = shown.picture
    return PictureShape(
        id=picture.id,
        position=picture.position,
        url=shown.url,
        width=picture.width,
        height=picture.height,
        seed=picture.seed,
        byte_count=picture.byte_count,
        sha256=picture.sha256,
        parameters=picture.parameters,
        created_at=picture.created_at,
    )
