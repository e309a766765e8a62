"""Densities of noise levels against their formulas."""

import math
from statistics import NormalDist

import numpy as np
import pytest
import torch
from diffusers.schedulers.scheduling_flow_match_euler_discrete import (
    FlowMatchEulerDiscreteScheduler,
)

from modelgenerator.training.randomness import Purpose, Randomness
from modelgenerator.training.timesteps import DENSITIES, LevelFacts, flux_mu, shifted

FACTS = LevelFacts(latent_tokens=4096, scheduler_shift=3.0)
FLOW = ["sigma", "uniform", "sigmoid", "shift", "flux_shift"]
EVEN = (torch.arange(20_000) + 0.5) / 20_000


def sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z))


def moved(place: float, shift: float) -> float:
    return shift * place / (1 + (shift - 1) * place)


FORMULAS = {
    "uniform": lambda u: u,
    "sigma": lambda u: moved((math.floor(1000 * u) + 1) / 1000, 3.0),
    "sigmoid": lambda u: sigmoid(NormalDist().inv_cdf(u)),
    "shift": lambda u: moved(sigmoid(NormalDist().inv_cdf(u)), 3.0),
    "flux_shift": lambda u: moved(sigmoid(NormalDist().inv_cdf(u)), math.exp(1.15)),
}


@pytest.mark.parametrize("density", FLOW)
@pytest.mark.parametrize("quantile", [0.0101, 0.25, 0.5, 0.7501, 0.99])
def test_a_quantile_is_where_its_formula_says(density: str, quantile: float):
    place = DENSITIES[density](torch.tensor([quantile]), FACTS).item()
    assert place == pytest.approx(FORMULAS[density](quantile), abs=2e-6)


@pytest.mark.parametrize("density", FLOW)
def test_draws_are_distributed_as_the_formula_says(density: str):
    randomness = Randomness(3)
    uniform_B = torch.stack([randomness.uniform(Purpose.TIMESTEP, n) for n in range(4000)])
    drawn = np.sort(DENSITIES[density](uniform_B, FACTS).numpy())
    expected = np.array([FORMULAS[density]((n + 0.5) / 4000) for n in range(4000)])
    # Kolmogorov: 1.95 / sqrt(n) is passed by chance once in a thousand
    below = np.searchsorted(expected, drawn, side="right") / 4000
    assert np.abs(below - (np.arange(4000) + 0.5) / 4000).max() < 1.95 / math.sqrt(4000)
    assert drawn.mean() == pytest.approx(expected.mean(), abs=4 * expected.std() / math.sqrt(4000))


@pytest.mark.parametrize("density", DENSITIES)
def test_a_density_rises_from_clean_to_noise_and_stays_finite(density: str):
    ends_B = torch.tensor([0.0, 2**-24, 1 - 2**-24])
    places_B = DENSITIES[density](torch.cat([EVEN, ends_B]).sort().values, FACTS)
    assert places_B.isfinite().all()
    assert places_B.min() >= 0
    assert places_B.max() <= 1
    assert (places_B.diff() >= 0).all()


@pytest.mark.parametrize(
    ("side", "shift"), [(256, 1.6487), (512, 1.8776), (768, 2.3319), (1024, 3.1582), (2048, 25.28)]
)
def test_flux_shifts_by_the_size_of_the_picture(side: int, shift: float):
    tokens = (side // 16) ** 2
    assert math.exp(flux_mu(tokens)) == pytest.approx(shift, rel=2e-4)
    facts = LevelFacts(latent_tokens=tokens, scheduler_shift=1.0)
    torch.testing.assert_close(
        DENSITIES["flux_shift"](EVEN, facts),
        shifted(DENSITIES["sigmoid"](EVEN, facts), shift),
        rtol=0,
        atol=1e-4,
    )


@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_sigma_visits_every_entry_of_the_schedulers_table_equally_often(shift: float):
    table = FlowMatchEulerDiscreteScheduler(shift=shift).sigmas[:1000].flip(0)
    facts = LevelFacts(latent_tokens=4096, scheduler_shift=shift)
    places_B = DENSITIES["sigma"](EVEN, facts)
    torch.testing.assert_close(places_B, table.repeat_interleave(20), rtol=0, atol=1e-6)


def test_shift_is_more_noise_than_sigmoid_and_the_middle_is_three_quarters():
    middle_1 = torch.tensor([0.5])
    assert DENSITIES["sigmoid"](middle_1, FACTS).item() == pytest.approx(0.5)
    assert DENSITIES["shift"](middle_1, FACTS).item() == pytest.approx(0.75)
