"""Prodigy on flat buffers: Adam that finds its own step size."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from modelgenerator.training.optimizers import flat


class Prodigy:
    """Adam that finds its own learning rate: `learning_rate` only scales what it finds.

    The found rate is d; it starts at `d0` and only grows.  `decouple` takes weight decay out of
    the gradient, as AdamW does.
    Source: Mishchenko and Defazio 2023, https://arxiv.org/abs/2306.06101, algorithm 4, in the
    order of the authors' prodigyopt 1.1.2, whose trajectory this one follows.
    """

    def __init__(
        self,
        values_N: Tensor,
        gradients_N: Tensor,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decouple: bool = False,
        use_bias_correction: bool = False,
        d0: float = 1e-6,
        d_coef: float = 1.0,
        uses_kernel: bool | None = None,
    ) -> None:
        """`uses_kernel`: move by torch's fused kernel; where left out, on a CPU."""
        self._values_N, self._gradients_N = values_N, gradients_N
        self._beta1, self._beta2 = betas
        self._beta3 = math.sqrt(self._beta2)
        self._eps = eps
        self._weight_decay, self._decouple = weight_decay, decouple
        self._use_bias_correction = use_bias_correction
        self._d0, self._d_coef = d0, d_coef

        self._state: dict[str, Tensor] = {
            "step": flat.number(0, values_N),
            "d": flat.number(d0, values_N),
            "numerator": flat.number(0, values_N),
            "mean_N": torch.zeros_like(values_N),
            "square_N": torch.zeros_like(values_N),
            "s_N": torch.zeros_like(values_N),
            "start_N": values_N[: _length_without_zeros(values_N)].detach().clone(),
        }
        self._pieces = self._cut()
        on_cpu = values_N.device.type == "cpu"
        self._adam = (
            self._fused_adam() if (on_cpu if uses_kernel is None else uses_kernel) else None
        )

    @property
    def effective_rate_factor(self) -> Tensor:
        return self._state["d"]

    def state(self) -> dict[str, Tensor]:
        return dict(self._state)

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        assert state.keys() == self._state.keys(), "the state belongs to another optimizer"
        # a fresh optimizer may stand on values that are not where the training began
        self._state["start_N"] = self._values_N.new_empty(state["start_N"].shape)
        flat.copy_into(self._state, state)
        self._pieces = self._cut()

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        if learning_rate == 0:
            return  # prodigyopt neither moves nor learns in such a step
        state = self._state
        rate = state["d"] * learning_rate * self._bias_correction()
        correlation, s_norm = self._gather(rate)

        # all gradients zero so far: nothing to learn from, and nothing may change
        has_moved = s_norm > 0
        numerator = self._beta3 * state["numerator"] + correlation
        estimate = torch.where(has_moved, self._d_coef * numerator / s_norm, state["d"])
        state["d"].copy_(torch.maximum(state["d"], estimate))
        state["numerator"].copy_(torch.where(has_moved, numerator, state["numerator"]))
        state["step"].add_(has_moved)
        self._move(torch.where(has_moved, rate, 0.0))

    def _bias_correction(self) -> Tensor | float:
        if not self._use_bias_correction:
            return 1.0
        steps = self._state["step"] + 1
        return (1 - self._beta2**steps).sqrt() / (1 - self._beta1**steps)

    def _gather(self, rate: Tensor) -> tuple[Tensor, Tensor]:
        """Update s and scale the gradients by d; answer what the next d is estimated from."""
        d = self._state["d"]
        weight = d / self._d0 * rate
        d_, weight_ = d.to(self._values_N.dtype), weight.to(self._values_N.dtype)
        correlation, s_norm = torch.zeros_like(d), torch.zeros_like(d)
        for piece in self._pieces:
            gradient_N = piece.gradient_N
            if self._weight_decay and not self._decouple:
                gradient_N.add_(piece.value_N, alpha=self._weight_decay)
            correlation += piece.correlation()
            piece.s_N.mul_(self._beta3).addcmul_(gradient_N, weight_)
            # on a CPU a fifth of the time that torch's 1-norm takes
            s_norm += torch.abs(piece.s_N, out=piece.scratch_N).sum()
            gradient_N.mul_(d_)
        return weight * correlation, s_norm

    def _move(self, rate: Tensor) -> None:
        if self._weight_decay and self._decouple:
            # 1 - decay would lose what is small in fp32
            minus_decay = (-self._weight_decay * rate).to(self._values_N.dtype)
            for piece in self._pieces:
                piece.value_N.addcmul_(piece.value_N, minus_decay)
        if self._adam is None:
            self._move_by_pieces(rate)
        else:
            group = self._adam.param_groups[0]
            group["lr"], group["eps"] = rate.item(), self._state["d"].item() * self._eps
            self._adam.step()

    def _move_by_pieces(self, rate: Tensor) -> None:
        dtype = self._values_N.dtype
        offset, minus_rate = (self._state["d"] * self._eps).to(dtype), -rate.to(dtype)
        for piece in self._pieces:
            gradient_N, scratch_N = piece.gradient_N, piece.scratch_N
            piece.mean_N.lerp_(gradient_N, 1 - self._beta1)
            piece.square_N.mul_(self._beta2)
            piece.square_N.addcmul_(gradient_N, gradient_N, value=1 - self._beta2)
            torch.sqrt(piece.square_N, out=scratch_N).add_(offset)
            torch.div(piece.mean_N, scratch_N, out=scratch_N)
            piece.value_N.addcmul_(scratch_N, minus_rate)

    def _fused_adam(self) -> torch.optim.Adam:
        """torch's kernel for the last third of a step: one pass instead of seven.

        It takes its numbers from Python, which only on a CPU does not wait for them.
        """
        parameter = nn.Parameter(self._values_N.detach())  # shares the memory
        parameter.grad = self._gradients_N
        adam = torch.optim.Adam([parameter], betas=(self._beta1, self._beta2), fused=True)
        adam.state[parameter] = {
            "step": torch.tensor(1e9),  # so late that it corrects no bias: that is in the rate
            "exp_avg": self._state["mean_N"],
            "exp_avg_sq": self._state["square_N"],
        }
        return adam

    def _cut(self) -> list["_ProdigyPiece"]:
        """Views on the buffers; no piece lies half where a start is stored and half where not."""
        state, size = self._state, flat.chunk_size(self._values_N)
        scratch_N = torch.empty_like(self._values_N[:size])
        stored = len(state["start_N"])
        return [
            _ProdigyPiece(
                value_N=self._values_N[piece],
                gradient_N=self._gradients_N[piece],
                mean_N=state["mean_N"][piece],
                square_N=state["square_N"][piece],
                s_N=state["s_N"][piece],
                start_N=state["start_N"][piece] if piece.start < stored else None,
                scratch_N=scratch_N[: piece.stop - piece.start],
            )
            for piece in (
                *flat.slices(0, stored, size),
                *flat.slices(stored, len(self._values_N), size),
            )
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _ProdigyPiece:
    value_N: Tensor
    gradient_N: Tensor
    mean_N: Tensor
    square_N: Tensor
    s_N: Tensor
    start_N: Tensor | None  # None: zero, as all LoRA ups are at first
    scratch_N: Tensor

    def correlation(self) -> Tensor:
        """<gradient, start - value>"""
        if self.start_N is None:
            return -torch.dot(self.gradient_N, self.value_N)
        torch.sub(self.start_N, self.value_N, out=self.scratch_N)
        return torch.dot(self.gradient_N, self.scratch_N)


def _length_without_zeros(values_N: Tensor) -> int:
    """Up to where there is something but zeros, rounded up to whole pieces."""
    piece = 2**16
    length = len(values_N)
    while length > 0 and not values_N[max(0, length - piece) : length].any():
        length = max(0, length - piece)
    return length
