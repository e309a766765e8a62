"""One photo of a subject: small, as it would be trained, with its words, its mask and its place."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Form, Header, Query, Response
from starlette.concurrency import run_in_threadpool

from modelgenerator.datasets.masks import MaskShades
from modelgenerator.service.dashboard.as_code import Call
from modelgenerator.service.dashboard.page_errors import PageRoute
from modelgenerator.service.dashboard.visits import UploadingVisitHere, Visit, VisitHere
from modelgenerator.service.errors import InvalidValue, NotFound
from modelgenerator.service.http.received_files import received_files
from modelgenerator.service.http.shown_pictures import shown_picture
from modelgenerator.service.operations import datasets, subjects, uploads
from modelgenerator.service.operations.datasets import DatasetSeen
from modelgenerator.service.operations.previews import PREVIEW_SIDE, THUMBNAIL, Shown
from modelgenerator.service.records.organizations import Role

router = APIRouter(route_class=PageRoute, include_in_schema=False)
IfNoneMatch = Annotated[str | None, Header()]
Shade = Annotated[int, Query(ge=0, le=255)]
_USUAL = MaskShades()


@router.get("/datasets/{id}/pictures/{picture_id}/thumbnail")
def thumbnail(
    visit: VisitHere, id: UUID, picture_id: UUID, if_none_match: IfNoneMatch = None
) -> Response:
    """Small, for lists."""
    return shown_picture(visit.service, visit.caller, id, picture_id, THUMBNAIL, if_none_match)


@router.get("/datasets/{id}/pictures/{picture_id}/preview")
def preview(
    visit: VisitHere,
    id: UUID,
    picture_id: UUID,
    normalize: bool = False,
    mask: bool = False,
    head: Annotated[Shade, Query(alias="headMaskShade")] = _USUAL.head,
    body: Annotated[Shade, Query(alias="bodyMaskShade")] = _USUAL.body,
    bounding: Annotated[Shade, Query(alias="boundingMaskShade")] = _USUAL.bounding,
    background: Annotated[Shade, Query(alias="backgroundMaskShade")] = _USUAL.background,
    size: Annotated[int, Query(ge=32, le=2048)] = PREVIEW_SIDE,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Large, or as a training would see it."""
    shades = MaskShades(head, body, bounding, background) if mask else None
    shown = Shown(side=size, normalize=normalize, shades=shades)
    return shown_picture(visit.service, visit.caller, id, picture_id, shown, if_none_match)


@router.get("/subjects/{id}/pictures/{picture_id}")
def picture_page(visit: VisitHere, id: UUID, picture_id: UUID) -> Response:
    """All that there is of one photo."""
    seen = _dataset(visit, id)
    position = place_of(seen, picture_id)
    picture, last = seen.pictures[position], len(seen.pictures) - 1
    path = f"/v1/datasets/{seen.dataset.id}/images/{picture_id}"
    values: dict[str, Any] = {
        "subject": seen.subject,
        "picture": picture,
        "position": position,
        "count": len(seen.pictures),
        "before": seen.pictures[position - 1] if position else None,
        "after": seen.pictures[position + 1] if position < last else None,
        "calls": [
            Call("PATCH", path, {"caption": picture.caption, "position": position}),
            Call("DELETE", path),
        ],
    }
    return visit.page("subjects/picture.html", **values)


@router.post("/subjects/{id}/pictures/{picture_id}/caption")
def set_caption(
    visit: VisitHere, id: UUID, picture_id: UUID, caption: Annotated[str, Form()] = ""
) -> Response:
    """Other words for it."""
    dataset_id = _dataset_id(visit, id)
    picture = datasets.set_caption(
        visit.service, visit.caller, dataset_id, picture_id, caption or None
    )
    if visit.is_partial:
        return visit.page("subjects/saved.html", picture=picture)
    return visit.go(f"/subjects/{id}/pictures/{picture_id}", "Saved.")


@router.post("/subjects/{id}/pictures/{picture_id}/move")
def move_picture(
    visit: VisitHere, id: UUID, picture_id: UUID, position: Annotated[int, Form()]
) -> Response:
    """To another place; counted from 1, as a person does."""
    dataset_id = _dataset_id(visit, id)
    datasets.move_picture(visit.service, visit.caller, dataset_id, picture_id, position - 1)
    return visit.go(f"/subjects/{id}/pictures/{picture_id}", "Moved.")


@router.post("/subjects/{id}/pictures/{picture_id}/delete")
def delete_picture(visit: VisitHere, id: UUID, picture_id: UUID) -> Response:
    """Take it out, with its files."""
    dataset_id = _dataset_id(visit, id)
    datasets.delete_picture(visit.service, visit.caller, dataset_id, picture_id)
    return visit.go(f"/subjects/{id}", "The photo is deleted.")


@router.post("/subjects/{id}/pictures/{picture_id}/mask")
async def set_mask(visit: UploadingVisitHere, id: UUID, picture_id: UUID) -> Response:
    """A grey picture as large as the photo."""
    visit.caller.require(Role.MEMBER)
    dataset_id = await run_in_threadpool(_dataset_id, visit, id)
    async with received_files(visit.request, visit.service) as (files, _):
        if len(files) != 1:
            raise InvalidValue("A photo has one mask: choose one file.")
        await run_in_threadpool(
            uploads.set_mask, visit.service, visit.caller, dataset_id, picture_id, files[0]
        )
    return visit.go(f"/subjects/{id}/pictures/{picture_id}", "The mask is kept.")


@router.post("/subjects/{id}/pictures/{picture_id}/mask/delete")
def remove_mask(visit: VisitHere, id: UUID, picture_id: UUID) -> Response:
    """The subject is found by itself again."""
    dataset_id = _dataset_id(visit, id)
    datasets.remove_mask(visit.service, visit.caller, dataset_id, picture_id)
    return visit.go(f"/subjects/{id}/pictures/{picture_id}", "The mask is deleted.")


def place_of(seen: DatasetSeen, picture_id: UUID) -> int:
    """Its place among the others, from 0.

    Raises:
        NotFound: it is not there.
    """
    for position, picture in enumerate(seen.pictures):
        if picture.id == picture_id:
            return position
    raise NotFound("picture", picture_id)


def _dataset_id(visit: Visit, subject_id: UUID) -> UUID:
    return subjects.read_subject(visit.service, visit.caller, subject_id).subject.dataset_id


def _dataset(visit: Visit, subject_id: UUID) -> DatasetSeen:
    return datasets.read_dataset(visit.service, visit.caller, _dataset_id(visit, subject_id))
