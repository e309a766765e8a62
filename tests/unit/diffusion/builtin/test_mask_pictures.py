"""Pictures that the drawn segmenter's network learns from: exact, varied, the same for a seed."""

import numpy as np
import pytest

from modelgenerator.diffusion.builtin.mask_pictures import mask_picture


@pytest.mark.parametrize("side", [32, 64])
def test_a_seed_gives_the_same_picture(side: int) -> None:
    for seed in range(20):
        one, other = mask_picture(seed, side), mask_picture(seed, side)
        assert one.pixels_HW3.shape == (side, side, 3)
        assert np.array_equal(one.pixels_HW3, other.pixels_HW3)
        assert np.array_equal(one.subject_HW, other.subject_HW)


def test_a_head_is_a_part_of_the_subject() -> None:
    for seed in range(100):
        picture = mask_picture(seed)
        assert not (picture.head_HW & ~picture.subject_HW).any()
        assert picture.knows_head or not picture.head_HW.any()


def test_some_pictures_have_no_subject_and_some_subjects_leave_the_picture() -> None:
    pictures = [mask_picture(seed, 64) for seed in range(200)]
    empty = sum(not picture.subject_HW.any() for picture in pictures)
    at_border = sum(bool(picture.subject_HW[:, [0, -1]].any()) for picture in pictures)
    assert 2 <= empty <= 30
    assert at_border >= 5
