"""The processes that train one LoRA together, as the loop sees them.

In: the batches of a step, and numbers of this process.  Out: the part of the batches that this
process learns from, and the sums over all processes.  What it costs to add them up, and through
what, is known to `parallel`; most trainings are one process, which has it all.

Every process holds the whole LoRA and the whole optimizer, and makes every step with the gradient
of the whole step: only the pictures are divided, and with them the work and its memory.
"""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from torch import Tensor

Visit = TypeVar("Visit")
Batches = Sequence[Sequence[Visit]]
"""Those of one optimizer step, each of one bucket."""


class Ranks(Protocol):
    """All processes of a training, seen from one of them."""

    def part_of(self, batches: Batches[Visit]) -> Batches[Visit]:
        """What this process learns from; none of the batches is empty."""
        ...

    def add_up_(self, *tensors: Tensor) -> None:
        """Put the sums over all processes into `tensors`, which lie alike in each of them."""
        ...

    def require_same(self, values_N: Tensor) -> None:
        """Raises TrainingProcessFailed: the processes hold other numbers."""
        ...

    def tell_encoded(self) -> None:
        """Let those go on that `wait_until_encoded`."""
        ...

    def wait_until_encoded(self) -> None:
        """Until the first process has put into the cache what it encoded."""
        ...


class Alone:
    """The only process of its training."""

    def part_of(self, batches: Batches[Visit]) -> Batches[Visit]:
        return batches

    def add_up_(self, *tensors: Tensor) -> None:
        pass

    def require_same(self, values_N: Tensor) -> None:
        pass

    def tell_encoded(self) -> None:
        pass

    def wait_until_encoded(self) -> None:
        pass


ALONE = Alone()


def parts(batches: Batches[Visit], count: int) -> list[list[Sequence[Visit]]]:
    """For each of `count` processes its part of every batch, as even as can be.

    What is left over of a batch goes to those who have least of the step so far.
    """
    loads, found = [0] * count, [list[Sequence[Visit]]() for _ in range(count)]
    for batch in batches:
        each, left_over = divmod(len(batch), count)
        by_load = sorted(range(count), key=loads.__getitem__)
        start = 0
        for rank in range(count):
            size = each + (by_load.index(rank) < left_over)
            if size:
                found[rank].append(batch[start : start + size])
            start, loads[rank] = start + size, loads[rank] + size
    return found
