"""The noise that one sample is covered with.

In: what the plan says of noise, and whose visit it is.  Out: `noise_CHW`, a function of nothing
else, so that a sample's noise does not depend on its batch.
"""

from torch import Tensor

from modelgenerator.training.randomness import Purpose, Randomness


def sample_noise(
    randomness: Randomness, visit: int | str, shape: tuple[int, ...], *, offset: float
) -> Tensor:
    """White noise, and with `offset` > 0 a shift of each whole channel.

    Source: https://www.crosslabs.org/blog/diffusion-with-offset-noise; the formula is kohya's,
    n + k * randn(C, 1, 1).
    """
    noise_CHW = randomness.normal(Purpose.NOISE, visit, shape)
    if offset > 0:
        noise_CHW += offset * randomness.normal(Purpose.OFFSET, visit, (shape[0], 1, 1))
    return noise_CHW
