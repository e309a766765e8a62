"""Captions of all photos of a subject at once: the same, another word, a beginning, a template."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Response

from modelgenerator.service.dashboard.page_errors import PageRoute
from modelgenerator.service.dashboard.visits import VisitHere
from modelgenerator.service.operations import datasets, subjects
from modelgenerator.service.records.datasets import DatasetPicture

router = APIRouter(route_class=PageRoute, include_in_schema=False)


class Change(StrEnum):
    """What is done to the captions."""

    SET = "set"  # all say the same
    PREFIX = "prefix"  # all begin with it
    REPLACE = "replace"  # these words become those
    FILL = "fill"  # a template for those without any
    REGENERATE = "regenerate"  # a template for all
    CLEAR = "clear"


_TEMPLATES = (Change.FILL, Change.REGENERATE)


@router.post("/subjects/{id}/captions")
def change_captions(
    visit: VisitHere,
    id: UUID,
    change: Annotated[Change, Form()],
    text: Annotated[str, Form()] = "",
    find: Annotated[str, Form()] = "",
) -> Response:
    """Other captions for many photos."""
    subject = subjects.read_subject(visit.service, visit.caller, id).subject
    seen = datasets.read_dataset(visit.service, visit.caller, subject.dataset_id)
    changed = changed_captions(seen.pictures, change, text, find)
    datasets.set_captions(
        visit.service,
        visit.caller,
        subject.dataset_id,
        changed,
        with_template=change in _TEMPLATES,
    )
    return visit.go(f"/subjects/{id}#photos", _said(change, len(changed)))


def changed_captions(
    pictures: Sequence[DatasetPicture], change: Change, text: str, find: str
) -> dict[UUID, str | None]:
    """The new captions of those that change; none: without one."""
    text = text.strip()
    new = {one.id: _changed(one.caption or "", change, text, find) or None for one in pictures}
    return {one.id: new[one.id] for one in pictures if new[one.id] != one.caption}


def _changed(caption: str, change: Change, text: str, find: str) -> str:
    if change is Change.SET:
        return text
    if change is Change.PREFIX:
        is_there = caption == text or caption.startswith((f"{text} ", f"{text},"))
        return caption if is_there or not text else f"{text} {caption}".strip()
    if change is Change.REPLACE:
        return caption.replace(find, text).strip() if find else caption
    return "" if change in (Change.CLEAR, Change.REGENERATE) else caption


def _said(change: Change, count: int) -> str:
    if change in _TEMPLATES:
        return "The captions are written by the template."
    return "1 caption was changed." if count == 1 else f"{count} captions were changed."
