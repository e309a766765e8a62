"""Training templates: settings under a name."""

from collections.abc import Mapping
from datetime import datetime
from typing import Self
from uuid import UUID

from fastapi import APIRouter

from modelgenerator.service.api.asking import CallerHere, ServiceHere
from modelgenerator.service.api.problems import problems
from modelgenerator.service.api.shapes import Body, PageOf, PagingHere, Shape
from modelgenerator.service.operations import templates
from modelgenerator.service.operations.templates import TemplateSeen
from modelgenerator.service.records.trainings import TemplateVersion

router = APIRouter(prefix="/v1/training-templates", tags=["training templates"])


class TrainingTemplate(Shape):
    """Settings under a name."""

    id: UUID
    name: str
    version: int
    """The number of the newest, which trainings take."""
    settings: Mapping[str, object]
    """As they were written."""
    times_used: int
    """By trainings, in all versions."""
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, seen: TemplateSeen) -> Self:
        """The shape of a template."""
        return cls(
            id=seen.template.id,
            name=seen.template.name,
            version=seen.newest.number,
            settings=seen.newest.settings,
            times_used=seen.times_used,
            created_at=seen.template.created_at,
            updated_at=seen.newest.created_at,
        )


class TrainingTemplateVersion(Shape):
    """What a template said once; never changes."""

    id: UUID
    version: int
    settings: Mapping[str, object]
    created_at: datetime

    @classmethod
    def of(cls, version: TemplateVersion) -> Self:
        """The shape of a version."""
        return cls(
            id=version.id,
            version=version.number,
            settings=version.settings,
            created_at=version.created_at,
        )


class NewTemplate(Body):
    """A template to be made."""

    name: str
    settings: Mapping[str, object]
    """Any of `/v1/schemas/settings.json`; baseModel may be left to whoever trains."""


class NewVersion(Body):
    """What a template says from now on."""

    settings: Mapping[str, object]


class TemplateChange(Body):
    """Another name."""

    name: str


@router.post("", status_code=201, responses=problems(409))
def create_template(
    service: ServiceHere, caller: CallerHere, body: NewTemplate
) -> TrainingTemplate:
    """A new template with its first version."""
    made = templates.create_template(service, caller, name=body.name, settings=body.settings)
    return TrainingTemplate.of(made)


@router.get("", responses=problems())
def list_templates(
    service: ServiceHere, caller: CallerHere, paging: PagingHere
) -> PageOf[TrainingTemplate]:
    """The organization's templates, the newest first."""
    page = templates.list_templates(service, caller, paging.cursor, limit=paging.limit)
    return PageOf.of(page, TrainingTemplate.of)


@router.get("/{id}", responses=problems(404))
def read_template(service: ServiceHere, caller: CallerHere, id: UUID) -> TrainingTemplate:
    """One template, as it is now."""
    return TrainingTemplate.of(templates.read_template(service, caller, id))


@router.patch("/{id}", responses=problems(404))
def rename_template(
    service: ServiceHere, caller: CallerHere, id: UUID, body: TemplateChange
) -> TrainingTemplate:
    """Another name; what it says stays."""
    return TrainingTemplate.of(templates.rename_template(service, caller, id, body.name))


@router.delete("/{id}", status_code=204, responses=problems(404))
def delete_template(service: ServiceHere, caller: CallerHere, id: UUID) -> None:
    """Delete a template; trainings keep what they took from it."""
    templates.delete_template(service, caller, id)


@router.post("/{id}/versions", status_code=201, responses=problems(404, 409))
def add_template_version(
    service: ServiceHere, caller: CallerHere, id: UUID, body: NewVersion
) -> TrainingTemplate:
    """Other settings under the same name."""
    return TrainingTemplate.of(templates.add_version(service, caller, id, body.settings))


@router.get("/{id}/versions", responses=problems(404))
def list_template_versions(
    service: ServiceHere, caller: CallerHere, id: UUID, paging: PagingHere
) -> PageOf[TrainingTemplateVersion]:
    """All that a template said, the newest first."""
    page = templates.list_versions(service, caller, id, paging.cursor, limit=paging.limit)
    return PageOf.of(page, TrainingTemplateVersion.of)
