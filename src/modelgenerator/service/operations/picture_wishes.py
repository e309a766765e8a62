"""What a person wishes of pictures, checked against the base models that will draw them.

In: images as they were written, and the trained models that they name.  Out: pictures to draw, one
by one, each with its seed; and the same with every question answered, to be shown.  Nothing is
loaded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from modelgenerator.diffusion.hub import COMMIT, BaseModelFiles
from modelgenerator.errors import InvalidSettings
from modelgenerator.flows.parameters import FlowImage
from modelgenerator.generation.wishes import PlannedImage, plan_images
from modelgenerator.service.errors import IncompatibleBaseModel, InvalidValue, TooLarge
from modelgenerator.service.operations.base_models import commit_of
from modelgenerator.service.operations.service import Service
from modelgenerator.service.records.job_specs import LoraToLoad, PictureToDraw
from modelgenerator.service.records.trainings import JsonObject, TrainedModel, Training

LONGEST_PROMPT = 10_000
"""Characters."""
MOST_PICTURES = 256
"""Of one request."""
_NOT_FOR_THE_BODY = {"baseModel", "trainingId", "format", "count", "seed"}


@dataclass(frozen=True, slots=True)
class UsableModel:
    """A trained model that may draw, and the training it is from."""

    training: Training
    model: TrainedModel


@dataclass(frozen=True, slots=True)
class PlannedPicture:
    """One picture: what the job is told, and what a person is shown."""

    to_draw: PictureToDraw
    shown: JsonObject
    base: BaseModelFiles
    image: PlannedImage


def read_wishes(
    images: Sequence[Mapping[str, object]],
    *,
    base_model: str | None = None,
    training_id: UUID | None = None,
) -> list[FlowImage]:
    """The images as they are meant; what is said for all of them, an image may say otherwise.

    Raises:
        InvalidSettings: with the number of the image and every fault in it.
        InvalidValue: there is no image.
        TooLarge: there are too many pictures.
    """
    if not images:
        raise InvalidValue("images holds at least one image.", field="images")
    usual: dict[str, object] = {}
    if base_model is not None:
        usual["baseModel"] = base_model
    if training_id is not None:
        usual["trainingId"] = str(training_id)
    wishes = [_read(number, {**usual, **image}) for number, image in enumerate(images)]
    count = sum(wish.count for wish in wishes)
    if count > MOST_PICTURES:
        raise TooLarge(
            f"{count} pictures are more than one request may ask for: {MOST_PICTURES}.",
            field="images",
        )
    return wishes


def training_of(wish: FlowImage) -> UUID | None:
    """The training whose model an image names.

    Raises:
        InvalidValue: it is no id.
    """
    if wish.training_id is None:
        return None
    try:
        return UUID(wish.training_id)
    except ValueError:
        raise InvalidValue("trainingId is the id of a training.", field="trainingId") from None


def plan_pictures(
    service: Service, wishes: Sequence[FlowImage], models: Mapping[UUID, UsableModel]
) -> list[PlannedPicture]:
    """Every picture of every wish; `models` are all that are named.

    Raises:
        InvalidSettings: a base model cannot draw what is wished, or nobody said which one draws.
        IncompatibleBaseModel: a trained model belongs to base models of another family.
        BaseModelNotFound, BaseModelGated, BaseModelUnsupported, HubUnreachable: see `hub.look_at`.
    """
    planned: list[PlannedPicture] = []
    for number, wish in enumerate(wishes):
        id = training_of(wish)
        used = None if id is None else models[id]
        base = _base(service, number, wish, used)
        for image in _images(number, wish, base):
            planned.append(_picture(len(planned), wish, base, used, image))
    return planned


def _read(number: int, image: Mapping[str, object]) -> FlowImage:
    try:
        wish = FlowImage.from_written(image)
    except InvalidSettings as fault:
        raise InvalidSettings(f"images[{number}]: {fault}") from None
    for name, text in (("prompt", wish.prompt), ("negativePrompt", wish.negative_prompt)):
        if len(text) > LONGEST_PROMPT:
            raise InvalidSettings(
                f"images[{number}]: {name} has {len(text)} characters, and at most "
                f"{LONGEST_PROMPT:,} are taken."
            )
        if "\0" in text:
            raise InvalidSettings(f"images[{number}]: {name} holds a null character: remove it.")
    return wish


def _images(number: int, wish: FlowImage, base: BaseModelFiles) -> list[PlannedImage]:
    try:
        return plan_images([wish], base)
    except InvalidSettings as fault:
        raise InvalidSettings(f"images[{number}]: {fault}") from None


def _base(
    service: Service, number: int, wish: FlowImage, used: UsableModel | None
) -> BaseModelFiles:
    if wish.base_model is None and used is None:
        raise InvalidSettings(f"images[{number}]: give baseModel or trainingId, or both.")
    now = service.clock()
    if used is None:
        assert wish.base_model is not None
        return service.base_models.look_at(wish.base_model, now)
    if wish.base_model in (None, used.model.base_model):
        revision = str(used.training.plan["baseRevision"])
        pinned = revision if COMMIT.fullmatch(revision) else None
        return service.base_models.look_at(used.model.base_model, now, pinned=pinned)
    assert wish.base_model is not None
    base = service.base_models.look_at(wish.base_model, now)
    if base.family.value != used.model.family:
        raise IncompatibleBaseModel(
            f"images[{number}]: {base.reference} is {base.family}, and the training "
            f"{used.training.name} is for {used.model.family}.",
            field="baseModel",
            hint=f"Leave baseModel out to draw with {used.model.base_model}.",
        )
    return base


def _picture(
    position: int,
    wish: FlowImage,
    base: BaseModelFiles,
    used: UsableModel | None,
    image: PlannedImage,
) -> PlannedPicture:
    request = image.request
    written = {name: value for name, value in wish.given().items() if name not in _NOT_FOR_THE_BODY}
    lora = used and LoraToLoad(
        training_id=used.training.id,
        storage_key=used.model.storage_key,
        sha256=used.model.sha256,
    )
    to_draw = PictureToDraw(
        position=position,
        base_model=base.reference,
        base_revision=commit_of(base),
        lora=lora,
        settings={**written, "seed": request.seed, "count": 1},
        format=wish.format.value,
    )
    shown: JsonObject = {
        "prompt": request.prompt,
        "negativePrompt": request.negative_prompt,
        "width": request.width,
        "height": request.height,
        "steps": request.steps,
        "guidanceScale": request.guidance_scale,
        "scheduler": request.sampler,
        "seed": request.seed,
        "loraScale": image.lora_scale,
        "format": wish.format.value,
        "baseModel": base.reference,
        "trainingId": None if used is None else str(used.training.id),
    }
    return PlannedPicture(to_draw, shown, base, image)
