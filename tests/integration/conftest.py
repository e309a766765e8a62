"""A tiny pipeline and what surrounds it, made once for all tests that load one."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.tiny import save_tiny_stable_diffusion

from modelgenerator.datasets.prepare import Preparation, PreparedDataset, prepare
from modelgenerator.diffusion import hub
from modelgenerator.diffusion.family import CompanionFolder, ModelFamily
from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.diffusion.load import load


def load_base(files: BaseModelFiles) -> ModelFamily:
    """The base model on the CPU in fp32."""
    assert files.folder is not None
    return load(
        files.folder,
        files.family,
        variant=files.variant,
        device=torch.device("cpu"),
        dtype=torch.float32,
        companion=_companion(files),
    )


def _companion(files: BaseModelFiles) -> CompanionFolder | None:
    lent = files.companion
    if lent is None:
        return None
    assert lent.folder is not None
    return CompanionFolder(folder=lent.folder, variant=lent.variant)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Not to be changed: all tests share it."""
    return save_tiny_stable_diffusion(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def tiny_files(tiny_folder: Path) -> BaseModelFiles:
    return hub.look_at(str(tiny_folder))


@pytest.fixture(scope="session")
def tiny_base(tiny_files: BaseModelFiles) -> ModelFamily:
    """Not to be changed: all tests share it."""
    return load_base(tiny_files)


@pytest.fixture(scope="session")
def load_files() -> Callable[[BaseModelFiles], ModelFamily]:
    return load_base


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    """Three squares and two wide pictures of nothing, each with a caption of its own."""
    folder = tmp_path_factory.mktemp("photos")
    chance = np.random.default_rng(0)
    for number, width in enumerate((64, 64, 64, 128, 128)):
        pixels_HW3 = chance.integers(0, 256, (64, width, 3), dtype=np.uint8)
        Image.fromarray(pixels_HW3).save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text(f"scene {number}")
    return prepare(folder, Preparation(caption_prefix="lvff"))
