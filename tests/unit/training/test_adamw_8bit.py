import pytest
import torch
from torch import Tensor, nn

from modelgenerator.training.optimizers.adamw_8bit import AdamW8bit, Code, dynamic_values

STEPS = 200


@pytest.mark.parametrize("is_signed", [True, False])
def test_the_values_are_256_in_rising_order_with_zero_and_one(is_signed: bool):
    values = dynamic_values(is_signed=is_signed)
    assert len(set(values)) == 256
    assert list(values) == sorted(values)
    assert (0.0 in values, values[-1]) == (True, 1.0)
    assert (values[0] < 0) is is_signed


@pytest.mark.parametrize(
    ("is_signed", "place", "value"),
    [
        (True, 128, 5.5e-7),  # the only value of the lowest decade
        (True, 129, 3.25e-6),  # two in the next, in the middle of their halves
        (True, 130, 7.75e-6),
        (True, 254, 1 - 0.9 / 128),  # 64 in the highest
        (True, 0, -(1 - 0.9 / 128)),
        (False, 1, 3.25e-7),  # without a sign there are twice as many
        (False, 2, 7.75e-7),
        (False, 254, 1 - 0.9 / 256),
    ],
)
def test_the_values_are_those_of_dynamic_tree_quantization(
    is_signed: bool, place: int, value: float
):
    assert dynamic_values(is_signed=is_signed)[place] == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize("is_signed", [True, False])
def test_a_number_gets_the_nearest_value(is_signed: bool):
    code = Code.of(dynamic_values(is_signed=is_signed))
    g = torch.Generator().manual_seed(3)
    numbers_N = torch.rand(4000, generator=g) * 2 - 1
    numbers_N = torch.cat([numbers_N, numbers_N * 1e-3, numbers_N * 1e-6, torch.tensor([-1.0, 0])])
    if not is_signed:
        numbers_N = numbers_N.abs()
    chosen_N = code.decode(code.encode(numbers_N))
    nearest_N = (numbers_N.unsqueeze(1) - code.values).abs().min(dim=1).values
    assert torch.equal((numbers_N - chosen_N).abs(), nearest_N)


def run(optimizer: object, values_N: Tensor, gradients_N: Tensor, length: int) -> None:
    """A bowl with noise."""
    g = torch.Generator().manual_seed(4)
    goal_N = torch.randn(length, generator=g)
    for _ in range(STEPS):
        gradients_N.copy_(values_N.detach() - goal_N + 0.3 * torch.randn(length, generator=g))
        optimizer.step(1e-2) if isinstance(optimizer, AdamW8bit) else optimizer.step()


@pytest.mark.parametrize("length", [256, 4096, 5000])  # 5000: the last block is short
def test_it_goes_the_way_of_adamw_but_for_rounding(length: int):
    start_N = 0.1 * torch.randn(length, generator=torch.Generator().manual_seed(5))
    values_N, gradients_N = start_N.clone(), torch.zeros(length)
    run(AdamW8bit(values_N, gradients_N), values_N, gradients_N, length)

    reference = nn.Parameter(start_N.clone())
    reference.grad = torch.zeros(length)
    theirs = torch.optim.AdamW([reference], lr=1e-2, weight_decay=0.01)
    run(theirs, reference, reference.grad, length)

    gone = torch.linalg.vector_norm(reference.detach() - start_N)
    assert torch.linalg.vector_norm(values_N - reference.detach()) < 0.05 * gone


def test_the_first_step_is_adamws():
    values_N, gradients_N = torch.linspace(-1, 1, 300), torch.linspace(2, -3, 300)
    reference = nn.Parameter(values_N.clone())
    reference.grad = gradients_N.clone()
    torch.optim.AdamW([reference], lr=0.1, weight_decay=0.2).step()
    AdamW8bit(values_N, gradients_N, weight_decay=0.2).step(0.1)
    torch.testing.assert_close(values_N, reference.detach(), rtol=1e-6, atol=1e-7)


def test_a_number_with_small_gradients_beside_large_ones_is_not_thrown_away():
    gradients_N = torch.full((256,), 1e-4)
    gradients_N[0] = 1.0  # the squares of the others are 1e-8 of its own: nearest to zero
    values_N, kept_N = torch.zeros(256), gradients_N.clone()
    optimizer = AdamW8bit(values_N, gradients_N, weight_decay=0.0)
    for _ in range(20):
        gradients_N.copy_(kept_N)
        optimizer.step(0.01)
        kept_N[1:] = 0
    assert values_N.abs().max() < 20 * 0.02


def test_its_state_takes_a_little_over_two_bytes_a_number():
    values_N = torch.zeros(2**16)
    state = AdamW8bit(values_N, torch.zeros_like(values_N)).state()
    assert sum(tensor.nbytes for tensor in state.values()) < 2.05 * len(values_N)
