"""A looked-at base model, a dataset and a plan for tests that need their facts and no files.

In: what a test cares about.  Out: the package's own objects, with everything else filled in.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from modelgenerator.datasets.buckets import Size
from modelgenerator.datasets.masks import MaskFile, MaskShades, PaintedMask
from modelgenerator.datasets.prepare import Picture, PreparedDataset
from modelgenerator.datasets.regions import Box
from modelgenerator.datasets.sources import FolderFile
from modelgenerator.diffusion.detection import FamilyName, NeededFile
from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.settings import TrainingSettings
from modelgenerator.training.plan import DeviceFacts, TrainingPlan
from modelgenerator.training.planning.resolve import resolve

CPU = DeviceFacts(kind="cpu", has_bf16=False)
GPU = DeviceFacts(kind="cuda", has_bf16=True)
OLD_GPU = DeviceFacts(kind="cuda", has_bf16=False)


def base_files(
    *,
    native_size: int = 512,
    size_step: int = 64,
    is_builtin: bool = False,
    folder: Path | None = None,
    **others: Any,
) -> BaseModelFiles:
    """Stable Diffusion 1 as it is known before anything is downloaded, but for `others`."""
    stable_diffusion = BaseModelFiles(
        reference="org/name",
        folder=folder,
        repository="org/name",
        revision="c0ffee",
        family=FamilyName.STABLE_DIFFUSION_1,
        pipeline_class="StableDiffusionPipeline",
        prediction_type="epsilon",
        native_size=native_size,
        size_step=size_step,
        variant=None,
        needed=(),
        is_builtin=is_builtin,
        licence=None,
    )
    return dataclasses.replace(stable_diffusion, **others)


def flux_files(*, dev: bool = True) -> BaseModelFiles:
    """FLUX.1 dev or schnell."""
    return base_files(
        native_size=1024,
        size_step=16,
        family=FamilyName.FLUX,
        pipeline_class="FluxPipeline",
        prediction_type="flow",
        takes_guidance=dev,
        edition="dev" if dev else "schnell",
    )


def sd3_files(*, longest_side: int = 3072) -> BaseModelFiles:
    """Stable Diffusion 3."""
    return base_files(
        native_size=1024,
        size_step=16,
        family=FamilyName.STABLE_DIFFUSION_3,
        pipeline_class="StableDiffusion3Pipeline",
        prediction_type="flow",
        longest_side=longest_side,
        edition="m",
    )


def no_file(name: str) -> FolderFile:
    """A file that does not exist."""
    return FolderFile(name, Path(name), 0)


def dataset_of(sizes: Sequence[Size]) -> PreparedDataset:
    """Pictures of these sizes in pixels, named 0.png and so on; the files do not exist."""
    pictures = tuple(
        Picture(
            file=no_file(f"{n}.png"),
            sha256=f"{n:064}",
            width=width,
            height=height,
            caption="lvff",
        )
        for n, (width, height) in enumerate(sizes)
    )
    return PreparedDataset(pictures, (), (), fingerprint="f00d")


def masked(dataset: PreparedDataset, count: int | None = None) -> PreparedDataset:
    """`dataset` with masks for its first `count` pictures, or for all; the files do not exist."""
    pictures = tuple(
        replace(p, mask=MaskFile(no_file(f"{n}.mask.png"), p.name, f"{n:064}"))
        for n, p in enumerate(dataset.pictures[:count])
    )
    return replace(dataset, pictures=(*pictures, *dataset.pictures[len(pictures) :]))


def painted(dataset: PreparedDataset) -> PreparedDataset:
    """`dataset` with a subject found in each picture; what was found is not there."""
    pictures = tuple(
        replace(p, mask=PaintedMask(p.name, b"", MaskShades(), Box(0, 0, *size), size))
        for p in dataset.pictures
        for size in [(p.width, p.height)]
    )
    return replace(dataset, pictures=pictures)


SQUARES = dataset_of([(512, 512)] * 8)


def plan_for(
    dataset: PreparedDataset = SQUARES,
    base: BaseModelFiles | None = None,
    device: DeviceFacts = CPU,
    processes: int = 1,
    **settings: object,
) -> TrainingPlan:
    """The plan of a training at 512 x 512 with seed 1; `settings` are camelCase and win."""
    written = {"baseModel": "org/name", "resolution": 512, "seed": 1, **settings}
    kept = {name: value for name, value in written.items() if value is not None}
    wished = TrainingSettings.from_written(kept)
    return resolve(wished, dataset, base or base_files(), device, processes=processes)


def notices_on(plan: TrainingPlan, setting: str | None, level: str | None = None) -> list[str]:
    """What the plan says about `setting`."""
    return [
        notice.message
        for notice in plan.notices
        if notice.setting == setting and level in (None, notice.level)
    ]


SD15 = dataclasses.replace(
    base_files(),
    needed=(
        NeededFile("unet/diffusion_pytorch_model.safetensors", 3_438_000_000),
        NeededFile("vae/diffusion_pytorch_model.safetensors", 335_000_000),
        NeededFile("text_encoder/model.safetensors", 492_000_000),
    ),
    configs={
        "unet": {"block_out_channels": [320, 640, 1280, 1280], "cross_attention_dim": 768},
        "vae": {"block_out_channels": [128, 256, 512, 512]},
        "text_encoder": {"hidden_size": 768, "num_hidden_layers": 12},
    },
)
"""Stable Diffusion 1.5 as the hub tells of it."""
