"""Settings of trainings under a name: saved, saved again, looked up.

In: settings as a person wrote them.  Out: templates and their versions, which never change.  A
training copies what it takes: that a template changes or goes harms none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from modelgenerator.diffusion.aliases import BUILTIN
from modelgenerator.service.errors import NotFound
from modelgenerator.service.operations.callers import Caller, earlier_answer, remember
from modelgenerator.service.operations.names import checked_name
from modelgenerator.service.operations.service import Service
from modelgenerator.service.records.ids import new_id
from modelgenerator.service.records.organizations import Role
from modelgenerator.service.records.trainings import JsonObject, Template, TemplateVersion, Training
from modelgenerator.service.store.scoped import Page
from modelgenerator.service.store.transaction import OrganizationStore
from modelgenerator.settings import TrainingSettings


@dataclass(frozen=True, slots=True)
class TemplateSeen:
    """A template as it is now."""

    template: Template
    newest: TemplateVersion
    times_used: int
    """By trainings, in all its versions."""


@dataclass(frozen=True, slots=True)
class TemplateUse:
    """A training that was made from a template."""

    training: Training
    version: int
    """The number of the one that it took."""


def create_template(
    service: Service, caller: Caller, *, name: str, settings: Mapping[str, object]
) -> TemplateSeen:
    """A new template with its first version.

    Raises:
        InvalidSettings: a setting is unknown or out of range; only baseModel may be missing.
        InvalidValue: the name cannot be one.
    """
    caller.require(Role.MEMBER)
    checked = checked_settings(settings)
    now = service.clock()
    template = Template(
        id=new_id(now),
        organization_id=caller.organization_id,
        name=checked_name(name),
        created_at=now,
    )
    with service.database.transaction() as transaction:
        store = transaction.of(caller.organization_id)
        if (earlier := earlier_answer(store, caller, now)) is not None:
            return _seen(store, store.templates.get(earlier))
        store.templates.add(template)
        store.template_versions.add(_version(template, 1, checked, now))
        remember(store, caller, template.id)
        return _seen(store, template)


def list_templates(
    service: Service, caller: Caller, cursor: str | None, *, limit: int
) -> Page[TemplateSeen]:
    """Those that are not deleted, the newest first."""
    caller.require(Role.VIEWER)
    with service.database.reading() as transaction:
        store = transaction.of(caller.organization_id)
        page = store.templates.page(cursor, limit=limit, deleted_at=None)
        return Page(tuple(_all_seen(store, page.items)), page.next_cursor)


def read_template(service: Service, caller: Caller, id: UUID) -> TemplateSeen:
    """Raises NotFound: there is none, or it was deleted."""
    caller.require(Role.VIEWER)
    with service.database.reading() as transaction:
        store = transaction.of(caller.organization_id)
        return _seen(store, _there(store.templates.get(id)))


def list_versions(
    service: Service, caller: Caller, id: UUID, cursor: str | None, *, limit: int
) -> Page[TemplateVersion]:
    """All that a template said, the newest first.

    Raises:
        NotFound: there is none, or it was deleted.
    """
    caller.require(Role.VIEWER)
    with service.database.reading() as transaction:
        store = transaction.of(caller.organization_id)
        _there(store.templates.get(id))
        return store.template_versions.page(cursor, limit=limit, template_id=id)


def list_uses(
    service: Service, caller: Caller, id: UUID, cursor: str | None, *, limit: int
) -> Page[TemplateUse]:
    """The trainings that were made from it and not deleted, the newest first.

    Raises:
        NotFound: there is no such template, or it was deleted.
    """
    caller.require(Role.VIEWER)
    with service.database.reading() as transaction:
        store = transaction.of(caller.organization_id)
        _there(store.templates.get(id))
        page = store.trainings.of_template(id, cursor, limit=limit)
        taken = (it.template_version_id for it in page.items if it.template_version_id)
        numbers = {it.id: it.number for it in store.template_versions.some(taken).values()}
    uses = (
        TemplateUse(training, numbers[training.template_version_id])
        for training in page.items
        if training.template_version_id is not None
    )
    return Page(tuple(uses), page.next_cursor)


def add_version(
    service: Service, caller: Caller, id: UUID, settings: Mapping[str, object]
) -> TemplateSeen:
    """What trainings take from now on.

    Raises:
        NotFound: there is none, or it was deleted.
        InvalidSettings: see `create_template`.
    """
    caller.require(Role.MEMBER)
    checked = checked_settings(settings)
    now = service.clock()
    with service.database.transaction() as transaction:
        store = transaction.of(caller.organization_id)
        template = _there(store.templates.get_locked(id))
        if earlier_answer(store, caller, now) is not None:
            return _seen(store, template)
        number = _newest(store, id).number + 1
        version = _version(template, number, checked, now)
        store.template_versions.add(version)
        remember(store, caller, version.id)
        return _seen(store, template)


def rename_template(service: Service, caller: Caller, id: UUID, name: str) -> TemplateSeen:
    """Raises NotFound: there is none; InvalidValue: it cannot be a name."""
    caller.require(Role.MEMBER)
    with service.database.transaction() as transaction:
        store = transaction.of(caller.organization_id)
        template = replace(_there(store.templates.get_locked(id)), name=checked_name(name))
        store.templates.replace(template)
        return _seen(store, template)


def delete_template(service: Service, caller: Caller, id: UUID) -> None:
    """Nobody finds it any more; trainings that took it keep what they took.

    Raises:
        NotFound: there is none, or it was deleted.
    """
    caller.require(Role.MEMBER)
    with service.database.transaction() as transaction:
        store = transaction.of(caller.organization_id)
        template = _there(store.templates.get_locked(id))
        store.templates.replace(replace(template, deleted_at=service.clock()))


def checked_settings(settings: Mapping[str, object]) -> JsonObject:
    """`settings`, as they were written, if a training could take them.

    Raises:
        InvalidSettings: one is unknown, out of range, or contradicts another.
    """
    TrainingSettings.from_written({"baseModel": BUILTIN, **settings})
    return dict(settings)


def _there(template: Template) -> Template:
    if template.deleted_at is not None:
        raise NotFound("training template", template.id)
    return template


def _newest(store: OrganizationStore, template_id: UUID) -> TemplateVersion:
    newest = store.template_versions.newest(template_id)
    assert newest is not None, "a template is made with a version"
    return newest


def _seen(store: OrganizationStore, template: Template) -> TemplateSeen:
    return _all_seen(store, [template])[0]


def _all_seen(store: OrganizationStore, templates: Sequence[Template]) -> list[TemplateSeen]:
    """With as many statements for a page as for one."""
    ids = [template.id for template in templates]
    newest = store.template_versions.newest_of(ids)
    used = store.template_versions.times_used(ids)
    return [TemplateSeen(it, newest[it.id], used.get(it.id, 0)) for it in templates]


def _version(
    template: Template, number: int, settings: JsonObject, now: datetime
) -> TemplateVersion:
    return TemplateVersion(
        id=new_id(now),
        organization_id=template.organization_id,
        template_id=template.id,
        number=number,
        settings=settings,
        created_at=now,
    )
