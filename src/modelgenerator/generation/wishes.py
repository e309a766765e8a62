"""What a person wishes of pictures, with every question answered.

In: wishes, and what is known of a base model that was not loaded.  Out: the pictures to draw, one
by one.  Loads no torch: the service checks wishes where it answers requests.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.diffusion.picture_request import PictureRequest
from modelgenerator.diffusion.recommended import image_defaults
from modelgenerator.diffusion.samplers import samplers
from modelgenerator.diffusion.traits import TRAITS
from modelgenerator.errors import InvalidSettings
from modelgenerator.settings import HIGHEST_SEED, ImageSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedImage:
    """One picture with every question answered."""

    request: PictureRequest
    lora_scale: float


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


def _requests(wish: ImageSettings, base: BaseModelFiles) -> list[PictureRequest]:
    if wish.negative_prompt and not TRAITS[base.family].takes_negative_prompt:
        raise InvalidSettings(
            f"negativePrompt: {base.reference} takes none. Leave it out, and say in the "
            "prompt what is there instead."
        )
    _refuse_unknown_sampler(wish, base)
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
            sampler=wish.scheduler,
            seed=(seed + number) % (HIGHEST_SEED + 1),
        )
        for number in range(wish.count)
    ]


def _refuse_unknown_sampler(wish: ImageSettings, base: BaseModelFiles) -> None:
    known = samplers(is_flow=TRAITS[base.family].is_flow)
    if wish.scheduler is not None and wish.scheduler not in known:
        raise InvalidSettings(
            f"scheduler {wish.scheduler}: {base.reference} is drawn with {', '.join(known)}. "
            "Give one of them, or leave it out for its own."
        )


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
