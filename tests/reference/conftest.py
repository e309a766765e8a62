"""Tiny base models and photos, made once for all reference tests."""

import numpy as np
import pytest
from PIL import Image
from tests.reference.observed_training import Trainer
from tests.tiny import save_tiny_stable_diffusion
from tests.tiny_flux import save_tiny_flux

from modelgenerator.datasets.images import Photo
from modelgenerator.datasets.regions import SubjectRegions


@pytest.fixture(scope="session")
def base_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """By a word for each, the folder as a person would write it."""
    folder = tmp_path_factory.mktemp("bases")
    return {
        "sd": str(save_tiny_stable_diffusion(folder / "sd")),
        "other sd": str(save_tiny_stable_diffusion(folder / "other", seed=1)),
        "flux": str(save_tiny_flux(folder / "flux")),
    }


class InTheCorner:
    """A subject of three quarters of a square, at the top left; its head is the first of them."""

    version = "corner 1"

    def find(self, photo: Photo) -> SubjectRegions | None:
        subject_HW = np.zeros((photo.height, photo.width), np.bool_)
        head_HW = subject_HW.copy()
        subject_HW[:48, :48] = True
        subject_HW[24:48, 24:48] = False
        head_HW[:24, :24] = True
        return SubjectRegions(subject_HW=subject_HW, head_HW=head_HW, found_by="a test")


@pytest.fixture(scope="session")
def trainer_that_looks(tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    """On two squares of noise whose subject is found in the corner."""
    photos = tmp_path_factory.mktemp("seen")
    chance = np.random.default_rng(0)
    for number in range(2):
        pixels_HW3 = chance.integers(0, 256, (64, 128, 3), dtype=np.uint8)
        Image.fromarray(pixels_HW3).save(photos / f"{number}.png")
    return Trainer(photos, tmp_path_factory.mktemp("trainings"), InTheCorner())


@pytest.fixture(scope="session")
def trainer(tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    """On two squares of noise with captions, whose masks are white on the left half."""
    photos = tmp_path_factory.mktemp("photos")
    chance = np.random.default_rng(0)
    mask_HW = np.zeros((128, 128), np.uint8)
    mask_HW[:, :64] = 255
    for number in range(2):
        pixels_HW3 = chance.integers(0, 256, (128, 128, 3), dtype=np.uint8)
        Image.fromarray(pixels_HW3).save(photos / f"{number}.png")
        Image.fromarray(mask_HW).save(photos / f"{number}.mask.png")
        (photos / f"{number}.txt").write_text(f"scene {number}")
    return Trainer(photos, tmp_path_factory.mktemp("trainings"))
