"""Packs of prompts over HTTP."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from fastapi import APIRouter, Response

from modelgenerator.service.api.asking import CallerHere, ServiceHere
from modelgenerator.service.api.problems import problems
from modelgenerator.service.api.shapes import Body, PageOf, PagingHere, Shape
from modelgenerator.service.operations import inference_packs
from modelgenerator.service.records.generations import InferencePack

router = APIRouter(prefix="/v1/inference-packs", tags=["inference packs"])


class NewPack(Body):
    """Images under a name."""

    name: str
    images: list[dict[str, object]]
    """As those of an inference."""


class PackChange(Body):
    """What is to be different; what is left out stays."""

    name: str | None = None
    images: list[dict[str, object]] | None = None


class PackShape(Shape):
    """Images under a name."""

    id: UUID
    name: str
    images: tuple[Mapping[str, object], ...]
    created_at: datetime
    updated_at: datetime


@router.post("", status_code=201, responses=problems())
def create_inference_pack(service: ServiceHere, caller: CallerHere, body: NewPack) -> PackShape:
    """Keep images under a name, to try every trained model with."""
    return _shape(inference_packs.create_pack(service, caller, name=body.name, images=body.images))


@router.get("", responses=problems())
def list_inference_packs(
    service: ServiceHere, caller: CallerHere, paging: PagingHere
) -> PageOf[PackShape]:
    """The organization's packs, the newest first."""
    page = inference_packs.list_packs(service, caller, paging.cursor, limit=paging.limit)
    return PageOf[PackShape].of(page, _shape)


@router.get("/{id}", responses=problems(404))
def read_inference_pack(service: ServiceHere, caller: CallerHere, id: UUID) -> PackShape:
    """One pack."""
    return _shape(inference_packs.read_pack(service, caller, id))


@router.patch("/{id}", responses=problems(404))
def change_inference_pack(
    service: ServiceHere, caller: CallerHere, id: UUID, body: PackChange
) -> PackShape:
    """Give it another name or other images."""
    return _shape(
        inference_packs.change_pack(service, caller, id, name=body.name, images=body.images)
    )


@router.delete("/{id}", status_code=204, responses=problems(404))
def delete_inference_pack(service: ServiceHere, caller: CallerHere, id: UUID) -> Response:
    """Forget a pack."""
    inference_packs.delete_pack(service, caller, id)
    return Response(status_code=204)


def _shape(pack: InferencePack) -> PackShape:
    return PackShape(
        id=pack.id,
        name=pack.name,
        images=pack.images,
        created_at=pack.created_at,
        updated_at=pack.updated_at,
    )
