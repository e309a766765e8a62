"""What each kind of step is told to do, typed.

Comes in: the resolved values of a step, in which `steps` found no fault.  Goes out: one frozen
object, which whoever runs the step can read without looking anything up.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

from pydantic import Field, StrictStr

from modelgenerator.flows.definition import StepType
from modelgenerator.settings import ImageSettings

DEFAULT_FILENAME = "result.zip"


class PictureFormat(StrEnum):
    """The file format of a generated picture."""

    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"


class FlowImage(ImageSettings):
    """What a flow wishes of generated pictures: one entry of `images`."""

    base_model: StrictStr | None = Field(
        None, min_length=1, description="What to draw with; the training's own if left out."
    )
    training_id: StrictStr | None = Field(
        None, min_length=1, description="The training whose LoRA draws the subject."
    )
    format: PictureFormat = Field(PictureFormat.PNG, description="The file format of the pictures.")


@dataclass(frozen=True, slots=True)
class ModelGeneratorParameters:
    """Train."""

    dataset_id: str
    training_settings_id: str | None
    settings: Mapping[str, object]
    """By camelCase name; each one wins over the template's."""


@dataclass(frozen=True, slots=True)
class ImageGeneratorParameters:
    """Draw."""

    images: tuple[FlowImage, ...]
    """Each with the base model and the training that it is drawn with, as far as they are said."""
    inference_pack_id: str | None


@dataclass(frozen=True, slots=True)
class ObjectTransformerParameters:
    """Nothing is left to do: the result is here."""

    result: object


@dataclass(frozen=True, slots=True)
class ZipperParameters:
    """Pack the results of other steps."""

    sources: tuple[str, ...]
    filename: str


@dataclass(frozen=True, slots=True)
class ObjectGeneratorParameters:
    """Ask a language model for objects of one schema."""

    description: str
    schema: Mapping[str, object]
    input: object
    amount: int
    creativity: float | None
    context_id: str | None


StepParameters = (
    ModelGeneratorParameters
    | ImageGeneratorParameters
    | ObjectTransformerParameters
    | ZipperParameters
    | ObjectGeneratorParameters
)


def typed(kind: StepType, values: object) -> StepParameters:
    """Resolved `values`, as the parameters of a step of this kind."""
    if kind is StepType.OBJECT_TRANSFORMER:
        return ObjectTransformerParameters(values)
    return _TYPED[kind](cast(Mapping[str, object], values))


def _to_train(values: Mapping[str, object]) -> ModelGeneratorParameters:
    return ModelGeneratorParameters(
        dataset_id=str(values["datasetId"]),
        training_settings_id=_optional_text(values, "trainingSettingsId"),
        settings=cast(Mapping[str, object], values.get("settings", {})),
    )


def _to_draw(values: Mapping[str, object]) -> ImageGeneratorParameters:
    for_all = {name: values[name] for name in ("baseModel", "trainingId") if name in values}
    images = cast(list[Mapping[str, object]], values["images"])
    return ImageGeneratorParameters(
        images=tuple(FlowImage.from_written({**for_all, **image}) for image in images),
        inference_pack_id=_optional_text(values, "inferencePackId"),
    )


def _to_pack(values: Mapping[str, object]) -> ZipperParameters:
    return ZipperParameters(
        sources=tuple(cast(list[str], values["sources"])),
        filename=_optional_text(values, "filename") or DEFAULT_FILENAME,
    )


def _to_ask(values: Mapping[str, object]) -> ObjectGeneratorParameters:
    creativity = values.get("creativity")
    return ObjectGeneratorParameters(
        description=str(values["description"]),
        schema=cast(Mapping[str, object], values["schema"]),
        input=values.get("input"),
        amount=cast(int, values.get("amount", 1)),
        creativity=None if creativity is None else float(cast(float, creativity)),
        context_id=_optional_text(values, "contextId"),
    )


def _optional_text(values: Mapping[str, object], name: str) -> str | None:
    return None if name not in values else str(values[name])


_TYPED = {
    StepType.MODEL_GENERATOR: _to_train,
    StepType.IMAGE_GENERATOR: _to_draw,
    StepType.ZIPPER: _to_pack,
    StepType.OBJECT_GENERATOR: _to_ask,
}
