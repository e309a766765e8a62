"""Base models over HTTP: what is known of one before anything is trained or drawn with it."""

from typing import Self

from fastapi import APIRouter

from modelgenerator.diffusion import recommended
from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.service.api.asking import CallerHere, ServiceHere
from modelgenerator.service.api.problems import problems
from modelgenerator.service.api.shapes import Shape
from modelgenerator.service.operations.base_model_facts import read_base_model

router = APIRouter(prefix="/v1/base-models", tags=["base models"])


class ImageDefaultsShape(Shape):
    """How pictures are drawn when a request does not say."""

    width: int
    height: int
    steps: int
    guidance_scale: float


class BaseModel(Shape):
    """What a training is done on top of, or pictures are drawn with."""

    reference: str
    """As it was asked for."""
    repository: str | None
    """On the model hub; null: it comes from nowhere else."""
    revision: str | None
    """The commit that was looked at, or what stands for the content where there is none."""
    family: str
    """`stable-diffusion-1`; a trained model fits base models of its own family."""
    licence: str | None
    """Null: it names none."""
    byte_count: int
    """Of the files that are loaded."""
    native_size: int
    """The side in pixels of the pictures that it was trained on."""
    size_step: int
    """Sides of pictures are multiples of so many pixels."""
    is_here: bool
    """Whether this server has the files; otherwise the first job that needs them fetches them."""
    training_settings: dict[str, object] | None
    """Recommended for it, to be given as `settings` of a training; null: the defaults suit it."""
    image_defaults: ImageDefaultsShape

    @classmethod
    def of(cls, base: BaseModelFiles) -> Self:
        """The shape of a base model that was looked at."""
        drawn = recommended.image_defaults(base)
        return cls(
            reference=base.reference,
            repository=base.repository,
            revision=base.full_revision or None,
            family=base.family,
            licence=base.licence,
            byte_count=base.size_bytes,
            native_size=base.native_size,
            size_step=base.size_step,
            is_here=base.folder is not None,
            training_settings=recommended.training_settings_if_any(base),
            image_defaults=ImageDefaultsShape(
                width=base.native_size,
                height=base.native_size,
                steps=drawn.steps,
                guidance_scale=drawn.guidance_scale,
            ),
        )


@router.get("/{name:path}", responses=problems(404))
def read_base(service: ServiceHere, caller: CallerHere, name: str) -> BaseModel:
    """A base model by its name, with the settings that suit it; nothing is downloaded."""
    return BaseModel.of(read_base_model(service, caller, name))
