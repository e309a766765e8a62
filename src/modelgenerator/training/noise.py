"""The noise that one sample is covered with.

In: what the plan says of noise, and whose visit it is.  Out: `noise_CHW`, a function of nothing
else, so that a sample's noise does not depend on its batch.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from modelgenerator.training.randomness import Purpose, Randomness


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseKind:
    """What is added to white noise."""

    offset: float = 0.0
    """How far whole channels are shifted."""
    pyramid_levels: int = 0
    """Coarser grids that are added, at most."""
    pyramid_discount: float = 0.0
    """How much weaker each of them is than the one before it."""


WHITE = NoiseKind()


def sample_noise(
    randomness: Randomness, visit: int | str, shape: tuple[int, ...], kind: NoiseKind
) -> Tensor:
    """`noise_CHW` of `shape`: white noise, then a shift of each channel, then coarser grids.

    Source: https://www.crosslabs.org/blog/diffusion-with-offset-noise; the formula is kohya's,
    n + k * randn(C, 1, 1).
    """
    noise_CHW = randomness.normal(Purpose.NOISE, visit, shape)
    if kind.offset > 0:
        noise_CHW += kind.offset * randomness.normal(Purpose.OFFSET, visit, (shape[0], 1, 1))
    if kind.pyramid_levels > 0:
        return _with_pyramid(noise_CHW, randomness, visit, kind)
    return noise_CHW


def _with_pyramid(
    noise_CHW: Tensor, randomness: Randomness, visit: int | str, kind: NoiseKind
) -> Tensor:
    """Grids that shrink by a factor of 2 to 4 a level, until a side is 1; standard deviation 1.

    The first is as fine as the noise itself.  Source: kohya-ss/sd-scripts,
    library/custom_train_functions.py, `pyramid_noise_like`; there one deviation is taken of the
    whole batch, here it is the sample's own, so that its neighbours do not matter.
    """
    channels, height, width = noise_CHW.shape
    for level in range(kind.pyramid_levels):
        factor = 2 + 2 * float(randomness.uniform(Purpose.PYRAMID, f"{visit} factor {level}"))
        high, wide = (max(1, int(side / factor**level)) for side in (height, width))
        grid_Chw = randomness.normal(Purpose.PYRAMID, f"{visit} {level}", (channels, high, wide))
        noise_CHW = noise_CHW + kind.pyramid_discount**level * _enlarged(grid_Chw, height, width)
        if min(high, wide) == 1:
            break
    return noise_CHW / torch.std(noise_CHW)


def _enlarged(grid_Chw: Tensor, height: int, width: int) -> Tensor:
    return functional.interpolate(grid_Chw[None], (height, width), mode="bilinear")[0]
