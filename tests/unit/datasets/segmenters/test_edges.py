"""A mask's edge goes where the photo's is; parts and holes are told apart."""

import numpy as np
import pytest

from modelgenerator.datasets.segmenters.edges import guided, parts_of, without_holes


def test_an_edge_that_is_a_little_off_moves_to_the_photo_s() -> None:
    pixels_HW3 = np.full((60, 80, 3), (40, 60, 160), np.uint8)
    pixels_HW3[:, 40:] = (200, 90, 30)
    rough_HW = np.zeros((60, 80), np.float32)
    rough_HW[:, 42:] = 1
    assert np.array_equal(guided(rough_HW, pixels_HW3, 10) > 0.5, pixels_HW3[..., 0] == 200)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_mask_of_all_or_nothing_stays_what_it_is(share: float) -> None:
    pixels_HW3 = np.random.default_rng(0).integers(0, 256, (40, 50, 3)).astype(np.uint8)
    rough_HW = np.full((40, 50), share, np.float32)
    np.testing.assert_allclose(guided(rough_HW, pixels_HW3, 3), rough_HW, atol=1e-3)


def test_parts_come_the_largest_first_and_small_ones_are_left_out() -> None:
    mask_HW = np.zeros((40, 40), bool)
    mask_HW[2:4, 2:4] = mask_HW[10:20, 10:20] = mask_HW[25:38, 25:38] = True
    large, middle = parts_of(mask_HW, least=0.1)
    assert large.sum() == 13 * 13
    assert middle.sum() == 100


def test_small_holes_are_filled_and_large_ones_and_bays_are_not() -> None:
    mask_HW = np.ones((40, 40), bool)
    mask_HW[0:10, 0] = False
    mask_HW[5:7, 20:22] = False
    mask_HW[15:35, 15:35] = False
    filled_HW = without_holes(mask_HW, largest=0.05)
    assert filled_HW[5, 20]
    assert not filled_HW[20, 20]
    assert not filled_HW[5, 0]
