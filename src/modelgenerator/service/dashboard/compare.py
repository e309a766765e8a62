"""Trainings side by side.

In: who looks, and the trainings and pictures that the page's address names.  Out: the page, and
pictures that are asked of each training with the same prompts and seeds; the address remembers
which.
"""

from dataclasses import replace
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Form, Query, Response

from modelgenerator.errors import ModelGeneratorError
from modelgenerator.service.dashboard import comparisons, training_views
from modelgenerator.service.dashboard.as_code import Call
from modelgenerator.service.dashboard.drawing_form import seed_in
from modelgenerator.service.dashboard.page_errors import PageRoute, trouble_of
from modelgenerator.service.dashboard.visits import Visit, VisitHere
from modelgenerator.service.errors import InvalidValue
from modelgenerator.service.http.statuses import status_of
from modelgenerator.service.operations import inferences, training_curves, training_status
from modelgenerator.service.operations.inferences import InferenceRequest, ShownInference
from modelgenerator.service.operations.training_status import ShownTraining
from modelgenerator.settings import HIGHEST_SEED

router = APIRouter(route_class=PageRoute, include_in_schema=False)
MOST = 8
MOST_PROMPTS = 16
Ids = Annotated[list[UUID] | None, Query(alias="id")]
Inferences = Annotated[list[UUID] | None, Query(alias="inference")]


@router.get("/trainings/compare")
def compare(visit: VisitHere, ids: Ids = None, asked: Inferences = None) -> Response:
    """Two to eight trainings."""
    return _page(visit, _chosen(ids or []), asked or [])


@router.get("/trainings/compare/pictures")
def read_pictures(
    visit: VisitHere, ids: Ids = None, asked: Inferences = None, seen: int = 0
) -> Response:
    """The grid of pictures; nothing, while there are no more than were seen."""
    grid = _grid(visit, _chosen(ids or []), asked or [])
    if grid["picture_count"] == seen and grid["is_live"]:
        return Response(status_code=204)
    trainings = _read(visit, _chosen(ids or []))
    return visit.page("compare/pictures.html", trainings=trainings, **grid)


@router.post("/trainings/compare/draw")
def draw(
    visit: VisitHere,
    ids: Annotated[list[UUID], Form(alias="id")],
    earlier: Annotated[list[UUID] | None, Form(alias="inference")] = None,
    prompts: Annotated[str, Form()] = "",
    seed: Annotated[str, Form()] = "",
) -> Response:
    """The same prompts with the same seeds, of each training that has a model."""
    chosen = _chosen(ids)
    written = {"prompts": prompts, "seed": seed}
    try:
        images = _images(prompts, seed)
    except InvalidValue as fault:
        return _page(visit, chosen, earlier or [], written, fault)
    usable = [it.training.id for it in _read(visit, chosen) if _is_usable(visit, it)]
    if not usable:
        fault = InvalidValue("None of these trainings has a model.", field="prompts")
        return _page(visit, chosen, earlier or [], written, fault)
    try:
        asked = inferences.create_inferences(
            visit.service,
            [
                (visit.caller.numbered(number), InferenceRequest(images=images, training_id=id))
                for number, id in enumerate(usable)
            ],
        )
    except InvalidValue as fault:
        return _page(visit, chosen, earlier or [], written, fault)
    except ModelGeneratorError as error:
        return _page(visit, chosen, earlier or [], written, refused=error)
    return visit.go(_address(chosen, [*(earlier or []), *asked]))


