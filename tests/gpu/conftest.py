"""Tiny base models of every family and trainings of them on the GPU; made once for all tests."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.examples import GPU, plan_for
from tests.tiny import save_tiny_stable_diffusion
from tests.tiny_flux import save_tiny_flux
from tests.tiny_sd3 import save_tiny_sd3
from tests.tiny_xl import save_tiny_stable_diffusion_xl

from modelgenerator.datasets.prepare import Preparation, PreparedDataset, prepare
from modelgenerator.diffusion import hub
from modelgenerator.diffusion.family import ModelFamily
from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.diffusion.load import load, numbers_of
from modelgenerator.training.plan import TrainingPlan

MAKERS: dict[str, Callable[[Path], Path]] = {
    "SD": save_tiny_stable_diffusion,
    "SDXL": save_tiny_stable_diffusion_xl,
    "SD 3": save_tiny_sd3,
    "FLUX": save_tiny_flux,
}


@pytest.fixture(autouse=True)
def exact_multiplications(monkeypatch: pytest.MonkeyPatch) -> None:
    """fp32 is fp32: by default a GPU shortens what it convolves to 10 bits."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


@pytest.fixture(scope="session")
def found(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], BaseModelFiles]:
    """The files of a family's tiny base model."""
    made: dict[str, BaseModelFiles] = {}

    def find(family: str) -> BaseModelFiles:
        if family not in made:
            folder = MAKERS[family](tmp_path_factory.mktemp("base") / "model")
            made[family] = hub.look_at(str(folder))
        return made[family]

    return find


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    """Four squares of nothing, each with a caption of its own."""
    folder = tmp_path_factory.mktemp("photos")
    chance = np.random.default_rng(0)
    for number in range(4):
        pixels_HW3 = chance.integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels_HW3).save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text(f"scene {number}")
    return prepare(folder, Preparation(caption_prefix="lvff"))


@pytest.fixture(scope="session")
def plan(
    found: Callable[[str], BaseModelFiles], photos: PreparedDataset
) -> Callable[..., TrainingPlan]:
    """Two epochs of two steps, unless settings say otherwise."""

    def make(family: str, dtype: str = "fp32", **settings: object) -> TrainingPlan:
        small = {"resolution": 64, "epochs": 2, "batchSize": 2, "networkDim": 4}
        adamw = {"optimizer": "AdamW", "learningRate": 1e-3, "captionPrefix": "lvff"}
        planned = plan_for(photos, found(family), GPU, **{**small, **adamw, **settings})
        return dataclasses.replace(planned, compute_dtype=dtype, sample_steps=2)

    return make


@pytest.fixture(scope="session")
def base(found: Callable[[str], BaseModelFiles]) -> Callable[..., ModelFamily]:
    """A base model of its own for whoever asks."""

    def make(family: str, dtype: str = "fp32", device: str = "cuda") -> ModelFamily:
        files = found(family)
        assert files.folder is not None
        return load(
            files.folder,
            files.family,
            variant=files.variant,
            device=torch.device(device),
            dtype=numbers_of(dtype),
        )

    return make
