"""Trainings: the list, and one as it goes.

In: who looks, and what he asks of a training.  Out: pages; the parts that are renewed while it runs
are pages of their own.  How a training is shown is in `training_views`.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Form, Query, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from modelgenerator.service.dashboard import training_views
from modelgenerator.service.dashboard.as_code import Call
from modelgenerator.service.dashboard.job_phases import phase_in_words
from modelgenerator.service.dashboard.page_errors import PageRoute
from modelgenerator.service.dashboard.training_failures import failure_of
from modelgenerator.service.dashboard.visits import Visit, VisitHere
from modelgenerator.service.http.sent_lora import sent_lora
from modelgenerator.service.operations import (
    cancelling,
    subjects,
    trained_models,
    training_curves,
    training_origins,
    training_status,
    trainings,
)
from modelgenerator.service.operations.paying import charged_sentence
from modelgenerator.service.operations.training_origins import TrainingOrigin
from modelgenerator.service.operations.training_status import Log, LogLine, ShownTraining
from modelgenerator.service.records.jobs import JobStatus
from modelgenerator.service.records.priorities import Priority

router = APIRouter(route_class=PageRoute, include_in_schema=False)
PAGE = 30
TAIL = 300
"""Lines of the log that are shown."""
_LOG_PIECE = 5_000


@router.get("/trainings")
def list_trainings(
    visit: VisitHere,
    status: JobStatus | None = None,
    subject: UUID | None = None,
    cursor: str | None = None,
    ticked: Annotated[list[UUID] | None, Query(alias="id")] = None,
) -> Response:
    """The organization's trainings."""
    only = None if subject is None else subjects.read_subject(visit.service, visit.caller, subject)
    page = training_status.list_trainings(
        visit.service,
        visit.caller,
        cursor,
        limit=PAGE,
        status=status,
        dataset_id=only.subject.dataset_id if only else None,
    )
    part = "trainings/rows.html" if visit.is_partial else "trainings/list.html"
    return visit.page(
        part,
        trainings=page.items,
        next_cursor=page.next_cursor,
        cursor=cursor,
        chosen=status,
        statuses=[str(it) for it in JobStatus],
        subject=only.subject if only else None,
        is_live=any(not it.job.status.is_final for it in page.items),
        views=training_views,
        phase_in_words=phase_in_words,
        ticked=ticked or [],
        calls=[Call("GET", "/v1/trainings")],
    )


@router.get("/trainings/{id}")
def read_training(visit: VisitHere, id: UUID, search: str = "") -> Response:
    """One of them, whole; of its log the lines that contain `search`."""
    shown = training_status.read_training(visit.service, visit.caller, id)
    origin = training_origins.read_origin(visit.service, visit.caller, id)
    curves = training_curves.read_curves(visit.service, visit.caller, id)
    plan = shown.training.plan
    return visit.page(
        "trainings/one.html",
        **_live(visit, shown),
        **_samples(visit, shown, origin),
        origin=origin,
        rows=training_views.plan_rows(shown.training, origin),
        loss=training_views.loss_facts(curves.points, plan),
        rate=training_views.rate_facts(curves.points, plan),
        log=_tail(visit, shown, search),
        search=search,
        attempts=training_status.read_attempts(visit.service, visit.caller, id),
        endings=training_views.ENDINGS,
        calls=training_views.calls_of(shown, visit.service.clock()),
    )


@router.get("/trainings/{id}/status")
def read_status(visit: VisitHere, id: UUID) -> Response:
    """What changes while it runs; when it has ended, the whole page is another one."""
    shown = training_status.read_training(visit.service, visit.caller, id)
    answer = visit.page("trainings/status.html", **_live(visit, shown))
    if visit.is_partial and shown.job.status.is_final:
        answer.headers["HX-Refresh"] = "true"
    return answer


@router.get("/trainings/{id}/samples")
def read_samples(visit: VisitHere, id: UUID, seen: int = 0) -> Response:
    """What was drawn on the way; nothing, while there is no more than was seen."""
    shown = training_status.read_training(visit.service, visit.caller, id)
    origin = training_origins.read_origin(visit.service, visit.caller, id)
    values = _samples(visit, shown, origin)
    if values["sample_count"] == seen and not shown.job.status.is_final:
        return Response(status_code=204)
    return visit.page("trainings/samples.html", shown=shown, **values)


@router.get("/trainings/{id}/curves.json")
def read_curves(visit: VisitHere, id: UUID, after: str | None = None) -> Response:
    """Points for the charts: all, or those after the cursor of an earlier answer."""
    shown = training_status.read_training(visit.service, visit.caller, id)
    curves = training_curves.read_curves(visit.service, visit.caller, id, after)
    return JSONResponse(
        training_views.curves_as_json(curves, shown), headers={"Cache-Control": "no-store"}
    )


