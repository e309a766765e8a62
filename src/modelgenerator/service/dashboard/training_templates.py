"""Training templates: settings under a name, their versions, and what was trained with them.

A template is written in the same form as a training, over nothing: what is left empty is left to
whoever trains.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Form, Response

from modelgenerator.diffusion.aliases import BUILTIN
from modelgenerator.errors import InvalidSettings
from modelgenerator.service.dashboard.as_code import Call
from modelgenerator.service.dashboard.page_errors import PageRoute
from modelgenerator.service.dashboard.rendering import pretty
from modelgenerator.service.dashboard.settings_form import (
    BASE_MODEL,
    controls,
    in_words,
    read_form,
    read_json,
    settings_form,
)
from modelgenerator.service.dashboard.training_form import Texts, TextsHere, text_of
from modelgenerator.service.dashboard.training_form_filling import id_of
from modelgenerator.service.dashboard.training_presets import BASE_MODELS
from modelgenerator.service.dashboard.visits import Visit, VisitHere
from modelgenerator.service.errors import InvalidValue
from modelgenerator.service.operations import templates
from modelgenerator.service.operations.templates import TemplateSeen
from modelgenerator.service.records.organizations import Role
from modelgenerator.service.records.trainings import TemplateVersion
from modelgenerator.setting_faults import faults_in
from modelgenerator.settings import TrainingSettings

router = APIRouter(route_class=PageRoute, include_in_schema=False)
_PIECE = 50


@dataclass(frozen=True, slots=True)
class Change:
    """What a version says otherwise than the one before it."""

    setting: str
    before: str
    """Empty: nothing was said."""
    after: str
    """Empty: nothing is said any more."""


@dataclass(frozen=True, slots=True)
class ShownVersion:
    """A version, and what it changed."""

    version: TemplateVersion
    changes: tuple[Change, ...]


def changes_between(
    before: Mapping[str, object], after: Mapping[str, object]
) -> tuple[Change, ...]:
    """By setting, in the order in which they are said."""
    names = dict.fromkeys((*after, *before))
    return tuple(
        Change(name, _said(before, name), _said(after, name))
        for name in names
        if before.get(name) != after.get(name)
    )


def with_changes(versions: Sequence[TemplateVersion], *, is_last: bool) -> list[ShownVersion]:
    """Each with what it changed, the newest first; `is_last`: nothing came before the oldest."""
    befores = [version.settings for version in versions[1:]]
    if is_last:
        befores.append({})
    pairs = zip(versions, befores, strict=False)
    return [ShownVersion(it, changes_between(before, it.settings)) for it, before in pairs]


@router.get("/templates")
def template_list(visit: VisitHere, cursor: str | None = None) -> Response:
    """All templates."""
    page = templates.list_templates(visit.service, visit.caller, cursor, limit=_PIECE)
    return visit.page("templates/list.html", page=page, calls=[Call("GET", _ADDRESS)])


@router.get("/templates/new")
def new_template(visit: VisitHere, texts: TextsHere) -> Response:
    """An empty form, or one filled by the address."""
    visit.caller.require(Role.MEMBER)
    return _page(visit, read_form(texts), name=text_of(texts, "name"))


@router.post("/templates/new")
def create(visit: VisitHere, texts: TextsHere) -> Response:
    """Save it as a new one."""
    visit.caller.require(Role.MEMBER)
    settings, name = read_form(texts), text_of(texts, "name")
    if _faults(settings):
        return _page(visit, settings, name=name, status=422)
    try:
        made = templates.create_template(visit.service, visit.caller, name=name, settings=settings)
    except InvalidValue as error:
        return _page(visit, settings, name=name, name_fault=str(error), status=error.status)
    return visit.go(f"/templates/{made.template.id}", "Saved.")


@router.post("/templates/check")
def check(visit: VisitHere, texts: TextsHere) -> Response:
    """What is wrong with what was written so far, and the same as JSON."""
    seen = _template_in(visit, texts)
    values = _shown(read_form(texts), text_of(texts, "name"), seen)
    return visit.page("templates/check.html", **values)


@router.post("/templates/json")
def from_json(visit: VisitHere, texts: TextsHere) -> Response:
    """The form as the JSON beside it says."""
    seen, name, text = _template_in(visit, texts), text_of(texts, "name"), text_of(texts, "json")
    fault = None
    settings = read_form(texts)
    try:
        written = read_json(text)
        unknown = [it for name, it in _faults(written).items() if name not in controls()]
        fault = "; ".join(unknown) or None
        settings = settings if unknown else written
    except InvalidSettings as error:
        fault = str(error)
    if not visit.is_partial:
        values = {"json_fault": fault, "json_text": text if fault else pretty(settings)}
        return _page(visit, settings, name=name, seen=seen, status=422 if fault else 200, **values)
    if fault is None:
        answer = visit.page("templates/fields.html", **_shown(settings, name, seen))
        answer.headers["HX-Trigger-After-Settle"] = "settingsChanged"
        return answer
    answer = visit.page("trainings/json_fault.html", json_fault=fault)
    answer.headers["HX-Retarget"] = "#json-fault"
    answer.headers["HX-Reswap"] = "outerHTML"
    return answer


@router.get("/templates/{id}")
def template_page(visit: VisitHere, id: UUID, cursor: str | None = None) -> Response:
    """One template: what it says, what it said, and what was trained with it."""
    seen = templates.read_template(visit.service, visit.caller, id)
    versions = templates.list_versions(visit.service, visit.caller, id, None, limit=_PIECE)
    uses = templates.list_uses(visit.service, visit.caller, id, cursor, limit=_PIECE)
    address = f"{_ADDRESS}/{id}"
    return visit.page(
        "templates/template.html",
        seen=seen,
        settings={name: in_words(value) for name, value in seen.newest.settings.items()},
        versions=with_changes(versions.items, is_last=versions.next_cursor is None),
        uses=uses,
        json_text=pretty(seen.newest.settings),
        calls=[Call("GET", address), Call("GET", f"{address}/versions")],
    )


@router.get("/templates/{id}/edit")
def edit_page(visit: VisitHere, id: UUID) -> Response:
    """The form with what it says now."""
    visit.caller.require(Role.MEMBER)
    seen = templates.read_template(visit.service, visit.caller, id)
    return _page(visit, seen.newest.settings, name=seen.template.name, seen=seen)


@router.post("/templates/{id}/edit")
def edit(visit: VisitHere, id: UUID, texts: TextsHere) -> Response:
    """Save a new version."""
    visit.caller.require(Role.MEMBER)
    seen = templates.read_template(visit.service, visit.caller, id)
    settings = read_form(texts)
    if _faults(settings):
        return _page(visit, settings, name=seen.template.name, seen=seen, status=422)
    saved = templates.add_version(visit.service, visit.caller, id, settings)
    return visit.go(f"/templates/{id}", f"Saved as version {saved.newest.number}.")


@router.post("/templates/{id}/rename")
def rename(visit: VisitHere, id: UUID, name: Annotated[str, Form()] = "") -> Response:
    """Another name."""
    try:
        templates.rename_template(visit.service, visit.caller, id, name)
    except InvalidValue as error:
        return visit.go(f"/templates/{id}", str(error), is_good=False)
    return visit.go(f"/templates/{id}", "Renamed.")


@router.post("/templates/{id}/delete")
def delete(visit: VisitHere, id: UUID) -> Response:
    """Delete it; what was trained with it stays."""
    templates.delete_template(visit.service, visit.caller, id)
    return visit.go("/templates", "The template is deleted. What was trained with it stays.")


_ADDRESS = "/v1/training-templates"


def _template_in(visit: Visit, texts: Texts) -> TemplateSeen | None:
    """The template that is edited; none: it is a new one."""
    visit.caller.require(Role.MEMBER)
    id = text_of(texts, "template")
    return (
        templates.read_template(visit.service, visit.caller, id_of(id, "template")) if id else None
    )


def _faults(settings: Mapping[str, object]) -> dict[str, str]:
    """By setting; a template may leave the base model to whoever trains."""
    found = faults_in({BASE_MODEL: BUILTIN, **settings}, TrainingSettings)
    return {fault.name: str(fault) for fault in found}


def _page(
    visit: Visit,
    settings: Mapping[str, object],
    *,
    name: str,
    seen: TemplateSeen | None = None,
    status: int = 200,
    **more: object,
) -> Response:
    return visit.page("templates/form.html", status, **{**_shown(settings, name, seen), **more})


def _shown(settings: Mapping[str, object], name: str, seen: TemplateSeen | None) -> dict[str, Any]:
    faults = _faults(settings)
    body: dict[str, object] = {"settings": dict(settings)}
    call = (
        Call("POST", _ADDRESS, {"name": name or "My template", **body})
        if seen is None
        else Call("POST", f"{_ADDRESS}/{seen.template.id}/versions", body)
    )
    return {
        "fields": settings_form(settings, {}, faults),
        "faults": faults,
        "seen": seen,
        "name": name,
        "name_fault": None,
        "base_models": BASE_MODELS,
        "json_text": pretty(dict(settings)),
        "json_fault": None,
        "calls": [call],
    }


def _said(settings: Mapping[str, object], name: str) -> str:
    return in_words(settings[name]) if name in settings else ""
