"""Pictures of a subject in any scene.

In: what a person wishes, a loaded base model, and a LoRA file or none.  Out: pictures, each with
everything that is needed to draw it again.  It knows no command line and writes no files.
"""

import secrets
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from PIL import Image

from modelgenerator.diffusion.family import ModelFamily, PictureRequest
from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.diffusion.recommended import image_defaults
from modelgenerator.diffusion.traits import TRAITS
from modelgenerator.errors import InvalidSettings
from modelgenerator.lora.files import LoraFile, applied
from modelgenerator.settings import ImageSettings

BATCH_PIXELS = 4 * 512 * 512
"""How much is drawn at once; small pictures are drawn many at a time."""
HIGHEST_SEED = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedImage:
    """One picture with every question answered."""

    request: PictureRequest
    lora_scale: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedImage:
    """One picture, and what it was drawn from."""

    image: Image.Image
    planned: PlannedImage


def plan_images(wishes: Sequence[ImageSettings], base: BaseModelFiles) -> list[PlannedImage]:
    """Answer what `wishes` leave open; the pictures of one wish have consecutive seeds.

    Raises:
        InvalidSettings: a size that this base model cannot draw, or a negative prompt where it
            takes none.
    """
    return [
        PlannedImage(request=request, lora_scale=wish.lora_scale)
        for wish in wishes
        for request in _requests(wish, base)
    ]


def generate(
    planned: Sequence[PlannedImage], base: ModelFamily, lora: LoraFile | None
) -> Generator[GeneratedImage, None, None]:
    """Draw everything in `planned`, in its order.

    The same plan gives the same picture, alone or among others.

    Raises:
        UnusableLora: the file belongs to another base model.
    """
    for batch in _batches(planned):
        with _with_lora(base, lora, batch[0].lora_scale):
            images = base.draw([one.request for one in batch])
        for one, image in zip(batch, images, strict=True):
            yield GeneratedImage(image=image, planned=one)


def _requests(wish: ImageSettings, base: BaseModelFiles) -> list[PictureRequest]:
    if wish.negative_prompt and not TRAITS[base.family].takes_negative_prompt:
        raise InvalidSettings(
            f"negativePrompt: {base.reference} takes none. Leave it out, and say in the "
            "prompt what is there instead."
        )
    usual = image_defaults(base)
    seed = secrets.randbits(31) if wish.seed is None else wish.seed
    width = _side("width", wish.width, base)
    height = _side("height", wish.height, base)
    return [
        PictureRequest(
            prompt=wish.prompt,
            negative_prompt=wish.negative_prompt,
            width=width,
            height=height,
            steps=wish.steps if wish.is_given("steps") else usual.steps,
            guidance_scale=(
                usual.guidance_scale if wish.guidance_scale is None else wish.guidance_scale
            ),
            seed=(seed + number) % (HIGHEST_SEED + 1),
        )
        for number in range(wish.count)
    ]


def _side(name: str, wished: int | None, base: BaseModelFiles) -> int:
    if wished is None:
        return base.native_size
    if base.longest_side and wished > base.longest_side:
        raise InvalidSettings(
            f"{name} {wished}: {base.reference} knows no places beyond {base.longest_side} pixels. "
            f"Give {base.longest_side} or less."
        )
    if wished % base.size_step:
        below = wished // base.size_step * base.size_step
        nearest = f"{below} or {below + base.size_step}" if below else str(base.size_step)
        raise InvalidSettings(
            f"{name} {wished}: {base.reference} draws sides in multiples of {base.size_step}. "
            f"Give {nearest}."
        )
    return wished


def _with_lora(
    base: ModelFamily, lora: LoraFile | None, scale: float
) -> AbstractContextManager[object]:
    if lora is None:
        return nullcontext()
    return applied(lora, base.lora_parts, names=base.lora_names, scale=scale)


def _batches(planned: Sequence[PlannedImage]) -> Generator[list[PlannedImage], None, None]:
    """Neighbours that can be drawn at once: alike in all but prompt and seed."""
    batch: list[PlannedImage] = []
    for one in planned:
        pixels = one.request.width * one.request.height
        full = (len(batch) + 1) * pixels > BATCH_PIXELS or len(batch) == 16
        if batch and (full or not _alike(batch[0], one)):
            yield batch
            batch = []
        batch.append(one)
    if batch:
        yield batch


def _alike(one: PlannedImage, other: PlannedImage) -> bool:
    a, b = one.request, other.request
    return one.lora_scale == other.lora_scale and (
        (a.width, a.height, a.steps, a.guidance_scale)
        == (b.width, b.height, b.steps, b.guidance_scale)
    )
