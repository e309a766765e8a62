"""A new training: preset, settings, what it would cost.

`/trainings/new?subject=ID` is ready to be sent as it is; `from`, `template`, and the name of any
setting in the address fill the form.  The page asks again for parts of itself while somebody
writes; without a script the buttons of the form do the same.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Response

from modelgenerator.diffusion.aliases import BUILTIN
from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.errors import HubUnreachable, InvalidSettings, ModelGeneratorError
from modelgenerator.service.dashboard.page_errors import PageRoute
from modelgenerator.service.dashboard.rendering import once, pretty
from modelgenerator.service.dashboard.settings_form import (
    BASE_MODEL,
    controls,
    read_form,
    read_json,
)
from modelgenerator.service.dashboard.training_form import (
    Texts,
    TextsHere,
    Told,
    TrainingForm,
    id_in,
    resolved,
    text_of,
    told_of_error,
    told_of_plan,
)
from modelgenerator.service.dashboard.training_presets import (
    BASE_MODELS,
    PLAIN,
    RECOMMENDED,
    chosen,
    presets,
)
from modelgenerator.service.dashboard.trigger_words import suggested_trigger
from modelgenerator.service.dashboard.visits import Visit, VisitHere
from modelgenerator.service.errors import NotFound
from modelgenerator.service.http.statuses import status_of
from modelgenerator.service.operations import planning, subjects, templates, training_status
from modelgenerator.service.operations.accounts import hash_of
from modelgenerator.service.operations.base_model_facts import read_base_model
from modelgenerator.service.operations.callers import Caller
from modelgenerator.service.operations.subjects import SubjectSeen
from modelgenerator.service.operations.trainings import create_training
from modelgenerator.service.records.organizations import Role

router = APIRouter(route_class=PageRoute, include_in_schema=False)
MOST_OFFERED = 50
"""Templates and subjects in a choice; the newest."""
TRIGGER = "captionPrefix"


@router.get("/trainings/new")
def new_training(visit: VisitHere, texts: TextsHere) -> Response:
    """The form, filled as far as the address says."""
    visit.caller.require(Role.MEMBER)
    subject, settings = _begun(visit, texts)
    if subject is None:
        offered = subjects.list_subjects(visit.service, visit.caller, None, limit=MOST_OFFERED)
        query = visit.request.url.query
        return visit.page("trainings/choose_subject.html", subjects=offered.items, query=query)
    settings |= read_form(texts)
    usual = PLAIN if "from" in texts else RECOMMENDED
    key = text_of(texts, "template") or text_of(texts, "preset") or usual
    form = _form(visit, subject, key, settings, texts)
    if TRIGGER not in form.settings:
        changes = {TRIGGER: _trigger(visit, subject), **form.changes}
        form = replace(form, changes=changes)
    return _page(visit, form)


@router.post("/trainings/new")
def start(visit: VisitHere, texts: TextsHere) -> Response:
    """Start it, or say at the settings why not."""
    form = _sent(visit, texts)
    if faults := form.value_faults:
        return _page(visit, form, Told(faults=faults), status=422)
    asked = form.request()
    try:
        id = create_training(visit.service, _once(visit.caller, asked), asked)
    except ModelGeneratorError as error:
        if status_of(error) >= 500:
            raise
        told = _with_plan(visit, form, told_of_error(error))
        return _page(visit, form, told, status=status_of(error))
    return visit.go(f"/trainings/{id}", "The training is queued.")


@router.post("/trainings/new/estimate")
def estimate(visit: VisitHere, texts: TextsHere) -> Response:
    """What it would be: the part that is renewed while somebody writes."""
    form = _sent(visit, texts)
    return visit.page("trainings/estimate_answer.html", **_shown(visit, form, _told(visit, form)))


@router.post("/trainings/new/check")
def check(visit: VisitHere, texts: TextsHere) -> Response:
    """The same as a whole page."""
    form = _sent(visit, texts)
    return _page(visit, form, _told(visit, form))


@router.post("/trainings/new/fields")
def fields(visit: VisitHere, texts: TextsHere) -> Response:
    """All fields again, because another preset shows through them."""
    return _fields(visit, _sent(visit, texts))


@router.post("/trainings/new/json")
def from_json(visit: VisitHere, texts: TextsHere) -> Response:
    """The form as the JSON beside it says."""
    try:
        settings = read_json(text_of(texts, "json"))
    except InvalidSettings as error:
        return _json_fault(visit, texts, str(error))
    form = _sent(visit, texts, settings)
    unknown = [fault for name, fault in form.value_faults.items() if name not in controls()]
    if unknown:
        return _json_fault(visit, texts, "; ".join(unknown))
    return _fields(visit, form) if visit.is_partial else _page(visit, form)


@router.post("/trainings/new/template")
def save_as_template(visit: VisitHere, texts: TextsHere) -> Response:
    """Preset and changes under a name."""
    form = _sent(visit, texts)
    settings, name = form.settings, text_of(texts, "templateName")
    caller = _once(visit.caller, (name, settings))
    try:
        made = templates.create_template(visit.service, caller, name=name, settings=settings)
    except ModelGeneratorError as error:
        told = replace(_told(visit, form), trouble=f"The template was not saved. {error}")
        return _page(visit, form, told, status=status_of(error))
    return visit.go(f"/templates/{made.template.id}", f"Saved as {made.template.name}.")


def _begun(visit: Visit, texts: Texts) -> tuple[SubjectSeen | None, dict[str, object]]:
    """Whom the address names, and the settings of the training that it begins with."""
    settings: dict[str, object] = {}
    subject = None
    if "from" in texts:
        id = _id(text_of(texts, "from"), "training")
        cloned = training_status.read_training(visit.service, visit.caller, id)
        settings = dict(cloned.training.settings)
        subject = subjects.subject_of_dataset(visit.service, visit.caller, cloned.dataset_id)
    if "subject" in texts:
        id = _id(text_of(texts, "subject"), "subject")
        subject = subjects.read_subject(visit.service, visit.caller, id)
    return subject, settings


def _sent(visit: Visit, texts: Texts, settings: Mapping[str, object] | None = None) -> TrainingForm:
    """The form as it was sent, or with `settings` in place of its fields."""
    visit.caller.require(Role.MEMBER)
    id = _id(text_of(texts, "subject"), "subject")
    subject = subjects.read_subject(visit.service, visit.caller, id)
    changes = read_form(texts) if settings is None else settings
    return _form(visit, subject, text_of(texts, "preset"), changes, texts)


def _form(
    visit: Visit, subject: SubjectSeen, key: str, settings: Mapping[str, object], texts: Texts
) -> TrainingForm:
    base_model = str(settings.get(BASE_MODEL, ""))
    offered = list(
        templates.list_templates(visit.service, visit.caller, None, limit=MOST_OFFERED).items
    )
    if (id := id_in(key)) and all(it.template.id != id for it in offered):
        offered.append(templates.read_template(visit.service, visit.caller, id))
    all_presets = presets(base_model, _known_base(visit, base_model), offered)
    return TrainingForm(
        subject=subject,
        presets=all_presets,
        preset=chosen(all_presets, key),
        changes=settings,
        name=text_of(texts, "name"),
        acknowledges="acknowledges" in texts,
    )


def _known_base(visit: Visit, name: str) -> BaseModelFiles | None:
    """What is known of a base model; none: what is wrong with it is said beside the estimate."""
    try:
        return read_base_model(visit.service, visit.caller, name or BUILTIN)
    except ModelGeneratorError:
        return None


def _trigger(visit: Visit, subject: SubjectSeen) -> str:
    """The word of the subject's last training, or one that suits its name."""
    dataset_id = subject.subject.dataset_id
    earlier = training_status.list_trainings(
        visit.service, visit.caller, None, limit=1, dataset_id=dataset_id
    )
    words = [str(shown.training.plan.get(TRIGGER, "")) for shown in earlier.items]
    return next(filter(None, words), suggested_trigger(subject.subject.name))


