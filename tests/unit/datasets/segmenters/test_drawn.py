"""Pixel art: brought back to its own pixels, and its subject found; photos are left alone."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from modelgenerator.datasets.images import Photo
from modelgenerator.datasets.regions import Mask
from modelgenerator.datasets.segmenters.drawn import NETWORK, DrawnSegmenter, logits
from modelgenerator.datasets.segmenters.pixel_art import drawn_pixels
from modelgenerator.diffusion.builtin import world
from modelgenerator.diffusion.builtin.mask_recipe import MaskNetwork
from modelgenerator.diffusion.builtin.scenes import PHRASES
from modelgenerator.diffusion.builtin.subjects import SUBJECTS

RealPhoto = Callable[[str], Photo]


def as_photo(pixels_HW3: NDArray[np.uint8]) -> Photo:
    return Photo("drawn.png", pixels_HW3, "0" * 64)


def enlarged(pixels: NDArray[np.uint8], times: int) -> NDArray[np.uint8]:
    return pixels.repeat(times, 0).repeat(times, 1)


def overlap(one_HW: Mask, other_HW: Mask) -> float:
    return float((one_HW & other_HW).sum() / (one_HW | other_HW).sum())


@pytest.mark.parametrize("times", [1, 8])
def test_creatures_that_it_never_saw_are_found_with_their_heads(times: int) -> None:
    subjects, heads = [], []
    for number, name in enumerate(SUBJECTS):
        for scene in (*PHRASES, "plain"):
            drawn = world.subject_picture(name, scene, number)
            regions = DrawnSegmenter().find(as_photo(enlarged(drawn.pixels_HW3, times)))
            assert regions is not None
            masks = [enlarged(m, times) for m in (drawn.creature_HW, drawn.head_HW)]
            subjects.append(overlap(regions.subject_HW, masks[0]))
            heads.append(overlap(regions.head_HW, masks[1]))
    assert np.mean(subjects) > 0.95
    assert np.mean(heads) > 0.85
    assert min(subjects) > 0.75


@pytest.mark.parametrize("side", [32, 128, 256, 500, 1000])
def test_a_drawing_is_brought_back_to_its_own_pixels(side: int) -> None:
    pixels_HW3 = world.picture(5).pixels_HW3
    large = cv2.resize(pixels_HW3, (side, side), interpolation=cv2.INTER_NEAREST)
    small = drawn_pixels(np.asarray(large, np.uint8))
    assert small is not None
    assert np.array_equal(small, pixels_HW3)


def test_a_good_jpg_of_a_drawing_is_one_too() -> None:
    pixels_HW3 = world.picture(5).pixels_HW3
    _, jpg = cv2.imencode(".jpg", enlarged(pixels_HW3, 8), [cv2.IMWRITE_JPEG_QUALITY, 95])
    small = drawn_pixels(np.asarray(cv2.imdecode(jpg, cv2.IMREAD_COLOR), np.uint8))
    assert small is not None
    assert small.shape == pixels_HW3.shape


@pytest.mark.parametrize("side", [None, 32, 48, 64])
@pytest.mark.parametrize(
    "name", ["astronaut.png", "camera.png", "coffee.png", "moon.png", "chelsea.png", "cell.png"]
)
def test_photos_however_small_are_no_drawings(
    real_photo: RealPhoto, name: str, side: int | None
) -> None:
    pixels_HW3 = real_photo(name).pixels_HW3
    if side is not None:
        pixels_HW3 = cv2.resize(pixels_HW3, (side, side), interpolation=cv2.INTER_AREA)
    assert drawn_pixels(np.asarray(pixels_HW3, np.uint8)) is None


def test_a_scene_without_anyone_has_no_subject() -> None:
    sky = np.full((32, 32, 3), (130, 205, 250), np.uint8)
    sky[20:] = (110, 195, 75)
    assert DrawnSegmenter().find(as_photo(enlarged(sky, 8))) is None


@pytest.mark.parametrize("shape", [(32, 32), (48, 64), (37, 21)])
def test_numpy_computes_what_torch_computes(shape: tuple[int, int]) -> None:
    pixels_HW3 = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    network = MaskNetwork()
    network.load_state_dict({name: part.float() for name, part in load_file(NETWORK).items()})
    padded = np.pad(pixels_HW3, ((0, -shape[0] % 8), (0, -shape[1] % 8), (0, 0)), mode="edge")
    with torch.inference_mode():
        expected = network(torch.from_numpy(padded).permute(2, 0, 1)[None].float() / 255)[0]
    expected_HW2 = expected.permute(1, 2, 0).numpy()[: shape[0], : shape[1]]
    np.testing.assert_allclose(logits(pixels_HW3), expected_HW2, atol=2e-3, rtol=1e-3)
