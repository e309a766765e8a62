"""Subjects: the list, a new one, the sample."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Response

from modelgenerator.datasets.subject import SubjectKind
from modelgenerator.service.dashboard.as_code import Call
from modelgenerator.service.dashboard.form_faults import faults_of
from modelgenerator.service.dashboard.page_errors import PageRoute
from modelgenerator.service.dashboard.visits import Visit, VisitHere
from modelgenerator.service.errors import InvalidValue
from modelgenerator.service.operations import deletions, subjects
from modelgenerator.service.operations.sample_subject import create_sample_subject
from modelgenerator.service.records.organizations import Role

router = APIRouter(route_class=PageRoute, include_in_schema=False)
_PIECE = 60
KIND_WORDS = {
    SubjectKind.PERSON: "A person",
    SubjectKind.ANIMAL: "An animal",
    SubjectKind.PRODUCT: "A product",
    SubjectKind.STYLE: "A style",
    SubjectKind.OTHER: "Something else",
}


@dataclass(frozen=True, slots=True)
class Written:
    """What stands in the form of a subject, and what is wrong with it."""

    name: str = ""
    kind: SubjectKind = SubjectKind.PERSON
    class_name: str = ""
    faults: tuple[tuple[str, str], ...] = ()

    def fault(self, field: str) -> str | None:
        """What is wrong with this field."""
        return dict(self.faults).get(field)


@router.get("/subjects")
def list_subjects(visit: VisitHere, cursor: str | None = None) -> Response:
    """Everybody and everything that was taught or may be."""
    page = subjects.list_subjects(visit.service, visit.caller, cursor, limit=_PIECE)
    calls = [Call("GET", "/v1/subjects")]
    return visit.page("subjects/list.html", found=page, kinds=KIND_WORDS, calls=calls)


@router.get("/subjects/new")
def new_subject(visit: VisitHere) -> Response:
    """The form."""
    visit.caller.require(Role.MEMBER)
    return _form(visit, Written())


@router.post("/subjects")
def create_subject(
    visit: VisitHere,
    name: Annotated[str, Form()] = "",
    kind: Annotated[SubjectKind, Form()] = SubjectKind.OTHER,
    class_name: Annotated[str, Form(alias="className")] = "",
) -> Response:
    """A new subject, on whose page the photos are dropped."""
    try:
        made = subjects.create_subject(
            visit.service, visit.caller, name=name, kind=kind, class_name=class_name
        )
    except InvalidValue as error:
        faults = faults_of(error, ("name", "className"))
        written = Written(name, kind, class_name, tuple(faults.items()))
        return _form(visit, written, status=error.status)
    return visit.go(f"/subjects/{made.subject.id}")


@router.post("/subjects/sample")
def create_sample(visit: VisitHere) -> Response:
    """The sample subject, with its pictures."""
    made = create_sample_subject(visit.service, visit.caller)
    return visit.go(
        f"/subjects/{made.subject.id}", "The sample subject is here. Look at it, then train."
    )


@router.post("/subjects/{id}/change")
def change_subject(
    visit: VisitHere,
    id: UUID,
    name: Annotated[str, Form()] = "",
    kind: Annotated[SubjectKind | None, Form()] = None,
    class_name: Annotated[str | None, Form(alias="className")] = None,
) -> Response:
    """Another name, kind or class name."""
    subjects.change_subject(
        visit.service, visit.caller, id, name=name, kind=kind, class_name=class_name
    )
    return visit.go(f"/subjects/{id}", "Saved.")


@router.post("/subjects/{id}/delete")
def delete_subject(visit: VisitHere, id: UUID, cancel: Annotated[bool, Form()] = False) -> Response:
    """Everything of it, with a receipt."""
    receipt = deletions.delete_subject(visit.service, visit.caller, id, cancel=cancel)
    return visit.go(f"/deletions/{receipt.id}", "Deleted. This is the receipt.")


def _form(visit: Visit, written: Written, status: int = 200) -> Response:
    body = {"name": "Fuchsi", "kind": "animal", "className": "fox"}
    calls = [
        Call("POST", "/v1/subjects", body),
        Call(
            "POST",
            "/v1/datasets/DATASET_ID/images",
            files="photo.jpg",
            python='client.upload("DATASET_ID", "photos")',
        ),
    ]
    return visit.page(
        "subjects/new.html", status=status, written=written, kinds=KIND_WORDS, calls=calls
    )
