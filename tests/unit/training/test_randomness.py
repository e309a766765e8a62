import pytest
import torch
from torch import Tensor

from modelgenerator.training.noise import WHITE, NoiseKind, sample_noise
from modelgenerator.training.randomness import Purpose, Randomness

SHAPE = (4, 32, 32)
DRAWS = {
    "uniform": lambda seed, purpose, visit: Randomness(seed).uniform(purpose, visit, SHAPE),
    "normal": lambda seed, purpose, visit: Randomness(seed).normal(purpose, visit, SHAPE),
}


def correlation(one: Tensor, other: Tensor) -> float:
    return float(torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1])


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_the_same_seed_purpose_and_visit_give_the_same_numbers(draw):
    assert torch.equal(draw(3, Purpose.NOISE, 7), draw(3, Purpose.NOISE, 7))


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
@pytest.mark.parametrize(
    "other",
    [
        (4, Purpose.NOISE, 7),
        (3, Purpose.POSTERIOR, 7),
        (3, Purpose.NOISE, 8),
        (3, Purpose.NOISE, "prior 7"),
    ],
)
def test_another_seed_purpose_or_visit_gives_independent_numbers(draw, other):
    assert abs(correlation(draw(3, Purpose.NOISE, 7), draw(*other))) < 0.06  # 4 sigma of 4096


def test_seeds_and_visits_that_read_alike_are_told_apart():
    assert Randomness(1).uniform(Purpose.FLIP, 11) != Randomness(11).uniform(Purpose.FLIP, 1)


def test_the_order_of_draws_does_not_matter():
    randomness = Randomness(0)
    first = randomness.normal(Purpose.NOISE, 1, SHAPE)
    randomness.uniform(Purpose.TIMESTEP, 5)
    assert torch.equal(randomness.normal(Purpose.NOISE, 1, SHAPE), first)


def test_the_global_generator_is_neither_used_nor_moved():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    drawn = Randomness(0).normal(Purpose.NOISE, 1, SHAPE)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(Randomness(0).normal(Purpose.NOISE, 1, SHAPE), drawn)


@pytest.mark.parametrize("shape", [(), (1,), (3, 5)])
def test_numbers_are_fp32_of_the_shape_that_was_asked_for(shape: tuple[int, ...]):
    for drawn in (
        Randomness(0).uniform(Purpose.FLIP, 0, shape),
        Randomness(0).normal(Purpose.NOISE, 0, shape),
    ):
        assert drawn.dtype == torch.float32
        assert drawn.shape == shape


def test_uniform_numbers_fill_zero_to_one_evenly():
    numbers = torch.stack([Randomness(0).uniform(Purpose.TIMESTEP, v) for v in range(4000)])
    assert numbers.min() >= 0
    assert numbers.max() < 1
    assert torch.histc(numbers, 10, 0, 1).sub(400).abs().max() < 90  # 4.7 sigma


def test_normal_numbers_have_mean_zero_and_deviation_one():
    numbers = Randomness(0).normal(Purpose.NOISE, 0, (4, 100, 100))
    assert abs(numbers.mean()) < 0.02
    assert abs(numbers.std() - 1) < 0.02
    assert abs((numbers.abs() < 1).float().mean() - 0.6827) < 0.01


def test_a_permutation_has_every_number_once():
    order = Randomness(0).permutation(Purpose.ORDER, "1", 50)
    assert sorted(order) == list(range(50))
    assert order != list(range(50))


def test_noise_without_an_offset_is_white():
    randomness = Randomness(5)
    noise_CHW = sample_noise(randomness, 9, SHAPE, WHITE)
    assert torch.equal(noise_CHW, randomness.normal(Purpose.NOISE, 9, SHAPE))


def test_an_offset_shifts_every_channel_as_a_whole():
    white_CHW = sample_noise(Randomness(5), 9, SHAPE, WHITE)
    shifted_CHW = sample_noise(Randomness(5), 9, SHAPE, NoiseKind(offset=0.5))
    shift_CHW = shifted_CHW - white_CHW
    means_C11 = shift_CHW.mean((1, 2), keepdim=True)
    torch.testing.assert_close(shift_CHW, means_C11.expand(SHAPE), atol=1e-5, rtol=0)
    expected_C11 = 0.5 * Randomness(5).normal(Purpose.OFFSET, 9, (4, 1, 1))
    torch.testing.assert_close(means_C11, expected_C11, atol=1e-5, rtol=0)
