"""How a latent is noised for training, and what the denoiser is asked to predict.

In: clean latents, noise, timesteps.  Out: noised latents and the target.  Randomness is not made
here, and which base model asks is not known.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

TIMESTEPS = 1000


class Noising(Protocol):
    """One way from picture to noise."""

    def timesteps(self, uniform_B: Tensor) -> Tensor:
        """The times that numbers in [0, 1) stand for, as the denoiser wants to be told."""
        ...

    def add_noise(self, latents_BCHW: Tensor, noise_BCHW: Tensor, times_B: Tensor) -> Tensor:
        """`latents_BCHW` as they look at `times_B`."""
        ...

    def target(self, latents_BCHW: Tensor, noise_BCHW: Tensor, times_B: Tensor) -> Tensor:
        """What a perfect denoiser would answer."""
        ...


@dataclass(frozen=True, slots=True)
class _Scheduled:
    """Noise on a table of cumulative signal shares: x_t = sqrt(abar) x + sqrt(1 - abar) n.

    Source: Ho et al. 2020, https://arxiv.org/abs/2006.11239, equation 4.
    """

    alphas_cumprod_T: Tensor

    def timesteps(self, uniform_B: Tensor) -> Tensor:
        """Uniform integers from 0, almost clean, to T - 1, almost noise."""
        count = len(self.alphas_cumprod_T)
        return (uniform_B * count).long().clamp_(max=count - 1)

    def add_noise(self, latents_BCHW: Tensor, noise_BCHW: Tensor, times_B: Tensor) -> Tensor:
        signal_B111, noise_B111 = self._shares(times_B)
        return signal_B111 * latents_BCHW + noise_B111 * noise_BCHW

    def _shares(self, times_B: Tensor) -> tuple[Tensor, Tensor]:
        abar_B111 = self.alphas_cumprod_T[times_B].view(-1, 1, 1, 1)
        return abar_B111.sqrt(), (1 - abar_B111).sqrt()


class EpsilonNoising(_Scheduled):
    """The denoiser predicts the noise."""

    def target(self, latents_BCHW: Tensor, noise_BCHW: Tensor, times_B: Tensor) -> Tensor:  # noqa: ARG002
        return noise_BCHW


class VelocityNoising(_Scheduled):
    """The denoiser predicts sqrt(abar) n - sqrt(1 - abar) x.

    Source: Salimans and Ho 2022, https://arxiv.org/abs/2202.00512, section 4.
    """

    def target(self, latents_BCHW: Tensor, noise_BCHW: Tensor, times_B: Tensor) -> Tensor:
        signal_B111, noise_B111 = self._shares(times_B)
        return signal_B111 * noise_BCHW - noise_B111 * latents_BCHW


def scheduled_noising(
    prediction_type: str, alphas_cumprod_T: Tensor, *, device: torch.device
) -> Noising:
    """The noising of a base model whose scheduler says `prediction_type`."""
    kinds = {"epsilon": EpsilonNoising, "v_prediction": VelocityNoising}
    return kinds[prediction_type](alphas_cumprod_T.to(device, torch.float32))
