"""What every optimizer here is, and how it walks over flat buffers.

In: `values_N` and `gradients_N`, all trainable numbers of a LoRA and their gradients.  Out:
`values_N`, changed in place.  Knows no layers, no settings, no schedule: the learning rate comes
with every step.

Nothing waits for a GPU: what a step decides (Prodigy's d) stays in 0-dim tensors on the device.  On
a CPU the buffer is walked in pieces that stay in the cache; a GPU takes it whole.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

CPU_CHUNK = 2**17
"""Numbers per thread and piece on a CPU, half a megabyte for each buffer that is touched.  Larger
pieces fall out of the cache, smaller ones pay more for the calls than for the numbers."""


class FlatOptimizer(Protocol):
    """One way of turning gradients into better values."""

    def step(self, learning_rate: float) -> None:
        """Change the values by the gradients, which may be changed too."""
        ...

    @property
    def effective_rate_factor(self) -> Tensor:
        """What the optimizer itself puts on the learning rate: 0-dim, on the device."""
        ...

    def state(self) -> dict[str, Tensor]:
        """All that the next step depends on, the values apart; not a copy."""
        ...

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on where the optimizer that gave `state` stood."""
        ...


@dataclass(frozen=True, slots=True)
class FlatMatrix:
    """Where in a flat buffer a matrix lies."""

    start: int
    shape: tuple[int, int]

    def of(self, buffer_N: Tensor) -> Tensor:
        """The matrix as a view into `buffer_N`."""
        return buffer_N[self.start : self.start + math.prod(self.shape)].view(self.shape)


@torch.no_grad()
def clip_(gradients_N: Tensor, max_norm: float = 1.0) -> Tensor:
    """Shorten the gradients to the Euclidean length `max_norm`; answer their length before.

    Source: the formula of torch.nn.utils.clip_grad_norm_.
    """
    norm = torch.linalg.vector_norm(gradients_N)
    factor = (max_norm / (norm + 1e-6)).clamp(max=1.0)
    if gradients_N.device.type != "cpu" or factor < 1:  # asking a CPU costs less than multiplying
        gradients_N.mul_(factor)
    return norm


def number(value: float, like: Tensor) -> Tensor:
    """A 0-dim fp64 tensor on the device of `like`: small sums must not lose digits."""
    return torch.full((), value, dtype=torch.float64, device=like.device)


def slices(begin: int, end: int, size: int) -> Iterator[slice]:
    """From `begin` to `end` in steps of `size`, the last one may be shorter."""
    for start in range(begin, end, size):
        yield slice(start, min(start + size, end))


def chunk_size(values_N: Tensor) -> int:
    """How many numbers are walked at once."""
    if values_N.device.type != "cpu":
        return len(values_N)
    return CPU_CHUNK * torch.get_num_threads()


def copy_into(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> None:
    """Take over a state of the same names and shapes."""
    assert own.keys() == given.keys(), "the state belongs to another optimizer"
    for name, tensor in own.items():
        assert tensor.shape == given[name].shape, name
        tensor.copy_(given[name])
