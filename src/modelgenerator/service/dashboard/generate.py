"""Pictures: asked for by a form, shown as they come, kept in a gallery."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request, Response

from modelgenerator.errors import (
    BaseModelGated,
    BaseModelNotFound,
    BaseModelUnsupported,
    InvalidSettings,
    ModelGeneratorError,
)
from modelgenerator.service.billing.prices import pictures_charge
from modelgenerator.service.dashboard.drawing_form import (
    BASE,
    USUAL_COUNT,
    DrawingForm,
    about_fields,
    place_of,
)
from modelgenerator.service.dashboard.drawing_help import Hints, base_models, hints_for
from modelgenerator.service.dashboard.drawing_status import Drawing
from modelgenerator.service.dashboard.page_errors import PageRoute, Trouble, trouble_of
from modelgenerator.service.dashboard.visits import Visit, VisitHere
from modelgenerator.service.errors import (
    IncompatibleBaseModel,
    ModelExpired,
    NotFound,
    ServiceError,
)
from modelgenerator.service.http.statuses import status_of
from modelgenerator.service.operations import (
    cancelling,
    gallery,
    inferences,
    model_lists,
    picture_thumbnails,
)
from modelgenerator.service.operations.model_lists import ChoosableModel
from modelgenerator.service.operations.money import ShownOrganization
from modelgenerator.service.records.job_specs import GenerateSpec

router = APIRouter(route_class=PageRoute, include_in_schema=False)
A_PAGE = 48
MOST_SHOWN = 6
"""Requests that are shown while they are drawn."""
MOST_MODELS = 200
"""Trained models to choose from; an older one is found by its training's page."""
_ABOUT_BASE = (IncompatibleBaseModel, BaseModelNotFound, BaseModelGated, BaseModelUnsupported)
_PREFIX = re.compile(r"^images\[0\]: ")


async def _form_sent(request: Request) -> DrawingForm:
    sent = await request.form()
    return DrawingForm.of({name: it for name, it in sent.items() if isinstance(it, str)})


def _form_asked(request: Request) -> DrawingForm:
    return DrawingForm.of(request.query_params)


