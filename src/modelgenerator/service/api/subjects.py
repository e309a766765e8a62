"""Subjects: whom or what the pictures show."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from fastapi import APIRouter, Query

from modelgenerator.datasets.subject import SubjectKind
from modelgenerator.service.api.asking import CallerHere, ServiceHere
from modelgenerator.service.api.picture_addresses import thumbnail_of
from modelgenerator.service.api.problems import problems
from modelgenerator.service.api.receipts import Receipt
from modelgenerator.service.api.shapes import Body, PageOf, PagingHere, Shape
from modelgenerator.service.operations import deletions, subjects
from modelgenerator.service.operations.subjects import SubjectSeen

router = APIRouter(prefix="/v1/subjects", tags=["subjects"])


class Subject(Shape):
    """Whom or what the pictures of a dataset show."""

    id: UUID
    name: str
    kind: SubjectKind
    class_name: str
    """What it is in general: woman, sneaker; may be empty."""
    dataset_id: UUID
    image_count: int
    training_count: int
    cover_url: str | None
    """A small picture of the first image."""
    created_at: datetime

    @classmethod
    def of(cls, seen: SubjectSeen) -> Self:
        """The shape of a subject."""
        subject = seen.subject
        return cls(
            id=subject.id,
            name=subject.name,
            kind=subject.kind,
            class_name=subject.class_name,
            dataset_id=subject.dataset_id,
            image_count=seen.picture_count,
            training_count=seen.training_count,
            cover_url=thumbnail_of(seen.cover) if seen.cover else None,
            created_at=subject.created_at,
        )


class NewSubject(Body):
    """A subject to be made."""

    name: str
    kind: SubjectKind = SubjectKind.OTHER
    class_name: str = ""


class SubjectChange(Body):
    """What is to change; what is left out stays."""

    name: str | None = None
    kind: SubjectKind | None = None
    class_name: str | None = None


@router.post("", status_code=201, responses=problems(409))
def create_subject(service: ServiceHere, caller: CallerHere, body: NewSubject) -> Subject:
    """A new subject with an empty dataset."""
    made = subjects.create_subject(
        service, caller, name=body.name, kind=body.kind, class_name=body.class_name
    )
    return Subject.of(made)


@router.get("", responses=problems())
def list_subjects(service: ServiceHere, caller: CallerHere, paging: PagingHere) -> PageOf[Subject]:
    """The organization's subjects, the newest first."""
    page = subjects.list_subjects(service, caller, paging.cursor, limit=paging.limit)
    return PageOf.of(page, Subject.of)


@router.get("/{id}", responses=problems(404))
def read_subject(service: ServiceHere, caller: CallerHere, id: UUID) -> Subject:
    """One subject."""
    return Subject.of(subjects.read_subject(service, caller, id))


@router.patch("/{id}", responses=problems(404))
def change_subject(
    service: ServiceHere, caller: CallerHere, id: UUID, body: SubjectChange
) -> Subject:
    """Another name, kind or class name."""
    changed = subjects.change_subject(
        service, caller, id, name=body.name, kind=body.kind, class_name=body.class_name
    )
    return Subject.of(changed)


@router.delete("/{id}", responses=problems(404, 409, 507))
def delete_subject(
    service: ServiceHere,
    caller: CallerHere,
    id: UUID,
    cancel: Annotated[bool, Query(description="Cancel what still needs it")] = False,
) -> Receipt:
    """Delete a subject, its pictures, and all models and pictures that were made of them."""
    return Receipt.of(deletions.delete_subject(service, caller, id, cancel=cancel))
