"""Losses against their closed forms."""

import math

import pytest
import torch
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from modelgenerator.diffusion.noising import FlowNoising, scheduled_noising
from modelgenerator.training.losses import LOSSES, MIN_SNR_WEIGHTS, sample_losses, threshold

STABLE_DIFFUSION = scheduled_noising(
    "epsilon",
    DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear").alphas_cumprod,
    device=torch.device("cpu"),
)


def loss_of(kind: str, difference: float, c: float) -> float:
    """Of one number."""
    prediction_1111 = torch.tensor([[[[0.25 + difference]]]], dtype=torch.float64)
    target_1111 = torch.full_like(prediction_1111, 0.25)
    return LOSSES[kind](prediction_1111, target_1111, torch.tensor([c])).item()


differences = st.floats(-100, 100)
thresholds = st.floats(1e-3, 10)


@given(differences, thresholds)
def test_each_loss_is_its_formula(d: float, c: float):
    root = math.sqrt(d * d + c * c) - c
    assert loss_of("L2", d, c) == pytest.approx(d * d, rel=1e-9, abs=1e-12)
    assert loss_of("Huber", d, c) == pytest.approx(2 * c * root, rel=1e-5, abs=1e-6)
    assert loss_of("SmoothL1", d, c) == pytest.approx(2 * root, rel=1e-5, abs=1e-6)


def test_small_differences_count_by_their_square():
    assert loss_of("Huber", 1e-4, 0.5) == pytest.approx(1e-8, rel=1e-6)
    assert loss_of("SmoothL1", 1e-4, 0.5) == pytest.approx(1e-8 / 0.5, rel=1e-6)


def test_large_differences_count_by_their_size():
    assert loss_of("Huber", 1e6, 0.5) == pytest.approx(2 * 0.5 * 1e6, rel=1e-5)
    assert loss_of("SmoothL1", -1e6, 0.5) == pytest.approx(2 * 1e6, rel=1e-5)


def test_small_differences_are_not_lost_in_half_of_the_digits():
    prediction_1111 = torch.full((1, 1, 1, 1), 1e-4)
    loss = LOSSES["Huber"](prediction_1111, torch.zeros(1, 1, 1, 1), torch.ones(1))
    assert loss.item() == pytest.approx(1e-8, rel=1e-5)


@given(differences)
def test_at_a_threshold_of_one_huber_is_smooth_l1(d: float):
    assert loss_of("Huber", d, 1.0) == loss_of("SmoothL1", d, 1.0)


@pytest.mark.parametrize(("time", "c"), [(0, 0.950), (100, 0.598), (500, 0.231), (999, 0.104)])
def test_the_threshold_of_stable_diffusion_follows_the_noise(time: int, c: float):
    ratio_B = STABLE_DIFFUSION.noise_ratio(torch.tensor([time]))
    assert threshold(ratio_B, 0.1).item() == pytest.approx(c, abs=6e-4)


@pytest.mark.parametrize(
    ("sigma", "c"), [(0.0, 1.0), (0.5, 0.9 / 4 + 0.1), (0.8, 0.9 / 25 + 0.1), (1.0, 0.1)]
)
def test_the_threshold_of_a_flow_follows_the_noise(sigma: float, c: float):
    ratio_B = FlowNoising().noise_ratio(torch.tensor([1000 * sigma]))
    assert threshold(ratio_B, 0.1).item() == pytest.approx(c, rel=1e-5)


def test_a_threshold_of_one_is_one_at_every_level():
    ratios_B = torch.tensor([0.0, 0.1, 1.0, 1e6, math.inf])
    assert torch.equal(threshold(ratios_B, 1.0), torch.ones(5))


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("gamma", [0.5, 5.0])
def test_min_snr_weights_are_their_formula(prediction_type: str, gamma: float):
    times_B = torch.arange(0, 1000, 37)
    abar_B = STABLE_DIFFUSION.alphas_cumprod_T[times_B].double()  # type: ignore[attr-defined]
    snr_B = abar_B / (1 - abar_B)
    divisor_B = snr_B if prediction_type == "epsilon" else snr_B + 1
    ratio_B = STABLE_DIFFUSION.noise_ratio(times_B)
    weight_B = MIN_SNR_WEIGHTS[prediction_type](ratio_B, gamma)
    torch.testing.assert_close(weight_B.double(), snr_B.clamp(max=gamma) / divisor_B)


@pytest.mark.parametrize(("prediction_type", "weight"), [("epsilon", 1.0), ("v_prediction", 0.0)])
def test_min_snr_weights_are_finite_where_there_is_only_noise(prediction_type: str, weight: float):
    assert MIN_SNR_WEIGHTS[prediction_type](torch.tensor([math.inf]), 5.0).item() == weight


# --- masks


def some_losses() -> Tensor:
    return torch.rand(3, 4, 6, 5, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("normalized", [True, False])
def test_a_mask_of_ones_is_no_mask_to_the_bit(normalized: bool):
    ones_BHW = torch.ones(3, 6, 5)
    masked_B = sample_losses(some_losses(), ones_BHW, normalized=normalized)
    assert torch.equal(masked_B, sample_losses(some_losses(), None, normalized=normalized))


def test_a_grey_mask_changes_nothing_when_it_is_normalized_and_half_when_not():
    plain_B = sample_losses(some_losses(), None, normalized=True)
    grey_BHW = torch.full((3, 6, 5), 0.5)
    torch.testing.assert_close(sample_losses(some_losses(), grey_BHW, normalized=True), plain_B)
    halved_B = sample_losses(some_losses(), grey_BHW, normalized=False)
    torch.testing.assert_close(halved_B, plain_B / 2)


def test_each_sample_is_averaged_over_what_its_own_mask_shows():
    masks_BHW = torch.zeros(3, 6, 5)
    masks_BHW[0, 0, 0], masks_BHW[1, 2:4, :], masks_BHW[2] = 1, 0.25, 1
    losses = some_losses()
    expected = [losses[0, :, 0, 0].mean(), losses[1, :, 2:4].mean(), losses[2].mean()]
    masked_B = sample_losses(losses, masks_BHW, normalized=True)
    torch.testing.assert_close(masked_B, torch.stack(expected))


def test_masked_places_have_no_gradient():
    losses = some_losses().requires_grad_()
    masks_BHW = torch.zeros(3, 6, 5)
    masks_BHW[:, 1, 2] = 1
    sample_losses(losses, masks_BHW, normalized=True).sum().backward()
    assert losses.grad is not None
    assert torch.equal(losses.grad.amax(dim=1) > 0, masks_BHW > 0)
