"""What fails between the processes of a training is told from what fails in one of them."""

from datetime import timedelta

import pytest
import torch
import torch.distributed as dist

from modelgenerator.training.parallel import group as groups
from modelgenerator.training.parallel.group import Group, LostContactError


class Failing:
    """A connection whose sums fail with `error`."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def allreduce(self, *_of: object) -> None:
        raise self._error


def added_up(error: Exception) -> None:
    Group(Failing(error), dist.HashStore(), 0, 2).add_up_(torch.ones(3))


def test_a_connection_that_breaks_is_a_lost_contact():
    with pytest.raises(LostContactError, match=r"^Connection closed by peer$"):
        added_up(RuntimeError("Connection closed by peer\nand where in the library"))


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
        torch.AcceleratorError("CUDA error: an illegal memory access was encountered", 700),
    ],
    ids=["gpu", "cpu", "fault"],
)
def test_memory_that_runs_out_and_a_faulty_gpu_are_told_as_such(error: Exception):
    with pytest.raises(type(error)) as raised:
        added_up(error)
    assert raised.value is error


def test_a_store_that_fails_is_a_lost_contact(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(groups, "PATIENCE", timedelta(milliseconds=10))
    with pytest.raises(LostContactError):
        Group(Failing(RuntimeError()), dist.HashStore(), 1, 2).wait_until_encoded()


def test_processes_wait_for_each_other_for_longer_than_any_sampling_takes():
    assert timedelta(days=1) <= groups.PATIENCE
    # gloo counts milliseconds in 32 bits
    assert timedelta(milliseconds=2**31) > groups.PATIENCE
