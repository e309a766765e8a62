"""How a latent is noised for training, and what the denoiser is asked to predict.

In: clean latents, noise, times.  Out: noised latents and the target.  Randomness is not made
here, and which base model asks is not known.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

TIMESTEPS = 1000


class Noising(Protocol):
    """One way from picture to noise."""

    def times(self, places_B: Tensor) -> Tensor:
        """Where `places_B` in [0, 1], from clean to noise, lie on the scale up to `TIMESTEPS`."""
        ...

    def add_noise(self, latents_BCHW: Tensor, noise_BCHW: Tensor, times_B: Tensor) -> Tensor:
        """`latents_BCHW` as they look at `times_B`."""
        ...

    def target(self, latents_BCHW: Tensor, noise_BCHW: Tensor, times_B: Tensor) -> Tensor:
        """What a perfect denoiser would answer."""
        ...

    def noise_ratio(self, times_B: Tensor) -> Tensor:
        """Share of noise over share of picture: sigma of the k-diffusion convention."""
        ...

    @property
    def scheduler_shift(self) -> float:
        """How far the base model's own table of levels is shifted towards noise; 1 is not."""
        ...


@dataclass(frozen=True, slots=True)
class _Scheduled:
    """Noise on a table of cumulative signal shares: x_t = sqrt(abar) x + sqrt(1 - abar) n.

    Source: Ho et al. 2020, https://arxiv.org/abs/2006.11239, equation 4.
    """

    alphas_cumprod_T: Tensor

    def times(self, places_B: Tensor) -> Tensor:
        """Integers from 0, almost clean, to T - 1, almost noise."""
        count = len(self.alphas_cumprod_T)
        return (places_B * count).long().clamp_(max=count - 1)

    def add_noise(self, latents_BCHW: Tensor, noise_BCHW: Tensor, times_B: Tensor) -> Tensor:
        signal_B111, noise_B111 = self._shares(times_B)
        return signal_B111 * latents_BCHW + noise_B111 * noise_BCHW

    def noise_ratio(self, times_B: Tensor) -> Tensor:
        abar_B = self.alphas_cumprod_T[times_B]
        return ((1 - abar_B) / abar_B).sqrt()

    @property
    def scheduler_shift(self) -> float:
        return 1.0

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


class FlowNoising:
    """A straight line from picture to noise: x_t = (1 - t) x + t n, and n - x is predicted.

    Source: Lipman et al. 2022, https://arxiv.org/abs/2210.02747; Esser et al. 2024,
    https://arxiv.org/abs/2403.03206, section 2.
    """

    def __init__(self, scheduler_shift: float = 3.0) -> None:
        """`scheduler_shift` is `shift` of the scheduler's configuration: 1 for FLUX.1-schnell."""
        self._scheduler_shift = scheduler_shift

    @property
    def scheduler_shift(self) -> float:
        return self._scheduler_shift

    def times(self, places_B: Tensor) -> Tensor:
        return places_B * TIMESTEPS

    def add_noise(self, latents_BCHW: Tensor, noise_BCHW: Tensor, times_B: Tensor) -> Tensor:
        return torch.lerp(latents_BCHW, noise_BCHW, (times_B / TIMESTEPS).view(-1, 1, 1, 1))

    def target(self, latents_BCHW: Tensor, noise_BCHW: Tensor, times_B: Tensor) -> Tensor:  # noqa: ARG002
        return noise_BCHW - latents_BCHW

    def noise_ratio(self, times_B: Tensor) -> Tensor:
        return times_B / (TIMESTEPS - times_B).clamp(min=1e-3)


def scheduled_noising(
    prediction_type: str, alphas_cumprod_T: Tensor, *, device: torch.device
) -> Noising:
    """The noising of a base model whose scheduler says `prediction_type`."""
    kinds = {"epsilon": EpsilonNoising, "v_prediction": VelocityNoising}
    return kinds[prediction_type](alphas_cumprod_T.to(device, torch.float32))
