"""A small dataset in a storage, and jobs that teach it to the embedded base model or draw with it.

In: a storage.  Out: specs as operations write them.
"""

import io
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from modelgenerator.diffusion.builtin import world
from modelgenerator.service.records.datasets import SnapshotPicture
from modelgenerator.service.records.job_specs import (
    GenerateSpec,
    LoraToLoad,
    PictureToDraw,
    TrainResult,
    TrainSpec,
)
from modelgenerator.service.store.files import Files
from modelgenerator.service.store.keys import organization_key

BASE = "modelgenerator/creatures"
SUBJECT = "lvff"
SCENES = ("beach", "forest", "city", "meadow", "plain", "beach", "forest", "plain")
ENLARGED = 8
TRAINING = UUID(int=11)
DATASET = UUID(int=12)
INFERENCE = UUID(int=13)


def photo_files() -> dict[str, bytes]:
    """Eight pictures of a subject that the base model has never seen, as PNG files, by name."""
    return {
        f"{number}-{scene}.png": _png(world.subject_picture(SUBJECT, scene, number).pixels_HW3)
        for number, scene in enumerate(SCENES, start=1)
    }


def _png(pixels_HW3: NDArray[np.uint8]) -> bytes:
    side = pixels_HW3.shape[0] * ENLARGED
    png = io.BytesIO()
    image = Image.fromarray(pixels_HW3).resize((side, side), Image.Resampling.NEAREST)
    image.save(png, format="PNG")
    return png.getvalue()


def pictures_in(files: Files, organization_id: UUID) -> tuple[SnapshotPicture, ...]:
    """All of them, stored, with captions."""
    return tuple(
        _stored(files, organization_id, number, name, content)
        for number, (name, content) in enumerate(photo_files().items(), start=1)
    )


def _stored(
    files: Files, organization_id: UUID, number: int, name: str, content: bytes
) -> SnapshotPicture:
    key = organization_key(organization_id, "pictures", f"{number}.png")
    scene = name.partition("-")[2].removesuffix(".png")
    return SnapshotPicture(
        picture_id=UUID(int=100 + number),
        label=name,
        sha256=files.put(key, content).sha256,
        caption=world.subject_picture(SUBJECT, scene, number).caption,
        storage_key=key,
        mask_key=None,
    )


def training(
    organization_id: UUID, pictures: tuple[SnapshotPicture, ...], **settings: Any
) -> TrainSpec:
    """A short one; `settings` are camelCase and win."""
    usual = {
        "baseModel": BASE,
        "captionPrefix": SUBJECT,
        "maxSteps": 40,
        "networkDim": 4,
        "seed": 7,
        "optimizer": "AdamW",
        "learningRate": 0.001,
    }
    return TrainSpec(
        training_id=TRAINING,
        organization_id=organization_id,
        dataset_id=DATASET,
        settings={**usual, **settings},
        base_model=BASE,
        base_revision=None,
        pictures=pictures,
        subject_kind="animal",
        class_name="creature",
        captioner="template",
        storage_prefix=organization_key(organization_id, "trainings", TRAINING.hex),
    )


def lora_of(result: TrainResult) -> LoraToLoad:
    """The LoRA of a training that is finished."""
    return LoraToLoad(training_id=TRAINING, storage_key=result.storage_key, sha256=result.sha256)


def drawing(organization_id: UUID, *pictures: PictureToDraw) -> GenerateSpec:
    """A request for pictures."""
    return GenerateSpec(
        inference_id=INFERENCE,
        organization_id=organization_id,
        pictures=pictures,
        storage_prefix=organization_key(organization_id, "inferences", INFERENCE.hex),
    )


def picture(position: int, lora: LoraToLoad | None = None, **more: Any) -> PictureToDraw:
    """One picture; `more` are its settings, and its format."""
    form = more.pop("format", "png")
    return PictureToDraw(
        position=position,
        base_model=BASE,
        base_revision=None,
        lora=lora,
        settings={"prompt": "lvff creature in the snow", "seed": 3, "steps": 4, **more},
        format=form,
    )
