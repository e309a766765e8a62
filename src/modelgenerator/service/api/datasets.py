"""Datasets: the pictures of a subject, with captions and masks."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from modelgenerator.datasets.masks import MaskShades
from modelgenerator.service.api.asking import CallerHere, ServiceHere
from modelgenerator.service.api.picture_addresses import image_address, thumbnail_of
from modelgenerator.service.api.problems import problems
from modelgenerator.service.api.receipts import Receipt
from modelgenerator.service.api.shapes import Body, Shape
from modelgenerator.service.errors import InvalidValue
from modelgenerator.service.http.received_files import FORM, received_files
from modelgenerator.service.http.shown_pictures import shown_picture
from modelgenerator.service.operations import datasets, deletions, reports, uploads
from modelgenerator.service.operations.callers import Caller
from modelgenerator.service.operations.datasets import DatasetSeen
from modelgenerator.service.operations.file_results import FileResult, FileStatus
from modelgenerator.service.operations.previews import PREVIEW_SIDE, THUMBNAIL, Shown
from modelgenerator.service.operations.service import Service
from modelgenerator.service.records.datasets import DatasetPicture, Origin

router = APIRouter(prefix="/v1/datasets", tags=["datasets"])


class Image(Shape):
    """One picture of a dataset."""

    id: UUID
    label: str
    """The file's name as it was given, numbered where another has it."""
    position: int
    """From 0, without gaps."""
    width: int
    height: int
    byte_count: int
    sha256: str
    """Of the stored file."""
    upload_sha256: str
    """Of the file as it came: whoever has that file need not send it again."""
    caption: str | None
    has_mask: bool
    warnings: tuple[str, ...] | None
    """What the report for 512 pixels says of it; null: none was made since something changed."""
    thumbnail_url: str
    preview_url: str
    created_at: datetime

    @classmethod
    def of(cls, picture: DatasetPicture, position: int, warnings: tuple[str, ...] | None) -> Self:
        """The shape of a picture."""
        return cls(
            id=picture.id,
            label=picture.label,
            position=position,
            width=picture.width,
            height=picture.height,
            byte_count=picture.byte_count,
            sha256=picture.sha256,
            upload_sha256=picture.upload_sha256,
            caption=picture.caption,
            has_mask=picture.mask_key is not None,
            warnings=warnings,
            thumbnail_url=thumbnail_of(picture),
            preview_url=f"{image_address(picture)}/preview",
            created_at=picture.created_at,
        )


class Dataset(Shape):
    """An ordered set of pictures with captions."""

    id: UUID
    subject_id: UUID | None
    """Null: a form of a flow brought the pictures."""
    origin: Origin
    images: tuple[Image, ...]
    created_at: datetime

    @classmethod
    def of(cls, service: Service, seen: DatasetSeen) -> Self:
        """The shape of a dataset."""
        warnings = reports.warnings_known(service, seen)
        images = (
            Image.of(picture, position, warnings.get(picture.id))
            for position, picture in enumerate(seen.pictures)
        )
        return cls(
            id=seen.dataset.id,
            subject_id=seen.subject.id if seen.subject else None,
            origin=seen.dataset.origin,
            images=tuple(images),
            created_at=seen.dataset.created_at,
        )


class FileAnswer(Shape):
    """What became of one file."""

    name: str
    """What it is called in the dataset, or was called where it came from."""
    status: FileStatus
    archive: str | None
    image_id: UUID | None
    code: str | None
    """Why it was refused, for programs."""
    reason: str | None
    hint: str | None
    notices: tuple[str, ...]

    @classmethod
    def of(cls, result: FileResult) -> Self:
        """The shape of a result."""
        return cls(
            name=result.name,
            status=result.status,
            archive=result.archive,
            image_id=result.picture_id,
            code=result.code,
            reason=result.reason,
            hint=result.hint,
            notices=result.notices,
        )


