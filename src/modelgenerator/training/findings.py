"""What only the training itself finds out, said so that a person can act on it.

In: names and numbers that the loop has.  Out: notices, or none where all is well.
"""

from collections.abc import Mapping

from modelgenerator.notices import Notice
from modelgenerator.settings import OptimizerName
from modelgenerator.training.optimizer_traits import OPTIMIZER_TRAITS

PATIENCE = 100
"""Steps after which a step size that is found should have grown."""

_JSON_NAMES = {"d0": "d0", "d_coef": "dCoef"}


def cut_rank(rank: int, cut_layers: Mapping[str, int], layers: int) -> Notice | None:
    """That `cut_layers` (name -> rank) of `layers` cannot have `rank`."""
    if not cut_layers:
        return None
    message = (
        f"{len(cut_layers)} of {layers} layers have a side smaller than {rank}: there the rank is "
        "that side, which loses nothing."
    )
    return Notice("info", "networkDim", message)


def stuck_step_size(optimizer: str, *, step: int, d: float, first_d: float) -> Notice | None:
    """That d did not grow in the first `PATIENCE` steps; said once, after the last of them."""
    traits = OPTIMIZER_TRAITS[OptimizerName(optimizer)]
    if not traits.finds_step_size or step != PATIENCE or d != first_d:
        return None
    cure = " or ".join(_JSON_NAMES[setting] for setting in traits.step_size_settings)
    message = (
        f"{optimizer} has not found a larger step size than {d:g} in {step} steps, so hardly "
        f"anything is learnt. Stop, raise {cure}, and train again."
    )
    return Notice("warning", "d0", message)


def no_room_for_samples(epoch: int, side: int) -> Notice:
    """That drawing ran out of memory; the training does not stop for that."""
    message = (
        f"There is not enough memory to draw the samples of epoch {epoch} at {side} x {side}; the "
        "training goes on without them. Free some memory, lower resolution, or leave sampleEvery "
        "out and draw from the LoRA files that saveEvery leaves."
    )
    return Notice("warning", "sampleEvery", message)
