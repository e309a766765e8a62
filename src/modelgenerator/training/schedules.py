"""How the learning rate changes over a training.

In: the number of the optimizer step, counted from 0, and the number of all steps.  Out: the factor
on the learning rate, 1 at the first step.  Knows no optimizer and no epochs.
"""

import math
from collections.abc import Callable

Schedule = Callable[[int, int], float]
"""(step, total steps) -> factor on the learning rate."""

ANNEALING_FLOOR = 0.01


def constant(step: int, total: int) -> float:
    """The same learning rate from the first step to the last."""
    assert 0 <= step < total
    return 1.0


def cosine(step: int, total: int) -> float:
    """Half a cosine wave down to 0, which the step after the last would have.

    Source: Loshchilov and Hutter 2016, https://arxiv.org/abs/1608.03983, equation 5.
    """
    assert 0 <= step < total
    return (1 + math.cos(math.pi * step / total)) / 2


def cosine_annealing(step: int, total: int) -> float:
    """Half a cosine wave down to 1 % of the learning rate, so that the last steps still learn.

    Source: Loshchilov and Hutter 2016, https://arxiv.org/abs/1608.03983, equation 5, with
    eta_min = 0.01 and one period.
    """
    return ANNEALING_FLOOR + (1 - ANNEALING_FLOOR) * cosine(step, total)
