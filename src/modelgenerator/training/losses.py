"""How far a prediction is from its target.

In: two tensors of one shape, fp32.  Out: an elementwise loss of that shape.
"""

from collections.abc import Callable, Mapping

from torch import Tensor

Loss = Callable[[Tensor, Tensor], Tensor]


def squared(prediction: Tensor, target: Tensor) -> Tensor:
    """The square of the difference."""
    return (prediction - target).square()


LOSSES: Mapping[str, Loss] = {"L2": squared}
