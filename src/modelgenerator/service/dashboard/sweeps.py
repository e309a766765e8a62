"""The same training with several values of one setting.

`/trainings/sweep?subject=ID`: a setting, its values, and what all have in common.  What all of them
take is said before; they are started together, and looked at side by side.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from fastapi import APIRouter, Response

from modelgenerator.errors import HubUnreachable, InvalidSettings, ModelGeneratorError
from modelgenerator.service.dashboard.as_code import Call
from modelgenerator.service.dashboard.page_errors import PageRoute
from modelgenerator.service.dashboard.rendering import pretty
from modelgenerator.service.dashboard.settings_form import (
    BASE_MODEL,
    SettingControl,
    SettingKind,
    as_text,
    controls,
    in_words,
    read_form,
    read_json,
)
from modelgenerator.service.dashboard.training_form import (
    Texts,
    TextsHere,
    TrainingForm,
    about,
    text_of,
    told_of_error,
)
from modelgenerator.service.dashboard.training_form_filling import (
    begun,
    choose_subject,
    prefilled,
    training_form_of,
)
from modelgenerator.service.dashboard.training_presets import QUICK
from modelgenerator.service.dashboard.visits import Visit, VisitHere
from modelgenerator.service.errors import InvalidValue, NotFound
from modelgenerator.service.http.statuses import status_of
from modelgenerator.service.operations import sweeps
from modelgenerator.service.operations.sweeps import MOST_VALUES, PlannedSweep, SweepRequest
from modelgenerator.service.records.organizations import Role
from modelgenerator.setting_faults import faults_in
from modelgenerator.settings import TrainingSettings

router = APIRouter(route_class=PageRoute, include_in_schema=False)
FIRST = "learningRate"
_WORDS = {"yes": "true", "no": "false", "on": "true", "off": "false"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepForm:
    """Several trainings as they are being written."""

    base: TrainingForm
    """What all have in common."""
    control: SettingControl
    written: str
    """The values, as they were typed."""
    json_text: str

    @property
    def values(self) -> list[object]:
        """One for each training."""
        return values_in(self.written, self.control)

    def request(self) -> SweepRequest:
        """What it asks for."""
        common = self.base.request()
        name = common.name or self.base.subject.subject.name
        training = replace(common, name=name)
        return SweepRequest(training=training, setting=self.control.name, values=self.values)

    def value_fault(self) -> str | None:
        """The first value that the setting cannot have."""
        name = self.control.name
        for value in self.values:
            for fault in faults_in({BASE_MODEL: "any", name: value}, TrainingSettings):
                return str(fault)
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldOfSweep:
    """What is said of it before it starts."""

    values: Sequence[str] = ()
    planned: PlannedSweep | None = None
    at: Mapping[str, str] = field(default_factory=dict[str, str])
    """Faults at `values` and `json`."""
    trouble: str | None = None
    lacking: int = 0
    """Microdollars that are not there."""

    def button(self, *, is_charging: bool) -> str:
        """What the button says."""
        if self.planned is None:
            return "Start all"
        words = f"Start {len(self.values)} trainings"
        return f"{words} for {about(self.planned.cost)}" if is_charging else words


def values_in(written: str, control: SettingControl) -> list[object]:
    """What was typed, separated by commas or lines; of lists and texts one a line."""
    by_line = control.kind in (SettingKind.CHOICES, SettingKind.LINES, SettingKind.TEXT)
    pieces = written.splitlines() if by_line else written.replace(",", "\n").splitlines()
    return [_value(piece.strip(), control) for piece in pieces if piece.strip()]


def _value(text: str, control: SettingControl) -> object:
    if control.kind is SettingKind.CHOICES:
        return control.read([part.strip() for part in text.split(",")])
    if control.kind is SettingKind.SWITCH:
        return control.read([_WORDS.get(text.lower(), text)])
    return control.read([text])


@router.get("/trainings/sweep")
def sweep_page(visit: VisitHere, texts: TextsHere) -> Response:
    """The form."""
    visit.caller.require(Role.MEMBER)
    subject, settings = begun(visit, texts)
    if subject is None:
        return choose_subject(visit)
    settings |= read_form(texts)
    base = prefilled(visit, subject, settings, _preset(texts), texts)
    form = SweepForm(
        base=base,
        control=_control(text_of(texts, "setting") or FIRST),
        written=text_of(texts, "values"),
        json_text=pretty(base.changes),
    )
    return visit.page("trainings/sweep.html", **_shown(visit, form, ToldOfSweep()))


@router.post("/trainings/sweep")
def start(visit: VisitHere, texts: TextsHere) -> Response:
    """Start all, or say why none."""
    form, told = _sent(visit, texts)
    if not told.at:
        asked = form.request()
        caller = visit.caller
        try:
            ids = sweeps.create_sweep(visit.service, caller, asked)
        except ModelGeneratorError as error:
            if status_of(error) >= 500:
                raise
            told = _told_of(error)
            return visit.page("trainings/sweep.html", status_of(error), **_shown(visit, form, told))
        query = "&".join(f"id={id}" for id in ids)
        return visit.go(f"/trainings/compare?{query}", f"{len(ids)} trainings are queued.")
    return visit.page("trainings/sweep.html", 422, **_shown(visit, form, told))


@router.post("/trainings/sweep/estimate")
def estimate(visit: VisitHere, texts: TextsHere) -> Response:
    """What all would take: a part of the page, or without a script the page."""
    form, told = _sent(visit, texts)
    if not told.at:
        told = _plan(visit, form)
    template = "trainings/sweep_answer.html" if visit.is_partial else "trainings/sweep.html"
    return visit.page(template, **_shown(visit, form, told))


def _sent(visit: Visit, texts: Texts) -> tuple[SweepForm, ToldOfSweep]:
    """What was sent, and what can be told to be wrong with it at once."""
    visit.caller.require(Role.MEMBER)
    subject, _ = begun(visit, {"subject": texts.get("subject", [""])})
    assert subject is not None, "it was asked for"
    json_text, at = text_of(texts, "json"), dict[str, str]()
    try:
        settings = read_json(json_text)
    except InvalidSettings as error:
        settings, at["json"] = {}, str(error)
    form = SweepForm(
        base=training_form_of(visit, subject, _preset(texts), settings, texts),
        control=_control(text_of(texts, "setting")),
        written=text_of(texts, "values"),
        json_text=json_text,
    )
    others = [it for name, it in form.base.value_faults.items() if name != form.control.name]
    if others:
        at["json"] = "; ".join(others)
    if fault := form.value_fault() or _number_of_values(form):
        at["values"] = fault
    return form, ToldOfSweep(at=at)


def _number_of_values(form: SweepForm) -> str | None:
    if 2 <= len(form.values) <= MOST_VALUES:
        return None
    return f"Give 2 to {MOST_VALUES} values."


def _plan(visit: Visit, form: SweepForm) -> ToldOfSweep:
    asked = form.request()
    meant = replace(asked, training=replace(asked.training, acknowledges_warnings=True))
    try:
        planned = sweeps.plan_sweep(visit.service, visit.caller, meant)
    except ModelGeneratorError as error:
        if status_of(error) >= 500 and not isinstance(error, HubUnreachable):
            raise
        return _told_of(error)
    money = visit.organization()
    lacking = max(0, planned.cost - money.account.available) if money.is_charging else 0
    values = tuple(in_words(value) for value in asked.values)
    return ToldOfSweep(values=values, planned=planned, lacking=lacking)


def _told_of(error: ModelGeneratorError) -> ToldOfSweep:
    if isinstance(error, InvalidValue) and error.field == "values":
        return ToldOfSweep(at={"values": str(error)})
    told = told_of_error(error)
    words = told.trouble or next(iter(told.faults.values()))
    return ToldOfSweep(trouble=f"{words} {told.hint}" if told.hint else words)


def _shown(visit: Visit, form: SweepForm, told: ToldOfSweep) -> dict[str, Any]:
    is_charging = visit.service.config.billing
    return {
        "form": form,
        "subject": form.base.subject.subject,
        "told": told,
        "button": told.button(is_charging=is_charging),
        "controls": [it for it in controls().values() if it.kind is not SettingKind.LINES],
        "example": _example(form.control),
        "calls": _calls(form),
    }


def _example(control: SettingControl) -> str:
    """Values that could be tried."""
    if control.kind is SettingKind.SWITCH:
        return "yes, no"
    if control.choices:
        return (", " if control.kind is SettingKind.CHOICE else "\n").join(control.choices[:3])
    known = {"learningRate": "0.0005, 0.001, 0.002", "networkDim": "4, 16, 64", "seed": "1, 2, 3"}
    return known.get(control.name, "" if control.default is None else as_text(control.default))


def _calls(form: SweepForm) -> list[Call]:
    """The API starts them one by one; with one seed they can be compared."""
    asked = form.request()
    seed = {"seed": 1, **asked.training.settings}
    body = {
        "datasetId": str(asked.training.dataset_id),
        **({"trainingSettingsId": str(id)} if (id := asked.training.template_id) else {}),
    }
    return [
        Call("POST", "/v1/trainings", {**body, "settings": {**seed, asked.setting: value}})
        for value in asked.values[:2]
    ]


def _preset(texts: Texts) -> str:
    return text_of(texts, "template") or text_of(texts, "preset") or QUICK


def _control(name: str) -> SettingControl:
    control = controls().get(name)
    if control is None or control.kind is SettingKind.LINES:
        raise NotFound("setting to try values of", name)
    return control