def _told(visit: Visit, form: TrainingForm) -> Told:
    if faults := form.value_faults:
        return Told(faults=faults)
    asked = replace(form.request(), acknowledges_warnings=True)
    try:
        planned = planning.plan_training(visit.service, visit.caller, asked)
    except ModelGeneratorError as error:
        if status_of(error) >= 500 and not isinstance(error, HubUnreachable):
            raise
        return told_of_error(error)
    money = visit.organization()
    return told_of_plan(planned, money.account.available if money.is_charging else None)


def _with_plan(visit: Visit, form: TrainingForm, told: Told) -> Told:
    """What went wrong, beside the plan if there can be one."""
    planned = _told(visit, form)
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
        values = _shown(visit, _sent(visit, texts), None)
        values |= {"json_fault": fault, "json_text": text_of(texts, "json")}
        return visit.page("trainings/new.html", 422, **values)
    answer = visit.page("trainings/json_fault.html", json_fault=fault)
    answer.headers["HX-Retarget"] = "#json-fault"
    answer.headers["HX-Reswap"] = "outerHTML"
    return answer


def _shown(visit: Visit, form: TrainingForm, told: Told | None) -> dict[str, Any]:
    if told is not None and told.faults:
        form = replace(form, faults=told.faults)
    is_charging = visit.organization().is_charging
    return {
        "form": form,
        "subject": form.subject.subject,
        "fields": form.fields,
        "told": told,
        "button": (told or Told()).button(is_charging=is_charging),
        "is_charging": is_charging,
        "resolved": resolved(told.planned) if told and told.planned else {},
        "calls": form.as_code(),
        "base_models": BASE_MODELS,
        "json_text": pretty(form.settings),
        "json_fault": None,
        "once_key": once(),
    }


def _once(caller: Caller, asked: object) -> Caller:
    """Sent twice it is made once; sent again with other settings it is another request."""
    if caller.request is None:
        return caller
    key = f"{caller.request.key} {hash_of(repr(asked))[:32]}"
    return replace(caller, request=replace(caller.request, key=key))


def _id(text: str, what: str) -> UUID:
    id = id_in(text)
    if id is None:
        raise NotFound(what, text)
    return id
