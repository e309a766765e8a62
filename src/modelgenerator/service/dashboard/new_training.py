"""A new training: preset, settings, what it would cost.

`/trainings/new?subject=ID` is ready to be sent as it is; `from`, `template`, and the name of any
setting in the address fill the form.  The page asks again for parts of itself while somebody
writes; without a script the buttons of the form do the same.
"""

from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Response

from modelgenerator.errors import InvalidSettings, ModelGeneratorError
from modelgenerator.service.dashboard.page_errors import PageRoute
from modelgenerator.service.dashboard.rendering import pretty
from modelgenerator.service.dashboard.settings_form import controls, read_form, read_json
from modelgenerator.service.dashboard.training_form import (
    Texts,
    TextsHere,
    Told,
    TrainingForm,
    resolved,
    text_of,
    told_of_error,
)
from modelgenerator.service.dashboard.training_form_filling import (
    begun,
    choose_subject,
    prefilled,
    sent_form,
    told_of,
)
from modelgenerator.service.dashboard.training_presets import BASE_MODELS, PLAIN, RECOMMENDED
from modelgenerator.service.dashboard.visits import Visit, VisitHere
from modelgenerator.service.http.statuses import status_of
from modelgenerator.service.operations import templates
from modelgenerator.service.operations.priorities import priorities_of
from modelgenerator.service.operations.trainings import create_training
from modelgenerator.service.records.organizations import Role

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/trainings/new")
def new_training(visit: VisitHere, texts: TextsHere) -> Response:
    """The form, filled as far as the address says."""
    visit.caller.require(Role.MEMBER)
    subject, settings = begun(visit, texts)
    if subject is None:
        return choose_subject(visit)
    settings |= read_form(texts)
    usual = PLAIN if "from" in texts else RECOMMENDED
    key = text_of(texts, "template") or text_of(texts, "preset") or usual
    form = prefilled(visit, subject, settings, key, texts)
    return _page(visit, form)


@router.post("/trainings/new")
def start(visit: VisitHere, texts: TextsHere) -> Response:
    """Start it, or say at the settings why not."""
    form = sent_form(visit, texts)
    if faults := form.value_faults:
        return _page(visit, form, Told(faults=faults), status=422)
    asked = form.request()
    try:
        id = create_training(visit.service, visit.caller, asked)
    except ModelGeneratorError as error:
        if status_of(error) >= 500:
            raise
        told = _with_plan(visit, form, told_of_error(error))
        return _page(visit, form, told, status=status_of(error))
    return visit.go(f"/trainings/{id}", "The training is queued.")


@router.post("/trainings/new/estimate")
def estimate(visit: VisitHere, texts: TextsHere) -> Response:
    """What it would be: the part that is renewed while somebody writes."""
    form = sent_form(visit, texts)
    return visit.page("trainings/estimate_answer.html", **_shown(visit, form, told_of(visit, form)))


@router.post("/trainings/new/check")
def check(visit: VisitHere, texts: TextsHere) -> Response:
    """The same as a whole page."""
    form = sent_form(visit, texts)
    return _page(visit, form, told_of(visit, form))


@router.post("/trainings/new/fields")
def fields(visit: VisitHere, texts: TextsHere) -> Response:
    """All fields again, because another preset shows through them."""
    return _fields(visit, sent_form(visit, texts))


@router.post("/trainings/new/json")
def from_json(visit: VisitHere, texts: TextsHere) -> Response:
    """The form as the JSON beside it says."""
    try:
        settings = read_json(text_of(texts, "json"))
    except InvalidSettings as error:
        return _json_fault(visit, texts, str(error))
    form = sent_form(visit, texts, settings).without_what_is_preset()
    unknown = [fault for name, fault in form.value_faults.items() if name not in controls()]
    if unknown:
        return _json_fault(visit, texts, "; ".join(unknown))
    return _fields(visit, form) if visit.is_partial else _page(visit, form)


@router.post("/trainings/new/template")
def save_as_template(visit: VisitHere, texts: TextsHere) -> Response:
    """Preset and changes under a name."""
    form = sent_form(visit, texts)
    settings, name = form.settings, text_of(texts, "templateName")
    caller = visit.caller
    try:
        made = templates.create_template(visit.service, caller, name=name, settings=settings)
    except ModelGeneratorError as error:
        told = replace(told_of(visit, form), trouble=f"The template was not saved. {error}")
        return _page(visit, form, told, status=status_of(error))
    return visit.go(f"/templates/{made.template.id}", f"Saved as {made.template.name}.")


def _with_plan(visit: Visit, form: TrainingForm, told: Told) -> Told:
    """What went wrong, beside the plan if there can be one."""
    planned = told_of(visit, form)
    return replace(told, planned=planned.planned, lacking=planned.lacking)


def _page(
    visit: Visit, form: TrainingForm, told: Told | None = None, *, status: int = 200
) -> Response:
    return visit.page("trainings/new.html", status, **_shown(visit, form, told))


def _fields(visit: Visit, form: TrainingForm) -> Response:
    """The fields; the estimate asks again when they have come."""
    answer = visit.page("trainings/fields.html", **_shown(visit, form, None))
    answer.headers["HX-Trigger-After-Settle"] = "settingsChanged"
    return answer


def _json_fault(visit: Visit, texts: Texts, fault: str) -> Response:
    """What is wrong with the JSON; the fields stay."""
    if not visit.is_partial:
        values = _shown(visit, sent_form(visit, texts), None)
        values |= {"json_fault": fault, "json_text": text_of(texts, "json")}
        return visit.page("trainings/new.html", 422, **values)
    answer = visit.page("trainings/json_fault.html", json_fault=fault)
    answer.headers["HX-Retarget"] = "#json-fault"
    answer.headers["HX-Reswap"] = "outerHTML"
    return answer


def _shown(visit: Visit, form: TrainingForm, told: Told | None) -> dict[str, Any]:
    if told is not None and told.faults:
        form = replace(form, faults=told.faults)
    is_charging = visit.service.config.billing
    return {
        "form": form,
        "subject": form.subject.subject,
        "fields": form.fields,
        "told": told,
        "button": (told or Told()).button(is_charging=is_charging),
        "resolved": resolved(told.planned) if told and told.planned else {},
        "calls": form.as_code(),
        "base_models": BASE_MODELS,
        "priorities": priorities_of(visit.service.config),
        "json_text": pretty(form.settings),
        "json_fault": None,
    }
