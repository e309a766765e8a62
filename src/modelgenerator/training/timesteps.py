"""Which noise levels training visits, and how often.

In: uniform numbers.  Out: places between 0, the clean picture, and 1, nothing but noise.  Each
density is a rising function, so that one draw of a sample gives one place and nothing else is
random.  Pictures and base models are not known here.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from modelgenerator.diffusion.noising import TIMESTEPS
from modelgenerator.diffusion.traits import UNIFORM_INTEGERS

SHIFT = 3.0
"""Of the density that is called `shift`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelFacts:
    """What a density may depend on, besides chance."""

    latent_tokens: int
    """Of the picture: a quarter of its places on the latent grid."""
    scheduler_shift: float
    """How far the base model's own table of noise levels is shifted towards noise; 1 is not."""


Density = Callable[[Tensor, LevelFacts], Tensor]
"""uniform_B in [0, 1) to places_B."""


def uniform(uniform_B: Tensor, facts: LevelFacts) -> Tensor:  # noqa: ARG001
    """Every level as often as any other."""
    return uniform_B


def scheduler_table(uniform_B: Tensor, facts: LevelFacts) -> Tensor:
    """Every entry of the base model's table of noise levels as often as any other.

    The table has the levels 1/T, 2/T, ... 1, shifted.  Source: diffusers,
    schedulers/scheduling_flow_match_euler_discrete.py, `__init__`.
    """
    entries_B = (uniform_B * TIMESTEPS).floor().clamp(max=TIMESTEPS - 1) + 1
    return shifted(entries_B / TIMESTEPS, facts.scheduler_shift)


def sigmoid(uniform_B: Tensor, facts: LevelFacts) -> Tensor:  # noqa: ARG001
    """The logistic function of a normal number: middle levels more often, both ends hardly."""
    return torch.special.ndtri(uniform_B).sigmoid()


def shifted_sigmoid(uniform_B: Tensor, facts: LevelFacts) -> Tensor:
    """`sigmoid`, moved towards noise by a factor that is always the same."""
    return shifted(sigmoid(uniform_B, facts), SHIFT)


def flux_shift(uniform_B: Tensor, facts: LevelFacts) -> Tensor:
    """`sigmoid`, moved towards noise the further the larger the picture is."""
    return shifted(sigmoid(uniform_B, facts), math.exp(flux_mu(facts.latent_tokens)))


def flux_mu(latent_tokens: int) -> float:
    """0.5 at 256 latent tokens and 1.15 at 4096, on a straight line.

    Source: black-forest-labs/flux, src/flux/sampling.py, `get_lin_function`.
    """
    return 0.5 + 0.65 * (latent_tokens - 256) / 3840


def shifted(places_B: Tensor, shift: float) -> Tensor:
    """Towards noise for `shift` above 1: shift * s / (1 + (shift - 1) * s); the ends stay.

    Source: Esser et al. 2024, https://arxiv.org/abs/2403.03206, equation 23.
    """
    return shift * places_B / (1 + (shift - 1) * places_B)


DENSITIES: Mapping[str, Density] = {
    UNIFORM_INTEGERS: uniform,
    "sigma": scheduler_table,
    "uniform": uniform,
    "sigmoid": sigmoid,
    "shift": shifted_sigmoid,
    "flux_shift": flux_shift,
}
"""By timestepSampling.

Source: kohya-ss/sd-scripts, library/flux_train_utils.py, `get_noisy_model_input_and_timesteps`.
"""
