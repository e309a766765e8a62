"""Objects and drawings: cut out where they stand out, none where nothing does."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from modelgenerator.datasets.images import Photo
from modelgenerator.datasets.regions import Mask
from modelgenerator.datasets.segmenters.faces import CascadeFaces
from modelgenerator.datasets.segmenters.grabcut import GrabCutSegmenter

RealPhoto = Callable[[str], Photo]


def as_photo(pixels_HW3: NDArray[np.uint8]) -> Photo:
    return Photo("drawn.png", pixels_HW3, "0" * 64)


def overlap(one_HW: Mask, other_HW: Mask) -> float:
    return float((one_HW & other_HW).sum() / (one_HW | other_HW).sum())


def two_coloured_ellipse(size: tuple[int, int], middle: tuple[int, int]) -> tuple[Photo, Mask]:
    """Half green, half yellow, on noise."""
    width, height = size
    noise = np.random.default_rng(3).normal(0, 6, (height, width, 3))
    pixels_HW3 = np.clip(np.array((120, 110, 150)) + noise, 0, 255).astype(np.uint8)
    mask = np.zeros((height, width), np.uint8)
    cv2.ellipse(mask, middle, (height // 4, height // 6), 20, 0, 360, 1, cv2.FILLED)
    subject_HW = mask > 0
    pixels_HW3[subject_HW] = (60, 160, 60)
    right_HW = subject_HW & (np.arange(width) > middle[0])
    pixels_HW3[right_HW] = (230, 210, 40)
    return as_photo(pixels_HW3), subject_HW


@pytest.mark.parametrize("size", [(120, 90), (320, 240), (640, 480)])
@pytest.mark.parametrize("place", [0.35, 0.7])
def test_a_thing_of_two_colours_is_one_subject(size: tuple[int, int], place: float) -> None:
    photo, subject_HW = two_coloured_ellipse(size, (int(size[0] * place), size[1] // 2))
    regions = GrabCutSegmenter(None).find(photo)
    assert regions is not None
    assert overlap(regions.subject_HW, subject_HW) > 0.9
    assert not regions.has_head


@pytest.mark.parametrize(
    "name",
    ["brick.png", "grass.png", "gravel.png", "page.png", "text.png", "hubble_deep_field.jpg"],
)
def test_a_texture_has_no_subject(real_photo: RealPhoto, name: str) -> None:
    assert GrabCutSegmenter(None).find(real_photo(name)) is None


def test_one_colour_has_no_subject() -> None:
    assert GrabCutSegmenter(None).find(as_photo(np.full((100, 100, 3), 77, np.uint8))) is None


def test_the_cup_comes_with_its_saucer(real_photo: RealPhoto) -> None:
    regions = GrabCutSegmenter(None).find(real_photo("coffee.png"))
    assert regions is not None
    assert regions.subject_HW[100, 330]  # the coffee
    assert regions.subject_HW[290, 260]  # the saucer
    assert not regions.subject_HW[50, 60]  # the table


def test_a_face_has_a_head_here_too(real_photo: RealPhoto) -> None:
    regions = GrabCutSegmenter(CascadeFaces()).find(real_photo("astronaut.png"))
    assert regions is not None
    assert regions.faces == 1
    assert regions.head_HW[125, 225]


def test_the_same_photo_gives_the_same_regions(real_photo: RealPhoto) -> None:
    segmenter, photo = GrabCutSegmenter(None), real_photo("coffee.png")
    first, second = segmenter.find(photo), segmenter.find(photo)
    assert first is not None
    assert second is not None
    assert first.as_bytes() == second.as_bytes()
