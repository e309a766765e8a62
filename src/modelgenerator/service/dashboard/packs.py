"""Inference packs: prompts to draw again and again, and two models side by side."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Query, Response

from modelgenerator.errors import ModelGeneratorError, UserError
from modelgenerator.service.billing.prices import pictures_charge
from modelgenerator.service.dashboard.as_code import Call
from modelgenerator.service.dashboard.drawing_form import BASE, DrawingForm
from modelgenerator.service.dashboard.drawing_help import base_models
from modelgenerator.service.dashboard.drawing_status import Drawing
from modelgenerator.service.dashboard.form_faults import with_hint
from modelgenerator.service.dashboard.pack_form import PackForm
from modelgenerator.service.dashboard.page_errors import PageRoute, trouble_of
from modelgenerator.service.dashboard.visits import Visit, VisitHere
from modelgenerator.service.errors import (
    InsufficientFunds,
    InvalidValue,
    NotFound,
    ServiceError,
    TooLarge,
)
from modelgenerator.service.http.statuses import status_of
from modelgenerator.service.operations import inference_packs, inferences, model_lists
from modelgenerator.service.operations.callers import Caller
from modelgenerator.service.operations.inferences import InferenceRequest
from modelgenerator.service.records.generations import InferencePack
from modelgenerator.service.records.trainings import JsonObject

router = APIRouter(route_class=PageRoute, include_in_schema=False)
A_PAGE = 50
MOST_MODELS = 200
MOST_COMPARED = 4
_EXAMPLES = "a creature in the snow\na creature at night\na creature in the forest"
Text = Annotated[str, Form()]
MaybeText = Annotated[str | None, Form()]
Ids = Annotated[list[UUID], Query(alias="id", min_length=1, max_length=MOST_COMPARED)]


@dataclass(frozen=True, slots=True)
class Column:
    """One model's pictures of a pack."""

    drawing: Drawing
    name: str


@router.get("/packs")
def packs_page(visit: VisitHere, cursor: str | None = None) -> Response:
    """All packs."""
    packs = inference_packs.list_packs(visit.service, visit.caller, cursor, limit=A_PAGE)
    return visit.page("packs/packs.html", packs=packs)


@router.get("/packs/new")
def new_pack(visit: VisitHere, view: str = "") -> Response:
    """The form for one."""
    examples = PackForm(prompts=_EXAMPLES).images()
    return _form_page(visit, None, PackForm.of("", examples, as_json=view == "json"))


@router.post("/packs")
def create_pack(
    visit: VisitHere,
    name: Text = "",
    prompts: Text = "",
    seed: Text = "",
    images: MaybeText = None,
) -> Response:
    """Keep it."""
    form = PackForm(name=name, prompts=prompts, seed=seed, json=images)
    try:
        pack = inference_packs.create_pack(
            visit.service, visit.caller, name=form.name, images=form.images()
        )
    except (UserError, InvalidValue, TooLarge) as error:
        return _form_page(visit, None, form, error)
    return visit.go(f"/packs/{pack.id}", "Kept.")


@router.get("/packs/{id}")
def pack_page(visit: VisitHere, id: UUID, view: str = "") -> Response:
    """One pack: run it, or change it."""
    pack = inference_packs.read_pack(visit.service, visit.caller, id)
    return _form_page(visit, pack, PackForm.of(pack.name, pack.images, as_json=view == "json"))


@router.post("/packs/{id}")
def change_pack(
    visit: VisitHere,
    id: UUID,
    name: Text = "",
    prompts: Text = "",
    seed: Text = "",
    images: MaybeText = None,
) -> Response:
    """Other prompts, or another name."""
    pack = inference_packs.read_pack(visit.service, visit.caller, id)
    form = PackForm(name=name, prompts=prompts, seed=seed, json=images)
    try:
        inference_packs.change_pack(
            visit.service, visit.caller, id, name=form.name, images=form.images(pack.images)
        )
    except (UserError, InvalidValue, TooLarge) as error:
        return _form_page(visit, pack, form, error)
    return visit.go(f"/packs/{id}", "Saved.")


@router.post("/packs/{id}/delete")
def delete_pack(visit: VisitHere, id: UUID) -> Response:
    """Forget it; what was drawn stays."""
    inference_packs.delete_pack(visit.service, visit.caller, id)
    return visit.go("/packs", "The pack was deleted. Pictures that were drawn with it stay.")


@router.post("/packs/{id}/run")
def run_pack(visit: VisitHere, id: UUID, first: Text = "", second: Text = "") -> Response:
    """Draw it with one model, or with two that are to be compared."""
    pack = inference_packs.read_pack(visit.service, visit.caller, id)
    try:
        drawn = _drawn_with(visit, pack, [model for model in (first, second) if model])
    except ModelGeneratorError as error:
        form = PackForm.of(pack.name, pack.images, as_json=False)
        return _form_page(visit, pack, form, chosen=(first, second), refused=error)
    ids = "&".join(f"id={one}" for one in drawn)
    return visit.go(f"/packs/{id}/compare?{ids}")