def _page(
    visit: Visit,
    ids: list[UUID],
    asked: list[UUID],
    written: dict[str, str] | None = None,
    fault: InvalidValue | None = None,
    refused: ModelGeneratorError | None = None,
) -> Response:
    trainings = _read(visit, ids)
    curves = [training_curves.read_curves(visit.service, visit.caller, id) for id in ids]
    samples = [training_status.read_samples(visit.service, visit.caller, id) for id in ids]
    usable = [it for it in trainings if _is_usable(visit, it)]
    wrong = fault or refused
    return visit.page(
        "compare/page.html",
        status=200 if wrong is None else status_of(wrong),
        trainings=trainings,
        usable=usable,
        rows=comparisons.differences(trainings),
        losses=[
            training_views.loss_facts(it.points, shown.training.plan)
            for it, shown in zip(curves, trainings, strict=True)
        ],
        samples=comparisons.shared_samples(samples),
        sources=[
            {"name": it.training.name, "url": f"/trainings/{it.training.id}/curves.json"}
            for it in _told_apart(trainings)
        ],
        written=written or {"prompts": _usual_prompt(trainings), "seed": "1"},
        fault=fault,
        trouble=None if refused is None else trouble_of(refused),
        price=visit.service.config.prices.picture,
        calls=_calls(trainings, usable),
        **_grid(visit, ids, asked),
    )


def _grid(visit: Visit, ids: list[UUID], asked: list[UUID]) -> dict[str, Any]:
    shown = [inferences.read_inference(visit.service, visit.caller, id) for id in asked]
    return {
        "ids": ids,
        "asked": asked,
        "drawn": comparisons.drawn_grid(ids, shown),
        "picture_count": sum(len(it.pictures) for it in shown),
        "is_live": any(not it.job.status.is_final for it in shown),
        "failures": [_failed(it) for it in shown if it.job.error],
    }


def _failed(shown: ShownInference) -> str:
    assert shown.job.error is not None
    return shown.job.error.message


def _chosen(ids: list[UUID]) -> list[UUID]:
    """Each once.

    Raises:
        InvalidValue: they are too few or too many.
    """
    chosen = list(dict.fromkeys(ids))
    if not 2 <= len(chosen) <= MOST:
        raise InvalidValue(
            f"2 to {MOST} trainings can be compared, not {len(chosen)}.",
            field="id",
            hint="Go back to the list and tick them.",
        )
    return chosen


def _read(visit: Visit, ids: list[UUID]) -> list[ShownTraining]:
    return [training_status.read_training(visit.service, visit.caller, id) for id in ids]


def _is_usable(visit: Visit, shown: ShownTraining) -> bool:
    return shown.model is not None and not shown.model.is_expired(visit.service.clock())


def _images(prompts: str, seed: str) -> list[dict[str, object]]:
    """One for each prompt; the seeds follow each other.

    Raises:
        InvalidValue: there is no prompt, or too many, or the seed is no number.
    """
    lines = comparisons.prompts_in(prompts)
    if not 1 <= len(lines) <= MOST_PROMPTS:
        raise InvalidValue(f"Write 1 to {MOST_PROMPTS} prompts, one a line.", field="prompts")
    first = seed_in(seed)
    return [
        {"prompt": line, "seed": (first + number) % (HIGHEST_SEED + 1)}
        for number, line in enumerate(lines)
    ]


def _address(ids: list[UUID], asked: list[UUID]) -> str:
    named = [("id", id) for id in ids] + [("inference", id) for id in dict.fromkeys(asked)]
    return f"/trainings/compare?{urlencode(named)}#pictures"


def _usual_prompt(trainings: list[ShownTraining]) -> str:
    return str(trainings[0].training.plan.get("captionPrefix") or "")


def _told_apart(trainings: list[ShownTraining]) -> list[ShownTraining]:
    """Names that are the same get a number behind them."""
    names = [it.training.name for it in trainings]
    return [
        replace(it, training=replace(it.training, name=f"{it.training.name} ({number})"))
        if names.count(it.training.name) > 1
        else it
        for number, it in enumerate(trainings, 1)
    ]


def _calls(trainings: list[ShownTraining], usable: list[ShownTraining]) -> list[Call]:
    reads = [
        Call(
            "GET",
            f"/v1/trainings/{it.training.id}",
            python=f'print(client.training("{it.training.id}").read())',
        )
        for it in trainings
    ]
    image: dict[str, object] = {"prompt": _usual_prompt(trainings), "seed": 1}
    draws = [
        Call("POST", "/v1/inferences", {"trainingId": str(it.training.id), "images": [image]})
        for it in usable
    ]
    return reads + draws
