"""What a person marked: transparency and grey masks."""

import numpy as np
import pytest
from numpy.typing import NDArray

from modelgenerator.datasets.images import Photo
from modelgenerator.datasets.segmenters.own_masks import AlphaSegmenter, regions_of_mask


def photo(alpha_HW: NDArray[np.uint8] | None, shape: tuple[int, int] = (60, 80)) -> Photo:
    return Photo("a.png", np.full((*shape, 3), 200, np.uint8), "0" * 64, alpha_HW=alpha_HW)


def test_what_is_opaque_is_the_subject() -> None:
    alpha_HW = np.zeros((60, 80), np.uint8)
    alpha_HW[10:50, 20:40] = 255
    regions = AlphaSegmenter(None).find(photo(alpha_HW))
    assert regions is not None
    assert np.array_equal(regions.subject_HW, alpha_HW > 0)
    assert not regions.has_head


@pytest.mark.parametrize("shade", [None, 0, 200, 255])
def test_an_alpha_channel_that_marks_nothing_is_no_mark(shade: int | None) -> None:
    alpha_HW = None if shade is None else np.full((60, 80), shade, np.uint8)
    assert AlphaSegmenter(None).find(photo(alpha_HW)) is None


def test_a_few_transparent_pixels_are_no_mark() -> None:
    alpha_HW = np.full((60, 80), 255, np.uint8)
    alpha_HW[0, :4] = 0  # rounded corners
    assert AlphaSegmenter(None).find(photo(alpha_HW)) is None


def test_a_mask_s_subject_is_what_is_at_least_half_as_bright_as_its_brightest() -> None:
    shades_HW = np.full((40, 40), 30, np.uint8)
    shades_HW[10:30, 10:30] = 90
    shades_HW[12:20, 12:20] = 160
    regions = regions_of_mask(shades_HW)
    assert regions is not None
    assert np.array_equal(regions.subject_HW, shades_HW >= 80)
    assert regions.found_by == "your own mask"


def test_a_black_mask_has_no_subject() -> None:
    assert regions_of_mask(np.zeros((40, 40), np.uint8)) is None


def test_a_line_that_vanishes_on_the_grid_is_a_subject_all_the_same() -> None:
    shades_HW = np.zeros((2000, 2000), np.uint8)
    shades_HW[1000, 500:1500] = 255
    regions = regions_of_mask(shades_HW)
    assert regions is not None
    assert regions.subject_HW.any()
