import pytest
import torch

from modelgenerator.training.precision import DynamicScaling, NoScaling, loss_scaler


def test_an_overflow_skips_the_step_and_halves_the_factor():
    scaler = DynamicScaling(1024.0)
    assert not scaler.unscale_(torch.tensor([1.0, torch.inf]))
    assert scaler.scaled(torch.tensor(1.0)) == 512


def test_nan_counts_as_an_overflow():
    assert not DynamicScaling().unscale_(torch.tensor([torch.nan]))


def test_what_was_scaled_comes_back_as_it_was():
    scaler = DynamicScaling()
    gradients_N = scaler.scaled(torch.tensor([0.1, -3e-7, 0.0]))
    assert scaler.unscale_(gradients_N)
    assert torch.equal(gradients_N, torch.tensor([0.1, -3e-7, 0.0]))


def test_the_factor_doubles_after_two_thousand_good_steps():
    scaler = DynamicScaling(2.0)
    for _ in range(DynamicScaling.PATIENCE - 1):
        scaler.unscale_(torch.ones(1))
    assert scaler.scaled(torch.tensor(1.0)) == 2
    scaler.unscale_(torch.ones(1))
    assert scaler.scaled(torch.tensor(1.0)) == 4


def test_an_overflow_starts_the_count_of_good_steps_anew():
    scaler = DynamicScaling(4.0)
    for gradient in [1.0] * (DynamicScaling.PATIENCE - 1) + [torch.inf, 1.0]:
        scaler.unscale_(torch.tensor([gradient]))
    assert scaler.scaled(torch.tensor(1.0)) == 2


def test_an_overflow_without_any_factor_is_not_excused():
    scaler = DynamicScaling(2.0)
    assert not scaler.unscale_(torch.tensor([torch.inf]))
    assert scaler.unscale_(torch.tensor([torch.inf]))  # the loop then stops the training
    assert scaler.scaled(torch.tensor(1.0)) == 1


def test_its_state_goes_on_in_another_scaler():
    one, other = DynamicScaling(8.0), DynamicScaling()
    for _ in range(DynamicScaling.PATIENCE - 1):
        one.unscale_(torch.ones(1))
    other.load_state({name: tensor.clone() for name, tensor in one.state().items()})
    other.unscale_(torch.ones(1))
    assert other.scaled(torch.tensor(1.0)) == 16


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_wide_number_formats_are_not_scaled(dtype: str):
    scaler = loss_scaler(dtype)
    assert isinstance(scaler, NoScaling)
    assert scaler.scaled(torch.tensor(3.0)) == 3
    assert scaler.unscale_(torch.tensor([torch.inf]))
    assert scaler.state() == {}


def test_fp16_is_scaled():
    assert isinstance(loss_scaler("fp16"), DynamicScaling)
