"""AdamW on flat buffers: torch's own fused kernel."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from modelgenerator.training.optimizers import flat


class AdamW:
    """Adam with decoupled weight decay: torch's fused kernel on the flat buffer.

    Source: Loshchilov and Hutter 2017, https://arxiv.org/abs/1711.05101, algorithm 2.
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
        parameter = nn.Parameter(values_N.detach())  # shares the memory of values_N
        parameter.grad = gradients_N
        self._optimizer = torch.optim.AdamW(
            [parameter], betas=betas, eps=eps, weight_decay=weight_decay, fused=True
        )
        self._state: dict[str, Tensor] = {
            "step": torch.zeros((), device=values_N.device),
            "exp_avg": torch.zeros_like(values_N),
            "exp_avg_sq": torch.zeros_like(values_N),
        }
        self._optimizer.state[parameter] = self._state
        self._factor = flat.number(1, values_N)

    @property
    def effective_rate_factor(self) -> Tensor:
        return self._factor

    def step(self, learning_rate: float) -> None:
        self._optimizer.param_groups[0]["lr"] = learning_rate
        self._optimizer.step()

    def state(self) -> dict[str, Tensor]:
        return dict(self._state)

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        flat.copy_into(self._state, state)
