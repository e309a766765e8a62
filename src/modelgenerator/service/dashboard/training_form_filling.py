"""The form of a training, filled: by an address, by what was sent, by what is usual.

In: a visit, and texts by name.  Out: a `TrainingForm`, and what is told of it.  The pages of one
training and of several share it.
"""

from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID

from fastapi import Response

from modelgenerator.diffusion.aliases import BUILTIN
from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.errors import HubUnreachable, ModelGeneratorError
from modelgenerator.service.dashboard.settings_form import BASE_MODEL, read_form
from modelgenerator.service.dashboard.training_form import (
    Texts,
    Told,
    TrainingForm,
    id_in,
    text_of,
    told_of_error,
    told_of_plan,
)
from modelgenerator.service.dashboard.training_presets import chosen, presets
from modelgenerator.service.dashboard.trigger_words import suggested_trigger
from modelgenerator.service.dashboard.visits import Visit
from modelgenerator.service.errors import NotFound
from modelgenerator.service.http.statuses import status_of
from modelgenerator.service.operations import (
    datasets,
    planning,
    subjects,
    templates,
    training_status,
)
from modelgenerator.service.operations.base_model_facts import read_base_model
from modelgenerator.service.operations.likely_settings import likely_settings
from modelgenerator.service.operations.subjects import SubjectSeen
from modelgenerator.service.records.organizations import Role
from modelgenerator.service.records.priorities import Priority

MOST_OFFERED = 50
"""Templates and subjects in a choice; the newest."""
TRIGGER = "captionPrefix"
Settings = Mapping[str, object]


def begun(visit: Visit, texts: Texts) -> tuple[SubjectSeen | None, dict[str, object]]:
    """Whom the address names, and the settings of the training that it begins with."""
    settings: dict[str, object] = {}
    subject = None
    if "from" in texts:
        id = id_of(text_of(texts, "from"), "training")
        cloned = training_status.read_training(visit.service, visit.caller, id)
        settings = dict(cloned.training.settings)
        subject = subjects.subject_of_dataset(visit.service, visit.caller, cloned.dataset_id)
    if "subject" in texts:
        id = id_of(text_of(texts, "subject"), "subject")
        subject = subjects.read_subject(visit.service, visit.caller, id)
    return subject, settings


def choose_subject(visit: Visit) -> Response:
    """The page that asks whom to train, where the address does not name it."""
    offered = subjects.list_subjects(visit.service, visit.caller, None, limit=MOST_OFFERED)
    query = visit.request.url.query
    return visit.page("trainings/choose_subject.html", subjects=offered.items, query=query)


def sent_form(
    visit: Visit, texts: Texts, settings: Mapping[str, object] | None = None
) -> TrainingForm:
    """The form as it was sent, or with `settings` in place of its fields."""
    visit.caller.require(Role.MEMBER)
    id = id_of(text_of(texts, "subject"), "subject")
    subject = subjects.read_subject(visit.service, visit.caller, id)
    changes = read_form(texts) if settings is None else settings
    return training_form_of(visit, subject, text_of(texts, "preset"), changes, texts)


def training_form_of(
    visit: Visit, subject: SubjectSeen, key: str, settings: Mapping[str, object], texts: Texts
) -> TrainingForm:
    """The form with the preset called `key` and `settings` over it."""
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
        priority=_priority(text_of(texts, "priority")),
        acknowledges="acknowledges" in texts,
    )


def prefilled(
    visit: Visit, subject: SubjectSeen, given: Settings, key: str, texts: Texts
) -> TrainingForm:
    """The form with what was `given`, and what is likely where neither that nor a template says it.

    A trigger word is always set: without one nobody could call the subject.
    """
    seen = datasets.read_dataset(visit.service, visit.caller, subject.subject.dataset_id)
    likely: Settings = likely_settings(visit.service, visit.caller, seen)
    usual = {TRIGGER: suggested_trigger(subject.subject.name), **likely}
    form = training_form_of(visit, subject, key, {**usual, **given}, texts)
    if form.preset.template_id is not None:
        said = form.preset.settings
        changes = {name: it for name, it in usual.items() if name not in said} | dict(given)
        form = replace(form, changes=changes)
    return form.without_what_is_preset()


def _priority(text: str) -> Priority:
    """What was chosen; what nobody can choose in the form is refused by who starts it."""
    return next((one for one in Priority if one == text), Priority.NORMAL)


def _known_base(visit: Visit, name: str) -> BaseModelFiles | None:
    """What is known of a base model; none: what is wrong with it is said beside the estimate."""
    try:
        return read_base_model(visit.service, visit.caller, name or BUILTIN)
    except ModelGeneratorError:
        return None


def id_of(text: str, what: str) -> UUID:
    """Raises NotFound: it is no id."""
    id = id_in(text)
    if id is None:
        raise NotFound(what, text)
    return id


def told_of(visit: Visit, form: TrainingForm) -> Told:
    """What the form would be, or why it cannot be."""
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
