"""The processes of a training as torch connects them: gloo on CPUs, NCCL on GPUs.

In: the number of this process, and a file through which they find each other.  Out: `Ranks`.  They
are on one machine and speak over its loopback, or from GPU to GPU.
"""

from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed import FileStore, Store  # pyright: ignore[reportPrivateImportUsage]

from modelgenerator.errors import TrainingProcessFailed
from modelgenerator.training.out_of_memory import is_out_of_memory
from modelgenerator.training.ranks import Batches, Visit, parts

BACKENDS = {"cpu": "gloo", "cuda": "nccl"}
"""By type of device."""
PATIENCE = timedelta(days=7)
"""For a process that lives and says nothing.

The others wait while the first encodes, validates and draws all samples, and it waits while they
draw prior pictures: hours, where pictures are large and many.  Nothing rests on its end: whoever
started them sees at once that one died, and the service's watchdog that nothing goes on.
"""
_ENCODED = "encoded"


class LostContactError(Exception):
    """Another process is gone, or stands still."""


class Group:
    """`size` processes, of which this is number `rank`."""

    def __init__(self, group: dist.ProcessGroup, store: Store, rank: int, size: int) -> None:
        self._group, self._store, self.rank, self._size = group, store, rank, size

    def part_of(self, batches: Batches[Visit]) -> Batches[Visit]:
        return parts(batches, self._size)[self.rank]

    def add_up_(self, *tensors: Tensor) -> None:
        """Raises LostContactError."""
        for tensor in tensors:
            self._reduce_(tensor.view(-1), dist.ReduceOp(dist.ReduceOp.SUM))

    def require_same(self, values_N: Tensor) -> None:
        """Raises LostContactError too."""
        # of bits: a sum of the numbers themselves would round small differences away
        seal = values_N.view(torch.int32).sum(dtype=torch.int64)
        both_2 = torch.stack([seal, -seal])
        self._reduce_(both_2, dist.ReduceOp(dist.ReduceOp.MAX))
        highest, minus_lowest = both_2.tolist()
        if highest != -minus_lowest:
            raise TrainingProcessFailed(
                "The processes that train together have come to different numbers, which happens "
                "when their GPUs are of different kinds or one is faulty."
            )

    def tell_encoded(self) -> None:
        """Raises LostContactError."""
        with _contact():
            self._store.set(_ENCODED, "yes")

    def wait_until_encoded(self) -> None:
        """Raises LostContactError."""
        with _contact():
            self._store.wait([_ENCODED], PATIENCE)

    def _reduce_(self, tensor_N: Tensor, operation: dist.ReduceOp) -> None:
        options = dist.AllreduceOptions()
        options.reduceOp = operation
        with _contact():
            self._group.allreduce([tensor_N], options).wait()


@contextmanager
def _contact() -> Generator[None, None, None]:
    """What torch raises of the others is a lost contact; what it raises of this process stays."""
    try:
        yield
    except RuntimeError as error:
        if is_out_of_memory(error) or isinstance(error, torch.AcceleratorError):
            raise
        said = str(error).splitlines() or [type(error).__name__]
        raise LostContactError(said[0]) from error


def joined(meeting: Path, rank: int, size: int, device: torch.device) -> Group:
    """This process among the others, who all must come; it stays until it ends.

    Raises:
        LostContactError: one of them has ended before.
    """
    with _contact():
        store = FileStore(str(meeting), size)
        store.set_timeout(PATIENCE)  # whose own is five minutes: one may load for longer
        dist.init_process_group(
            BACKENDS[device.type],
            store=store,
            rank=rank,
            world_size=size,
            timeout=PATIENCE,
            # NCCL connects now, and not in the middle of the first step
            device_id=torch.device("cuda", 0) if device.type == "cuda" else None,
        )
    group = dist.group.WORLD
    assert group is not None, "it was made just now"
    return Group(group, store, rank, size)
