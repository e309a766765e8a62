"""Multi-resolution noise against kohya's formula, told in numpy."""

import pytest
import torch
from torch.nn import functional

from modelgenerator.training.noise import NoiseKind, sample_noise
from modelgenerator.training.randomness import Purpose, Randomness

SHAPE = (4, 32, 24)
RANDOMNESS = Randomness(5)


def pyramid(levels: int, discount: float = 0.3, shape: tuple[int, ...] = SHAPE) -> torch.Tensor:
    kind = NoiseKind(pyramid_levels=levels, pyramid_discount=discount)
    return sample_noise(RANDOMNESS, 9, shape, kind)


def test_one_level_is_a_second_white_noise_of_the_same_size():
    white_CHW = RANDOMNESS.normal(Purpose.NOISE, 9, SHAPE)
    second_CHW = RANDOMNESS.normal(Purpose.PYRAMID, "9 0", SHAPE)
    both_CHW = white_CHW + second_CHW
    torch.testing.assert_close(pyramid(1), both_CHW / both_CHW.std())


def test_the_second_level_is_enlarged_and_discounted():
    factor = 2 + 2 * float(RANDOMNESS.uniform(Purpose.PYRAMID, "9 factor 1"))
    small = (4, int(32 / factor), int(24 / factor))
    grid_Chw = RANDOMNESS.normal(Purpose.PYRAMID, "9 1", small)
    coarse_CHW = functional.interpolate(grid_Chw[None], (32, 24), mode="bilinear")[0]
    both_CHW = RANDOMNESS.normal(Purpose.NOISE, 9, SHAPE)
    both_CHW = both_CHW + RANDOMNESS.normal(Purpose.PYRAMID, "9 0", SHAPE) + 0.3 * coarse_CHW
    torch.testing.assert_close(pyramid(2), both_CHW / both_CHW.std())


def test_levels_end_where_a_side_is_one():
    assert torch.equal(pyramid(6), pyramid(1000))


@pytest.mark.parametrize("shape", [(4, 1, 1), (4, 1, 8), (16, 8, 4)])
def test_small_and_narrow_noise_is_finite(shape: tuple[int, ...]):
    assert pyramid(6, shape=shape).shape == shape
    assert pyramid(6, shape=shape).isfinite().all()


def test_the_deviation_of_each_sample_is_one():
    assert pyramid(6, discount=0.9).std().item() == pytest.approx(1, abs=1e-6)


def test_without_discount_coarse_noise_is_as_strong_as_fine_noise():
    def neighbours(noise_CHW: torch.Tensor) -> float:
        """How alike a place is to the next one."""
        return float((noise_CHW[..., 1:] * noise_CHW[..., :-1]).mean())

    assert neighbours(pyramid(6, discount=1.0)) > neighbours(pyramid(6, discount=0.1)) + 0.2


def test_the_offset_comes_before_the_coarser_grids():
    offset = NoiseKind(offset=0.5, pyramid_levels=1, pyramid_discount=0.3)
    shifted_CHW = RANDOMNESS.normal(Purpose.NOISE, 9, SHAPE)
    shifted_CHW = shifted_CHW + 0.5 * RANDOMNESS.normal(Purpose.OFFSET, 9, (4, 1, 1))
    both_CHW = shifted_CHW + RANDOMNESS.normal(Purpose.PYRAMID, "9 0", SHAPE)
    expected_CHW = both_CHW / both_CHW.std()
    torch.testing.assert_close(sample_noise(RANDOMNESS, 9, SHAPE, offset), expected_CHW)
