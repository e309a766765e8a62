"""Every random draw of a training, as a function of what it is for.

In: the seed, a purpose, a number that counts visits.  Out: numbers.  Nothing is remembered between
draws, so that a resumed training draws what an uninterrupted one would, and the noise of a sample
does not depend on which others share its batch.

Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3" (Philox).
"""

import hashlib
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import torch
from torch import Tensor


class Purpose(StrEnum):
    """What a draw is for; draws for different purposes are independent."""

    ORDER = "order"
    FLIP = "flip"
    CAPTION = "caption"
    POSTERIOR = "posterior"
    TIMESTEP = "timestep"
    NOISE = "noise"
    OFFSET = "offset"
    PYRAMID = "pyramid"
    INIT = "init"
    PRIOR = "prior"


@dataclass(frozen=True, slots=True)
class Randomness:
    """All draws that belong to `seed`."""

    seed: int

    def uniform(self, purpose: Purpose, visit: int | str, shape: tuple[int, ...] = ()) -> Tensor:
        """fp32 in [0, 1)."""
        numbers = self._generator(purpose, visit).random(shape, dtype=np.float32)
        return torch.from_numpy(np.asarray(numbers))

    def normal(self, purpose: Purpose, visit: int | str, shape: tuple[int, ...]) -> Tensor:
        """fp32 from the standard normal distribution."""
        numbers = self._generator(purpose, visit).standard_normal(shape, dtype=np.float32)
        return torch.from_numpy(np.asarray(numbers))

    def permutation(self, purpose: Purpose, visit: int | str, count: int) -> list[int]:
        """The numbers below `count`, shuffled."""
        return self._generator(purpose, visit).permutation(count).tolist()

    def _generator(self, purpose: Purpose, visit: int | str) -> np.random.Generator:
        digest = hashlib.blake2b(f"{self.seed} {purpose} {visit}".encode(), digest_size=16).digest()
        return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))
