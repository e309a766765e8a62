"""The contact sheet of a training: what went in, and what the LoRA changed.

Comes in: the pictures, prompts, base model and LoRA.  Goes out: one picture.
"""

import io
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from PIL import Image

from modelgenerator.cli.progress import Reporter
from modelgenerator.datasets.prepare import PreparedDataset
from modelgenerator.diffusion.family import ModelFamily
from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.generation.contact_sheet import Row, contact_sheet
from modelgenerator.generation.generate import generate
from modelgenerator.generation.wishes import PlannedImage, plan_images
from modelgenerator.lora.files import LoraFile
from modelgenerator.settings import ImageSettings
from modelgenerator.whole_files import write_whole

MOST_PHOTOS = 8


def before_and_after(
    title: str,
    dataset: PreparedDataset,
    wishes: Sequence[ImageSettings],
    files: BaseModelFiles,
    base: ModelFamily,
    lora: LoraFile,
    report: Reporter,
) -> Image.Image:
    """The photos, then for each prompt the base model's pictures beside the LoRA's."""
    planned = plan_images(wishes, files)
    without = _drawn(planned, base, None, report, "drawing without the LoRA")
    with_lora = _drawn(planned, base, lora, report, "drawing with the LoRA")
    photos = [Image.fromarray(p.read().pixels_HW3) for p in dataset.pictures[:MOST_PHOTOS]]
    rows = [Row(label="the photos", pictures=photos)]
    numbers = range(len(planned))
    for prompt, group in groupby(numbers, key=lambda number: planned[number].request.prompt):
        chosen = list(group)
        pictures = [without[n] for n in chosen] + [with_lora[n] for n in chosen]
        label = f"{prompt}: {len(chosen)} without the LoRA, then the same noise with it"
        rows.append(Row(label=label, pictures=pictures))
    return contact_sheet(title, rows)


def save_sheet(sheet: Image.Image, file: Path) -> None:
    """Write `file` as PNG, whole or not at all.

    Raises:
        OutputNotWritable: the disk is full, or the folder is gone or not writable.
    """
    png = io.BytesIO()
    sheet.save(png, format="PNG")
    write_whole(file, png.getvalue(), called="The contact sheet")


def _drawn(
    planned: Sequence[PlannedImage],
    base: ModelFamily,
    lora: LoraFile | None,
    report: Reporter,
    what: str,
) -> list[Image.Image]:
    images: list[Image.Image] = []
    for generated in generate(planned, base, lora):
        images.append(generated.image)
        report.count(what, len(images), len(planned))
    return images