class UploadAnswer(Shape):
    """What became of each file of an upload."""

    accepted: int
    duplicate: int
    refused: int
    ignored: int
    files: tuple[FileAnswer, ...]

    @classmethod
    def of(cls, results: list[FileResult]) -> Self:
        """The shape of an upload's results."""
        counts = {status.value: 0 for status in FileStatus}
        for result in results:
            counts[result.status.value] += 1
        return cls(**counts, files=tuple(map(FileAnswer.of, results)))


class ImageChange(Body):
    """What is to change; what is left out stays."""

    caption: str | None = None
    """Null takes it away."""
    position: Annotated[int | None, Field(ge=0)] = None


class Captions(Body):
    """Captions of many images at once."""

    captions: Mapping[UUID, str | None] = Field(default_factory=dict[UUID, str | None])
    """By the images' ids; null takes one away."""
    template: bool = False
    """Whether those without a caption get one from the class name: a photo of a woman."""


@router.post("", status_code=201, responses=problems(409))
def create_dataset(service: ServiceHere, caller: CallerHere) -> Dataset:
    """A dataset without a subject."""
    made = datasets.create_dataset(service, caller)
    return Dataset.of(service, datasets.read_dataset(service, caller, made.id))


@router.get("/{id}", responses=problems(404))
def read_dataset(service: ServiceHere, caller: CallerHere, id: UUID) -> Dataset:
    """A dataset with all of its images, in order."""
    return Dataset.of(service, datasets.read_dataset(service, caller, id))


@router.delete("/{id}", responses=problems(404, 409, 507))
def delete_dataset(
    service: ServiceHere,
    caller: CallerHere,
    id: UUID,
    cancel: Annotated[bool, Query(description="Cancel what still needs it")] = False,
) -> Receipt:
    """Delete a dataset without a subject, and all that was made of its pictures."""
    return Receipt.of(deletions.delete_dataset(service, caller, id, cancel=cancel))


@router.post(
    "/{id}/images",
    status_code=201,
    responses={200: {"model": UploadAnswer}, **problems(404, 408, 415, 507)},
    openapi_extra=FORM,
)
async def add_images(
    service: ServiceHere, caller: CallerHere, id: UUID, request: Request, response: Response
) -> UploadAnswer:
    """Photos, `.txt` captions, `.mask.png` masks and zip archives of them; each file is answered.

    A caption or a mask belongs to the photo of the same name.  200: nothing of it is new.
    """
    # not after gigabytes
    await run_in_threadpool(datasets.read_dataset, service, caller, id)
    async with received_files(request, service) as (files, folder):
        results = await run_in_threadpool(uploads.add_files, service, caller, id, files, folder)
    if not any(result.status is FileStatus.ACCEPTED for result in results):
        response.status_code = 200
    return UploadAnswer.of(results)


@router.put("/{id}/captions", responses=problems(404))
def set_captions(service: ServiceHere, caller: CallerHere, id: UUID, body: Captions) -> Dataset:
    """Captions of many images at once."""
    changed = datasets.set_captions(service, caller, id, body.captions, with_template=body.template)
    return Dataset.of(service, changed)


@router.get("/{id}/report", responses=problems(404, 503))
def read_report(
    service: ServiceHere,
    caller: CallerHere,
    id: UUID,
    resolution: Annotated[
        int | None,
        Query(ge=32, le=2048, description="Pixels a side; absent: the base model's, or 512"),
    ] = None,
    base_model: Annotated[
        str | None,
        Query(alias="baseModel", max_length=500, description="What would be trained on"),
    ] = None,
    normalize: Annotated[bool, Query(description="As normalizeDataset cuts them")] = False,
) -> dict[str, Any]:
    """What should be said of the pictures before they are trained, as `modelgenerator check`."""
    wanted = reports.Wanted(resolution=resolution, base_model=base_model, normalize=normalize)
    return dict(reports.report_on(service, caller, id, wanted))


@router.get("/{id}/images/{image_id}", responses=problems(404))
def read_image(service: ServiceHere, caller: CallerHere, id: UUID, image_id: UUID) -> Image:
    """One image."""
    return _image(service, caller, id, image_id)


