"""AdamW on flat buffers whose two running means take one byte a number instead of four.

Each block of 256 numbers is stored as one scale, its largest magnitude, and for every number the
nearest of 256 values that lie densely around zero and sparsely near one.  A step reads a piece,
computes in fp32 and stores it again.
Source: Dettmers et al. 2021, https://arxiv.org/abs/2110.02861, sections 2 and 3; block size and
values as in bitsandbytes 0.50, whose wheel brings no more to this than 125 MB for graphics cards.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from modelgenerator.training.optimizers import flat

BLOCK = 256
GPU_CHUNK = 2**24
"""Numbers per piece on a GPU: four times that in fp32 is needed meanwhile, 256 MB."""


class AdamW8bit:
    """Adam with decoupled weight decay and 8-bit states, for the memory of small graphics cards.

    The algorithm is that of `AdamW`; what it remembers is rounded after every step.
    """

    def __init__(
        self,
        values_N: Tensor,
        gradients_N: Tensor,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        self._beta1, self._beta2 = betas
        self._eps, self._weight_decay = eps, weight_decay
        blocks = -(-len(values_N) // BLOCK)
        self._mean = _Rounded.zeros(blocks, values_N.device, is_signed=True)
        self._square = _Rounded.zeros(blocks, values_N.device, is_signed=False)
        self._state = {
            "step": flat.number(0, values_N),
            "mean_codes": self._mean.codes_N,
            "mean_scales": self._mean.scales_B,
            "square_codes": self._square.codes_N,
            "square_scales": self._square.scales_B,
        }
        self._factor = flat.number(1, values_N)
        self._pieces = [
            (
                slice(piece.start // BLOCK, -(-piece.stop // BLOCK)),
                values_N[piece],
                gradients_N[piece],
            )
            for piece in flat.slices(0, len(values_N), _chunk_size(values_N))
        ]

    @property
    def effective_rate_factor(self) -> Tensor:
        return self._factor

    def state(self) -> dict[str, Tensor]:
        return dict(self._state)

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        flat.copy_into(self._state, state)

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        step = self._state["step"].add_(1)
        minus_rate = (-learning_rate / (1 - self._beta1**step)).float()
        correction = (1 - self._beta2**step).rsqrt().float()
        for blocks, value_N, gradient_N in self._pieces:
            length = len(value_N)
            mean_N, square_N = self._mean.read(blocks), self._square.read(blocks)
            mean_N[:length].lerp_(gradient_N, 1 - self._beta1)
            square_N.mul_(self._beta2)
            square_N[:length].addcmul_(gradient_N, gradient_N, value=1 - self._beta2)
            update_N = square_N[:length].sqrt().mul_(correction).add_(self._eps)
            torch.div(mean_N[:length], update_N, out=update_N)
            value_N.mul_(1 - learning_rate * self._weight_decay)
            value_N.addcmul_(update_N, minus_rate)
            self._mean.write(blocks, mean_N)
            self._square.write(blocks, square_N)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rounded:
    """Whole blocks of numbers as codes and scales."""

    codes_N: Tensor
    scales_B: Tensor
    code: "Code"
    lowest: int
    """The least code that is written.  A mean of squares that was rounded to zero would be divided
    by, and its number thrown far away: it stays at the smallest value above."""

    @staticmethod
    def zeros(blocks: int, device: torch.device, *, is_signed: bool) -> "_Rounded":
        code = Code.of(dynamic_values(is_signed=is_signed))
        return _Rounded(
            codes_N=torch.full((blocks * BLOCK,), code.zero, dtype=torch.uint8, device=device),
            scales_B=torch.zeros(blocks, device=device),
            code=code.to(device),
            lowest=0 if is_signed else 1,
        )

    def read(self, blocks: slice) -> Tensor:
        codes_N = self.codes_N[blocks.start * BLOCK : blocks.stop * BLOCK]
        numbers_N = self.code.decode(codes_N)
        numbers_N.view(-1, BLOCK).mul_(self.scales_B[blocks].unsqueeze(1))
        return numbers_N

    def write(self, blocks: slice, numbers_N: Tensor) -> None:
        """Store `numbers_N`, which are not the same afterwards."""
        numbers_BN = numbers_N.view(-1, BLOCK)
        scales_B = torch.linalg.vector_norm(numbers_BN, torch.inf, dim=1)
        self.scales_B[blocks] = scales_B
        numbers_BN.div_(scales_B.clamp(min=torch.finfo(torch.float32).tiny).unsqueeze(1))
        codes_N = self.codes_N[blocks.start * BLOCK : blocks.stop * BLOCK]
        codes_N.copy_(self.code.encode(numbers_N).clamp_(min=self.lowest))


@dataclass(frozen=True, slots=True)
class Code:
    """256 values in rising order, and the way to the nearest one without searching.

    The upper half of a number's 32 bits leads to the two values that may be nearest and to the
    middle between them: six times as fast on a CPU as a binary search.
    """

    values: Tensor
    lower: Tensor
    """By upper half: the lower of the two codes."""
    middle: Tensor
    """By upper half: above this the other one is nearer."""

    @staticmethod
    @cache
    def of(values: tuple[float, ...]) -> "Code":
        """The way to `values`, which lie far enough apart for it."""
        ordered = torch.tensor(values)
        middles = (ordered[1:] + ordered[:-1]) / 2
        halves = torch.arange(-(2**15), 2**15, dtype=torch.int32)
        ends = torch.stack([halves << 16, (halves << 16) | 0xFFFF]).view(torch.float32)
        ends = torch.where(ends.isnan(), torch.ones(()).copysign(ends), ends).clamp(-1, 1)
        lower, upper = (torch.bucketize(end, middles) for end in ends.sort(dim=0).values)
        assert bool((upper - lower <= 1).all()), "these values lie too close together"
        middle = torch.where(upper > lower, middles[lower.clamp(max=254)], torch.inf)
        return Code(ordered, lower.to(torch.uint8), middle)

    @property
    def zero(self) -> int:
        return int((self.values == 0).nonzero())

    def to(self, device: torch.device) -> "Code":
        return Code(self.values.to(device), self.lower.to(device), self.middle.to(device))

    def decode(self, codes_N: Tensor) -> Tensor:
        """fp32 numbers."""
        return torch.index_select(self.values, 0, codes_N.int())

    def encode(self, numbers_N: Tensor) -> Tensor:
        """The codes of the values nearest to fp32 `numbers_N`, which lie within [-1, 1]."""
        halves_N = (numbers_N.view(torch.int32) >> 16).add_(2**15)
        is_above_N = numbers_N > torch.index_select(self.middle, 0, halves_N)
        return torch.index_select(self.lower, 0, halves_N).add_(is_above_N)


def dynamic_values(*, is_signed: bool) -> tuple[float, ...]:
    """The 256 values of dynamic tree quantization, in rising order.

    Decade by decade towards zero half as many values as in the decade above, each in the middle of
    its share of the decade; besides them 0 and 1.
    Source: Dettmers 2015, https://arxiv.org/abs/1511.04561, section 2.1; without the sign bit as in
    Dettmers et al. 2021, https://arxiv.org/abs/2110.02861, section 2.2.
    """
    positive: list[float] = []
    for exponent in range(7):
        count = 2 ** (exponent if is_signed else exponent + 1)
        width = 0.9 / count
        middles = (0.1 + width * (place + 0.5) for place in range(count))
        positive += [middle * 10.0 ** (exponent - 6) for middle in middles]
    negative = [-value for value in positive] if is_signed else []
    return tuple(sorted([*negative, 0.0, *positive, 1.0]))


def _chunk_size(values_N: Tensor) -> int:
    """Whole blocks."""
    size = flat.chunk_size(values_N) if values_N.device.type == "cpu" else GPU_CHUNK
    return -(-size // BLOCK) * BLOCK