@router.get("/packs/{id}/compare")
def compare_page(visit: VisitHere, id: UUID, ids: Ids) -> Response:
    """What each model made of it, prompt by prompt."""
    pack = inference_packs.read_pack(visit.service, visit.caller, id)
    return visit.page("packs/compare.html", pack=pack, columns=_columns(visit, ids))


@router.get("/packs/{id}/compare/part")
def compare_part(visit: VisitHere, id: UUID, ids: Ids) -> Response:
    """What changes of it."""
    pack = inference_packs.read_pack(visit.service, visit.caller, id)
    return visit.page("packs/columns.html", pack=pack, columns=_columns(visit, ids))


def _form_page(
    visit: Visit,
    pack: InferencePack | None,
    form: PackForm,
    error: ModelGeneratorError | None = None,
    *,
    chosen: tuple[str, str] = ("", ""),
    refused: ModelGeneratorError | None = None,
) -> Response:
    models = model_lists.choosable_models(visit.service, visit.caller, limit=MOST_MODELS)
    usual = (str(models[0].training.id) if models else f"{BASE}{base_models(models)[0]}", "")
    wrong = error or refused
    return visit.page(
        "packs/pack.html",
        status=200 if wrong is None else status_of(wrong),
        pack=pack,
        form=form,
        faults=_faults(error, form),
        trouble=None if refused is None else trouble_of(refused),
        models=models,
        bases=base_models(models),
        chosen=chosen if chosen[0] else usual,
        count=0 if pack is None else _count(pack.images),
        price=0 if pack is None else _price(visit, pack.images),
        calls=[] if pack is None else _as_code(pack, chosen if chosen[0] else usual),
    )


def _faults(error: ModelGeneratorError | None, form: PackForm) -> dict[str, str]:
    if error is None:
        return {}
    place = (error.field if isinstance(error, ServiceError) else None) or "images"
    if place == "images" and form.json is None:
        place = "prompts"
    return {place: with_hint(error)}


def _drawn_with(visit: Visit, pack: InferencePack, models: Sequence[str]) -> list[UUID]:
    """An inference a model, all with the same seeds; either all are asked for or none."""
    if not models:
        raise InvalidValue("Choose what to draw with.", field="first")
    price = _price(visit, pack.images) * len(models)
    account = visit.organization().account
    if visit.service.config.billing and price > account.available:
        raise InsufficientFunds(needed=price, present=account.available)
    images = _with_seeds(pack.images)
    asked: list[tuple[Caller, InferenceRequest]] = []
    for number, model in enumerate(models):
        form = DrawingForm(model)
        request = InferenceRequest(
            images=images, base_model=form.base_model, training_id=form.training_id
        )
        asked.append((visit.caller.numbered(number), request))
    return inferences.create_inferences(visit.service, asked)


def _with_seeds(images: Sequence[JsonObject]) -> list[Mapping[str, object]]:
    """Images without a seed get one here, the same for all models."""
    return [
        image if "seed" in image else {**image, "seed": secrets.randbits(31)} for image in images
    ]


def _count(images: Sequence[JsonObject]) -> int:
    return sum(int(str(image.get("count", 1))) for image in images)


def _price(visit: Visit, images: Sequence[JsonObject]) -> int:
    return pictures_charge(visit.service.config.prices, _count(images))


def _as_code(pack: InferencePack, models: Sequence[str]) -> list[Call]:
    calls: list[Call] = []
    for model in models:
        form = DrawingForm(model)
        body: dict[str, object] = {"inferencePackId": str(pack.id)}
        if form.training_id is not None:
            body["trainingId"] = str(form.training_id)
        elif form.base_model:
            body["baseModel"] = form.base_model
        if model:
            calls.append(Call("POST", "/v1/inferences", body))
    return calls


def _columns(visit: Visit, ids: Sequence[UUID]) -> list[Column]:
    shown = [inferences.read_inference(visit.service, visit.caller, id) for id in ids]
    drawings = [Drawing(one) for one in shown]
    return [Column(drawing, _name(visit, drawing)) for drawing in drawings]


def _name(visit: Visit, drawing: Drawing) -> str:
    """Of the model that draws."""
    first = drawing.shown.inference.images[0]
    if drawing.training_id is None:
        return str(first["baseModel"])
    try:
        used = model_lists.choosable_model(visit.service, visit.caller, UUID(drawing.training_id))
    except NotFound:
        used = None
    return "A deleted training" if used is None else used.training.name
