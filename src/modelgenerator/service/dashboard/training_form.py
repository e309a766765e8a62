"""What stands in the form of a training, and what is to be said of it.

In: a subject, a preset, and what a person wrote over it.  Out: the request that it means, and what
it would be: plan and cost, or faults at their settings.  How it looks is in `trainings/new.html`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Annotated, Self, cast
from uuid import UUID

from fastapi import Depends, Request

from modelgenerator.errors import (
    BaseModelGated,
    BaseModelNotFound,
    BaseModelUnsupported,
    HubUnreachable,
    InvalidSettings,
    ModelGeneratorError,
)
from modelgenerator.service.dashboard.as_code import Call
from modelgenerator.service.dashboard.settings_form import (
    BASE_MODEL,
    SettingsForm,
    controls,
    in_words,
    settings_form,
)
from modelgenerator.service.dashboard.training_presets import Preset
from modelgenerator.service.errors import ServiceError, in_dollars
from modelgenerator.service.operations.planning import (
    FEWEST_PICTURES,
    PlannedTraining,
    TrainingRequest,
    plan_as_json,
)
from modelgenerator.service.operations.subjects import SubjectSeen
from modelgenerator.service.records.priorities import Priority
from modelgenerator.setting_faults import faults_in
from modelgenerator.settings import TrainingSettings

NO_FAULTS: Mapping[str, str] = {}
_OF_BASE_MODEL = (BaseModelGated, BaseModelNotFound, BaseModelUnsupported, HubUnreachable)
_TOLD_ELSEWHERE = {"pictures", "validationPictures", "optimizerArguments", "noise"}
_CENT = 10_000
Texts = Mapping[str, list[str]]


async def _texts(request: Request) -> Texts:
    sent = request.query_params if request.method in ("GET", "HEAD") else await request.form()
    return {name: [str(text) for text in sent.getlist(name)] for name in sent}


TextsHere = Annotated[Texts, Depends(_texts)]
"""All that a form sent, or an address asks for, by name."""


def text_of(texts: Texts, name: str) -> str:
    """The one text called `name`; empty without it."""
    return next(iter(texts.get(name, [])), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingForm:
    """A training as it is being written."""

    subject: SubjectSeen
    presets: tuple[Preset, ...]
    preset: Preset
    changes: Mapping[str, object]
    """What the person set, by camelCase name, whether it can be used or not."""
    name: str = ""
    priority: Priority = Priority.NORMAL
    acknowledges: bool = False
    faults: Mapping[str, str] = field(default_factory=lambda: NO_FAULTS)
    """By setting, what a look at the plan found beside the faults of single values."""

    @property
    def settings(self) -> Mapping[str, object]:
        """Preset and changes together."""
        return {BASE_MODEL: self.preset.base_model, **self.preset.settings, **self.changes}

    @property
    def value_faults(self) -> dict[str, str]:
        """What is wrong with single values, by setting."""
        return {it.name: str(it) for it in faults_in(self.settings, TrainingSettings)}

    @property
    def fields(self) -> SettingsForm:
        """As it is shown."""
        below = {BASE_MODEL: self.preset.base_model, **self.preset.settings}
        return settings_form(self.changes, below, {**self.faults, **self.value_faults})

    def without_what_is_preset(self) -> Self:
        """The same with fewer changes: what the preset says as well is none."""
        below = {BASE_MODEL: self.preset.base_model, **self.preset.settings}
        changes = {name: it for name, it in self.changes.items() if below.get(name) != it}
        return replace(self, changes=changes)

    def request(self) -> TrainingRequest:
        """What it asks for; a template's settings go by its id, so that it is known as used."""
        template = self.preset.template_id
        given = self.settings if template is None else self._beside_template()
        return TrainingRequest(
            dataset_id=self.subject.subject.dataset_id,
            template_id=template,
            settings=dict(given),
            name=self.name.strip() or None,
            priority=self.priority,
            acknowledges_warnings=self.acknowledges,
        )

    def _beside_template(self) -> Mapping[str, object]:
        if BASE_MODEL in self.preset.settings:
            return self.changes
        return {BASE_MODEL: self.preset.base_model, **self.changes}

    def as_code(self) -> list[Call]:
        """The same asked by a program."""
        asked = self.request()
        body: dict[str, object] = {"datasetId": str(asked.dataset_id)}
        body |= {"trainingSettingsId": str(asked.template_id)} if asked.template_id else {}
        body |= {"name": asked.name} if asked.name else {}
        if asked.priority is not Priority.NORMAL:
            body["priority"] = asked.priority.value
        body["settings"] = dict(asked.settings)
        if self.acknowledges:
            body["acknowledgeWarnings"] = True
            return [Call("POST", "/v1/trainings", body)]
        return [Call("POST", "/v1/trainings", body, python=_python(asked))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What is said of a form before anything is started."""

    planned: PlannedTraining | None = None
    faults: Mapping[str, str] = field(default_factory=lambda: NO_FAULTS)
    """By setting."""
    trouble: str | None = None
    """What else keeps it from being trained."""
    hint: str | None = None
    lacking: int = 0
    """Microdollars that are not there."""

    @property
    def few_pictures(self) -> str | None:
        """What must be said yes to; none: there are enough."""
        if self.planned is None:
            return None
        count = len(self.planned.plan.pictures) + len(self.planned.plan.validation_pictures)
        if count >= FEWEST_PICTURES:
            return None
        pictures = "only 1 picture" if count == 1 else f"only {count} pictures"
        return f"I know that {pictures} can be used, and that little is learnt from so few."

    @property
    def finishes_in(self) -> timedelta:
        """If it starts at once."""
        assert self.planned is not None, "nothing is known of it"
        return timedelta(seconds=self.planned.estimate.seconds)

    def button(self, *, is_charging: bool) -> str:
        """What the button says that starts it."""
        if self.planned is None or not is_charging:
            return "Train"
        return f"Train for {about(self.planned.estimate.cost)}"


def told_of_plan(planned: PlannedTraining, available: int | None) -> Told:
    """`available` microdollars; none where nothing is charged."""
    cost = planned.estimate.cost
    lacking = 0 if available is None else max(0, cost - available)
    return Told(planned=planned, lacking=lacking)


def told_of_error(error: ModelGeneratorError) -> Told:
    """Why it cannot be trained, at the setting where that is known."""
    if isinstance(error, _OF_BASE_MODEL):
        return Told(faults={BASE_MODEL: str(error)})
    begin = re.match(r"[a-z]\w*", str(error))
    if isinstance(error, InvalidSettings) and begin and begin[0] in controls():
        return Told(faults={begin[0]: str(error)})
    hint = error.hint if isinstance(error, ServiceError) else None
    return Told(trouble=str(error), hint=hint)


def about(microdollars: int) -> str:
    """`about $0.12`, in whole cents."""
    if microdollars < _CENT:
        return "less than $0.01" if microdollars else "$0.00"
    return f"about {in_dollars(round(microdollars / _CENT) * _CENT)}"


def resolved(planned: PlannedTraining) -> dict[str, str]:
    """What every setting becomes, in words, by the plan's names; a plan says more than settings."""
    plan = plan_as_json(planned.plan)
    inner = cast(Mapping[str, object], plan.get("optimizerArguments", {}))
    shown = {name: value for name, value in plan.items() if name not in _TOLD_ELSEWHERE}
    plain = {**shown, **inner}
    return {name: in_words(it) for name, it in plain.items() if not isinstance(it, Mapping)}


def id_in(text: str) -> UUID | None:
    """The id that `text` is, if it is one."""
    try:
        return UUID(text)
    except ValueError:
        return None


def _python(asked: TrainingRequest) -> str:
    given = [f'    "{asked.dataset_id}",', f"    settings={_indented(asked.settings)},"]
    given += [f'    template="{asked.template_id}",'] if asked.template_id else []
    given += [f"    name={asked.name!r},"] if asked.name else []
    if asked.priority is not Priority.NORMAL:
        given.append(f'    priority="{asked.priority}",')
    lines = "\n".join(given)
    return f"training = client.train_dataset(\n{lines}\n)\nprint(training.wait().download('.'))"


def _indented(settings: Mapping[str, object]) -> str:
    inner = "".join(f"        {name!r}: {value!r},\n" for name, value in settings.items())
    return f"{{\n{inner}    }}" if inner else "{}"