@router.get("/trainings/{id}/log")
def read_log(visit: VisitHere, id: UUID, search: str = "") -> Response:
    """The newest lines, or those that contain something."""
    shown = training_status.read_training(visit.service, visit.caller, id)
    return visit.page(
        "trainings/log.html", shown=shown, log=_tail(visit, shown, search), search=search
    )


@router.get("/trainings/{id}/log.txt")
def download_log(visit: VisitHere, id: UUID) -> Response:
    """All of it, to keep."""
    lines = (f"{it.at.isoformat(timespec='seconds')}  {it.text}\n" for it in _all_lines(visit, id))
    headers = {"Content-Disposition": f'attachment; filename="training-{id}.log"'}
    return PlainTextResponse("".join(lines), headers=headers)


@router.get("/trainings/{id}/model")
def download_model(visit: VisitHere, id: UUID, layout: str | None = None) -> Response:
    """The trained LoRA."""
    return sent_lora(trained_models.download_model(visit.service, visit.caller, id, layout))


@router.post("/trainings/{id}/cancel")
def cancel_training(visit: VisitHere, id: UUID) -> Response:
    """End it."""
    cancelling.cancel_training(visit.service, visit.caller, id)
    return visit.go(f"/trainings/{id}", "The training is being cancelled.")


@router.post("/trainings/{id}/resume")
def resume_training(visit: VisitHere, id: UUID) -> Response:
    """Go on from the last checkpoint."""
    trainings.resume_training(visit.service, visit.caller, id)
    return visit.go(f"/trainings/{id}", "The training goes on from its last checkpoint.")


@router.post("/trainings/{id}/rename")
def rename_training(visit: VisitHere, id: UUID, name: Annotated[str, Form()] = "") -> Response:
    """Another name."""
    trained_models.change_training(visit.service, visit.caller, id, name=name)
    return visit.go(f"/trainings/{id}", "Renamed.")


@router.post("/trainings/{id}/priority")
def give_priority(
    visit: VisitHere, id: UUID, priority: Annotated[Priority, Form()] = Priority.NORMAL
) -> Response:
    """Before others, or after them."""
    trained_models.change_training(visit.service, visit.caller, id, priority=priority)
    return visit.go(f"/trainings/{id}", f"The priority is {priority}.")


@router.post("/trainings/{id}/extend")
def extend_training(
    visit: VisitHere,
    id: UUID,
    until: Annotated[datetime, Form()],
    back: Annotated[Literal["training", "storage"], Form()] = "training",
) -> Response:
    """Keep its model longer; asked twice, it is kept until the same day."""
    trained_models.change_training(visit.service, visit.caller, id, expires_at=until)
    address = f"/trainings/{id}" if back == "training" else "/storage"
    return visit.go(address, f"The model is kept until {until:%d %b %Y}.")


@router.post("/trainings/{id}/delete")
def delete_training(
    visit: VisitHere, id: UUID, cancel: Annotated[bool, Form()] = False
) -> Response:
    """Weights, samples and checkpoints."""
    receipt = trained_models.delete_training(visit.service, visit.caller, id, cancel=cancel)
    return visit.go(f"/deletions/{receipt.id}", "The training is deleted.")


def _live(visit: Visit, shown: ShownTraining) -> dict[str, Any]:
    """What the part that changes shows."""
    now, model = visit.service.clock(), shown.model
    longer = timedelta(days=visit.service.config.model_days)
    return {
        "shown": shown,
        "phases": training_views.phases_of(shown.job, shown.training.plan),
        "phase": phase_in_words(shown.job),
        "priority": training_views.priority_of_job(shown.job, visit.service.config),
        "how_far": training_views.how_far(shown.job, shown.training.plan),
        "failure": failure_of(shown),
        "beside_cost": training_views.beside_cost(shown),
        "charged": charged_sentence(shown.job, shown.cost_so_far),
        "can_resume": training_views.can_resume(shown.job),
        "longer": longer,
        "is_usable": model is not None and not model.is_expired(now),
        "may_download": visit.service.config.allow_download,
    }


def _samples(visit: Visit, shown: ShownTraining, origin: TrainingOrigin) -> dict[str, Any]:
    samples = training_status.read_samples(visit.service, visit.caller, shown.training.id)
    return {
        "grid": training_views.grid_of(samples),
        "sample_count": len(samples),
        "best": samples[-1] if samples and shown.job.status is JobStatus.SUCCEEDED else None,
        "photo": origin.photo,
    }


def _tail(visit: Visit, shown: ShownTraining, search: str = "") -> Log:
    """The newest lines; with `search`, the first that contain it."""
    after = 0 if search else max(0, shown.job.event_count - TAIL)
    return training_status.read_log(
        visit.service, visit.caller, shown.training.id, after=after, search=search, limit=TAIL
    )


def _all_lines(visit: Visit, id: UUID) -> Iterator[LogLine]:
    after = 0
    while True:
        log = training_status.read_log(
            visit.service, visit.caller, id, after=after, limit=_LOG_PIECE
        )
        yield from log.lines
        if len(log.lines) < _LOG_PIECE:
            return
        after = log.last_number