FormSent = Annotated[DrawingForm, Depends(_form_sent)]
FormAsked = Annotated[DrawingForm, Depends(_form_asked)]
Ids = Annotated[list[UUID] | None, Query(alias="id", max_length=MOST_SHOWN)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The form with all that stands around its fields."""

    form: DrawingForm
    models: list[ChoosableModel]
    bases: list[str]
    hints: Hints
    price: int
    """Microdollars."""
    organization: ShownOrganization

    @property
    def is_too_much(self) -> bool:
        """Whether the balance does not cover it."""
        account = self.organization.account
        return self.organization.is_charging and self.price > account.available


@router.get("/generate")
def generate_page(
    visit: VisitHere,
    form: FormAsked,
    training: UUID | None = None,
    again: UUID | None = None,
    position: int = 0,
    new: Ids = None,
    cursor: str | None = None,
) -> Response:
    """The form, what is being drawn, and what was."""
    if again is not None:
        form = _as_it_was(visit, again, position, form)
    elif training is not None and not form.model:
        form = DrawingForm(str(training), form.fields)
    return _page(visit, form, training=training, new=tuple(new or ()), cursor=cursor)


@router.post("/generate")
def draw(visit: VisitHere, form: FormSent) -> Response:
    """Ask for pictures; they are shown on the same page as they come."""
    faults = form.faults()
    if faults:
        return _page(visit, form, status=422, faults=faults)
    try:
        id = inferences.create_inference(visit.service, visit.caller, form.request())
    except ModelGeneratorError as error:
        return _refused(visit, form, error)
    kept = f"&seed={form.fields['seed']}" if "seed" in form.fields else ""
    return visit.go(f"/generate?again={id}&count={form.count}{kept}&id={id}#drawing")


@router.get("/generate/asked")
def asked_part(visit: VisitHere, form: FormAsked) -> Response:
    """What changes around the fields while they are filled in."""
    return visit.page("generate/asked_part.html", asked=_asked(visit, form))


@router.get("/generate/drawing")
def drawing_part(visit: VisitHere, ids: Ids = None) -> Response:
    """What is being drawn."""
    return visit.page("generate/drawings.html", drawings=_drawings(visit, tuple(ids or ())))


@router.get("/generate/pictures/{id}/thumbnail")
def thumbnail(
    visit: VisitHere,
    id: UUID,
    if_none_match: Annotated[str | None, Header(alias="If-None-Match")] = None,
) -> Response:
    """A small picture of one that was drawn."""
    picture = picture_thumbnails.find_picture(visit.service, visit.caller, id)
    etag = f'"{picture_thumbnails.mark_of(picture)}"'
    headers = {
        "ETag": etag,
        "Cache-Control": "private, max-age=3600",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    if if_none_match is not None and etag in if_none_match:
        return Response(status_code=304, headers=headers)
    small = picture_thumbnails.thumbnail(visit.service, picture)
    return Response(small.content, media_type=small.media_type, headers=headers)


@router.get("/generate/{id}")
def inference_page(visit: VisitHere, id: UUID) -> Response:
    """One request for pictures."""
    drawing = _drawing(visit, id)
    form = _first(drawing)
    return visit.page("generate/inference.html", drawing=drawing, calls=form.as_code())


@router.get("/generate/{id}/status")
def inference_status(visit: VisitHere, id: UUID) -> Response:
    """What changes of it."""
    return visit.page("generate/inference_status.html", drawing=_drawing(visit, id))


@router.post("/generate/{id}/cancel")
def cancel(visit: VisitHere, id: UUID) -> Response:
    """End it; what is drawn is kept."""
    cancelling.cancel_inference(visit.service, visit.caller, id)
    return visit.go(f"/generate/{id}", "Cancelled. Pictures that were drawn already are kept.")


@router.post("/generate/{id}/delete")
def delete(visit: VisitHere, id: UUID) -> Response:
    """Its pictures are gone."""
    receipt = inferences.delete_inference(visit.service, visit.caller, id)
    count = receipt.counts["generatedPictures"]
    what = "1 picture was" if count == 1 else f"{count} pictures were"
    return visit.go("/generate", f"{what} deleted. Receipt: {receipt.id}.")


def _page(
    visit: Visit,
    form: DrawingForm,
    *,
    status: int = 200,
    faults: Mapping[str, str] | None = None,
    trouble: Trouble | None = None,
    training: UUID | None = None,
    new: tuple[UUID, ...] = (),
    cursor: str | None = None,
) -> Response:
    drawings = _drawings(visit, new)
    pictures = gallery.list_pictures(
        visit.service,
        visit.caller,
        cursor,
        limit=A_PAGE,
        training_id=training,
        but_of=[one.shown.inference.id for one in drawings],
    )
    return visit.page(
        "generate/generate.html",
        status=status,
        asked=_asked(visit, form, is_filled_in=bool(faults or trouble)),
        faults=faults or {},
        trouble=trouble,
        about=about_fields(),
        drawings=drawings,
        pictures=pictures,
        training=training,
    )


def _asked(visit: Visit, form: DrawingForm, *, is_filled_in: bool = True) -> Asked:
    service, caller = visit.service, visit.caller
    models = model_lists.choosable_models(service, caller, limit=MOST_MODELS)
    chosen = next((one for one in models if one.training.id == form.training_id), None)
    if chosen is None and form.training_id is not None:
        chosen = _older(visit, form.training_id)
        models = [*models, *([chosen] if chosen else [])]
    bases = base_models(models)
    if not form.model:
        form, chosen = _usual(form, models, bases)
    on = form.base_model or (chosen.model.base_model if chosen else bases[0])
    hints = hints_for(service, chosen, on)
    if not is_filled_in:
        form = form.with_fields(
            **{"prompt": hints.prompt, "count": str(USUAL_COUNT), **form.fields}
        )
    return Asked(
        form=form,
        models=models,
        bases=bases,
        hints=hints,
        price=pictures_charge(service.config.prices, form.count),
        organization=visit.organization(),
    )


def _usual(
    form: DrawingForm, models: list[ChoosableModel], bases: list[str]
) -> tuple[DrawingForm, ChoosableModel | None]:
    """The newest trained model, or the base model that everybody has."""
    newest = models[0] if models else None
    model = str(newest.training.id) if newest else f"{BASE}{bases[0]}"
    return DrawingForm(model, form.fields), newest


def _older(visit: Visit, training_id: UUID) -> ChoosableModel | None:
    """One that is not among the newest; none if there is none, or not any more."""
    try:
        return model_lists.choosable_model(visit.service, visit.caller, training_id)
    except NotFound:
        return None


def _as_it_was(visit: Visit, id: UUID, position: int, over: DrawingForm) -> DrawingForm:
    """The form of a picture that was drawn; what the address says beside it wins."""
    shown = inferences.read_inference(visit.service, visit.caller, id)
    pictures = GenerateSpec.from_json(shown.job.spec).pictures
    drawn = pictures[position] if 0 <= position < len(pictures) else pictures[0]
    form = DrawingForm.again(drawn, keeps_seed="count" not in over.fields)
    return form.with_fields(**over.fields)


def _first(drawing: Drawing) -> DrawingForm:
    pictures = GenerateSpec.from_json(drawing.shown.job.spec).pictures
    return DrawingForm.again(pictures[0], keeps_seed=True, count=len(pictures))


def _drawing(visit: Visit, id: UUID) -> Drawing:
    shown = inferences.read_inference(visit.service, visit.caller, id)
    return Drawing(shown)


def _drawings(visit: Visit, also: tuple[UUID, ...]) -> list[Drawing]:
    found = gallery.being_drawn(visit.service, visit.caller, limit=MOST_SHOWN, also=also)
    return [Drawing(shown) for shown in found]


def _refused(visit: Visit, form: DrawingForm, error: ModelGeneratorError) -> Response:
    """The form again, with what is wrong at its place."""
    status = status_of(error)
    place = _place(error, form)
    if place is None:
        return _page(visit, form, status=status, trouble=trouble_of(error))
    hint = error.hint if isinstance(error, ServiceError) and error.hint else ""
    words = f"{_PREFIX.sub('', str(error))} {hint}".strip()
    return _page(visit, form, status=status, faults={place: words})


def _place(error: ModelGeneratorError, form: DrawingForm) -> str | None:
    """The field that it is about; none: all of it."""
    if isinstance(error, InvalidSettings):
        return place_of(str(error))
    if isinstance(error, _ABOUT_BASE):
        return "baseModel" if "baseModel" in form.fields else "model"
    return "model" if isinstance(error, (ModelExpired, NotFound)) else None
