"""Gradients that survive half precision.

In: a loss, and the flat gradients of the LoRA.  Out: the loss multiplied before the way back, the
gradients divided after it.  It knows no optimizer and no base model.
"""

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor


class LossScaler(Protocol):
    """How gradients are kept from vanishing in the compute dtype."""

    def scaled(self, loss: Tensor) -> Tensor:
        """What to call `backward` on."""
        ...

    def unscale_(self, gradients_N: Tensor) -> bool:
        """Undo the scaling; False when the gradients overflowed and this step must be skipped."""
        ...

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint must hold."""
        ...

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on where `state` was taken."""
        ...


class NoScaling:
    """For fp32 and bf16, whose range is wide enough."""

    def scaled(self, loss: Tensor) -> Tensor:
        return loss

    def unscale_(self, gradients_N: Tensor) -> bool:  # noqa: ARG002
        return True

    def state(self) -> dict[str, Tensor]:
        return {}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        assert not state, "this state belongs to a half precision training"


class DynamicScaling:
    """For fp16: as large a factor as does not overflow.

    Halved after an overflow, doubled after 2000 steps without one.  Gradients that overflow even
    without a factor are not excused: more skipping would not mend them.
    Source: Micikevicius et al. 2017, https://arxiv.org/abs/1710.03740, section 3.2.
    """

    PATIENCE = 2000

    def __init__(self, factor: float = 65_536.0) -> None:
        self._factor = factor
        self._good_steps = 0

    def scaled(self, loss: Tensor) -> Tensor:
        return loss * self._factor

    def unscale_(self, gradients_N: Tensor) -> bool:
        gradients_N.div_(self._factor)
        if self._factor > 1 and not bool(torch.isfinite(gradients_N).all()):
            self._factor = max(1.0, self._factor / 2)
            self._good_steps = 0
            return False
        self._good_steps += 1
        if self._good_steps == self.PATIENCE:
            self._factor *= 2
            self._good_steps = 0
        return True

    def state(self) -> dict[str, Tensor]:
        return {"factor": torch.tensor(self._factor), "good_steps": torch.tensor(self._good_steps)}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        self._factor = float(state["factor"])
        self._good_steps = int(state["good_steps"])


def loss_scaler(compute_dtype: str) -> LossScaler:
    """The scaler that a plan's compute dtype needs."""
    return DynamicScaling() if compute_dtype == "fp16" else NoScaling()
