"""Adafactor on flat buffers: it remembers rows and columns instead of matrices.

Needs to know where in the buffers the matrices lie; numbers that belong to none stay as they are.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from modelgenerator.training.optimizers import flat
from modelgenerator.training.optimizers.flat import FlatMatrix

SQUARE_FLOOR, SIZE_FLOOR = 1e-30, 1e-3
"""What is added to squared gradients, and the least size that a matrix counts as having."""


class AdaFactor:
    """Adam whose second moments are one number for each row and column, and without first ones.

    With `relative_step` it brings its own rate, min(0.01, 1 / sqrt(step)), which `learning_rate`
    only scales; with `scale_parameter` a matrix moves in proportion to its size, the root mean
    square of its numbers, at least 0.001.
    Source: Shazeer and Stern 2018, https://arxiv.org/abs/1804.04235, algorithms 4 and 5, with the
    presets of transformers.optimization.Adafactor, whose trajectory this one follows.
    """

    def __init__(
        self,
        values_N: Tensor,
        gradients_N: Tensor,
        matrices: Sequence[FlatMatrix],
        *,
        relative_step: bool = True,
        scale_parameter: bool = True,
        weight_decay: float = 0.0,
        clip_threshold: float = 1.0,
        decay_rate: float = 0.8,
    ) -> None:
        self._relative_step, self._scale_parameter = relative_step, scale_parameter
        self._weight_decay = weight_decay
        self._clip_threshold, self._decay_rate = clip_threshold, decay_rate
        rows = sum(matrix.shape[0] for matrix in matrices)
        columns = sum(matrix.shape[1] for matrix in matrices)
        self._state = {
            "step": flat.number(0, values_N),
            "rows": values_N.new_zeros(rows),
            "columns": values_N.new_zeros(columns),
        }
        self._matrices = list(self._views(values_N, gradients_N, matrices))

    @property
    def effective_rate_factor(self) -> Tensor:
        """Of the step that was done last; of the first one, before any."""
        if not self._relative_step:
            return torch.ones_like(self._state["step"])
        return self._state["step"].clamp(min=1).rsqrt().clamp(max=1e-2)

    def state(self) -> dict[str, Tensor]:
        return dict(self._state)

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        flat.copy_into(self._state, state)

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        self._state["step"].add_(1)
        rate = learning_rate * self.effective_rate_factor
        forgotten = self._state["step"] ** -self._decay_rate
        dtype = self._state["rows"].dtype
        rate, forgotten = rate.to(dtype), forgotten.to(dtype)
        for matrix in self._matrices:
            own_rate = rate * matrix.size() if self._scale_parameter else rate
            update_RC = matrix.update(forgotten)
            size = _root_mean_square(update_RC) / self._clip_threshold
            if self._weight_decay:
                matrix.value_RC.addcmul_(matrix.value_RC, -self._weight_decay * own_rate)
            matrix.value_RC.addcmul_(update_RC, -own_rate / size.clamp(min=1.0))

    def _views(
        self, values_N: Tensor, gradients_N: Tensor, matrices: Sequence[FlatMatrix]
    ) -> list["_Matrix"]:
        rows = self._state["rows"].split([matrix.shape[0] for matrix in matrices])
        columns = self._state["columns"].split([matrix.shape[1] for matrix in matrices])
        return [
            _Matrix(
                value_RC=matrix.of(values_N),
                gradient_RC=matrix.of(gradients_N),
                square_R=square_R,
                square_C=square_C,
            )
            for matrix, square_R, square_C in zip(matrices, rows, columns, strict=True)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Matrix:
    value_RC: Tensor
    gradient_RC: Tensor
    square_R: Tensor
    square_C: Tensor

    def size(self) -> Tensor:
        return _root_mean_square(self.value_RC).clamp(min=SIZE_FLOOR)

    def update(self, forgotten: Tensor) -> Tensor:
        """The gradient over the root of the remembered squares, before it is clipped."""
        square_RC = self.gradient_RC.square().add_(SQUARE_FLOOR)
        self.square_R.lerp_(square_RC.mean(dim=1), forgotten)
        self.square_C.lerp_(square_RC.mean(dim=0), forgotten)
        row_R = (self.square_R / self.square_R.mean()).rsqrt_()
        torch.mul(row_R.unsqueeze(1), self.square_C.rsqrt().unsqueeze(0), out=square_RC)
        return square_RC.mul_(self.gradient_RC)


def _root_mean_square(matrix_RC: Tensor) -> Tensor:
    return torch.linalg.vector_norm(matrix_RC) / math.sqrt(matrix_RC.numel())
