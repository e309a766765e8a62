"""Pictures of a subject in any scene.

In: what is planned, a loaded base model, and a LoRA file or none.  Out: pictures, each with
everything that is needed to draw it again.  It knows no command line and writes no files.
"""

from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from PIL import Image

from modelgenerator.diffusion.family import ModelFamily
from modelgenerator.generation.wishes import PlannedImage
from modelgenerator.lora.files import LoraFile, applied

BATCH_PIXELS = 4 * 512 * 512
"""How much is drawn at once; small pictures are drawn many at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedImage:
    """One picture, and what it was drawn from."""

    image: Image.Image
    planned: PlannedImage


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
        (a.width, a.height, a.steps, a.guidance_scale, a.sampler)
        == (b.width, b.height, b.steps, b.guidance_scale, b.sampler)
    )
