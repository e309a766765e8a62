"""The optimizers by the names that plans use.

In: values, gradients, where the matrices lie, and the arguments that a plan resolved.  Out: a
`FlatOptimizer`.
"""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from modelgenerator.training.optimizers.adafactor import AdaFactor
from modelgenerator.training.optimizers.adamw import AdamW
from modelgenerator.training.optimizers.adamw_8bit import AdamW8bit
from modelgenerator.training.optimizers.dadaptation import DAdaptAdam, DAdaptAdamPreprint
from modelgenerator.training.optimizers.flat import FlatMatrix, FlatOptimizer
from modelgenerator.training.optimizers.prodigy import Prodigy


def _without_matrices(optimizer: Callable[..., FlatOptimizer]) -> Callable[..., FlatOptimizer]:
    """For the optimizers to which all numbers are alike."""

    def make(
        values_N: Tensor,
        gradients_N: Tensor,
        _matrices: Sequence[FlatMatrix],
        **arguments: Any,
    ) -> FlatOptimizer:
        return optimizer(values_N, gradients_N, **arguments)

    return make


OPTIMIZERS: dict[str, Callable[..., FlatOptimizer]] = {
    "Prodigy": _without_matrices(Prodigy),
    "AdaFactor": AdaFactor,
    "AdamW": _without_matrices(AdamW),
    "AdamW8bit": _without_matrices(AdamW8bit),
    "DAdaptation": _without_matrices(DAdaptAdamPreprint),
    "DAdaptAdam": _without_matrices(DAdaptAdam),
}
"""By name: (values, gradients, matrices, **arguments) -> optimizer."""