@router.patch("/{id}/images/{image_id}", responses=problems(404))
def change_image(
    service: ServiceHere, caller: CallerHere, id: UUID, image_id: UUID, body: ImageChange
) -> Image:
    """Another caption or another place."""
    if "caption" in body.model_fields_set:
        datasets.set_caption(service, caller, id, image_id, body.caption)
    if body.position is not None:
        datasets.move_picture(service, caller, id, image_id, body.position)
    return _image(service, caller, id, image_id)


@router.delete("/{id}/images/{image_id}", status_code=204, responses=problems(404))
def delete_image(service: ServiceHere, caller: CallerHere, id: UUID, image_id: UUID) -> None:
    """Take an image out of the dataset."""
    datasets.delete_picture(service, caller, id, image_id)


@router.put(
    "/{id}/images/{image_id}/mask",
    status_code=204,
    responses=problems(404, 408, 415, 507),
    openapi_extra=FORM,
)
async def set_mask(
    service: ServiceHere, caller: CallerHere, id: UUID, image_id: UUID, request: Request
) -> None:
    """A grey picture as large as the image: white counts, black does not."""
    await run_in_threadpool(datasets.read_picture, service, caller, id, image_id)
    async with received_files(request, service) as (files, _):
        if len(files) != 1:
            raise InvalidValue("An image has one mask: send one file.", field="files")
        await run_in_threadpool(uploads.set_mask, service, caller, id, image_id, files[0])


@router.delete("/{id}/images/{image_id}/mask", status_code=204, responses=problems(404))
def remove_mask(service: ServiceHere, caller: CallerHere, id: UUID, image_id: UUID) -> None:
    """Take the mask of an image away."""
    datasets.remove_mask(service, caller, id, image_id)


_PICTURE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/webp": {"schema": {"type": "string", "format": "binary"}}}},
    304: {"description": "It is what you have"},
    **problems(404),
}
IfNoneMatch = Annotated[str | None, Header(description="An ETag that was answered before")]
_Shade = Annotated[int, Query(ge=0, le=255)]
_USUAL = MaskShades()


@router.get("/{id}/images/{image_id}/thumbnail", responses=_PICTURE, response_class=Response)
def read_thumbnail(
    service: ServiceHere,
    caller: CallerHere,
    id: UUID,
    image_id: UUID,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """A small picture of an image, its longer side 320 pixels, as webp."""
    return shown_picture(service, caller, id, image_id, THUMBNAIL, if_none_match)


@router.get("/{id}/images/{image_id}/preview", responses=_PICTURE, response_class=Response)
def read_preview(
    service: ServiceHere,
    caller: CallerHere,
    id: UUID,
    image_id: UUID,
    normalize: Annotated[bool, Query(description="As normalizeDataset cuts it")] = False,
    mask: Annotated[bool, Query(description="With what counts less darkened")] = False,
    head: Annotated[_Shade, Query(alias="headMaskShade")] = _USUAL.head,
    body: Annotated[_Shade, Query(alias="bodyMaskShade")] = _USUAL.body,
    bounding: Annotated[_Shade, Query(alias="boundingMaskShade")] = _USUAL.bounding,
    background: Annotated[_Shade, Query(alias="backgroundMaskShade")] = _USUAL.background,
    size: Annotated[int, Query(ge=32, le=2048, description="Pixels")] = PREVIEW_SIDE,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """What a training would see of an image, as webp; its longer side has `size` pixels."""
    shades = MaskShades(head, body, bounding, background) if mask else None
    shown = Shown(side=size, normalize=normalize, shades=shades)
    return shown_picture(service, caller, id, image_id, shown, if_none_match)


def _image(service: Service, caller: Caller, id: UUID, image_id: UUID) -> Image:
    """With its place among the others."""
    datasets.read_picture(service, caller, id, image_id)
    images = Dataset.of(service, datasets.read_dataset(service, caller, id)).images
    return next(image for image in images if image.id == image_id)
