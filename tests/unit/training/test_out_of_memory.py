import pytest
import torch

from modelgenerator.training.out_of_memory import give_back_free_memory, is_out_of_memory


def test_torchs_own_refusal_on_a_cpu_is_recognized():
    with pytest.raises(RuntimeError) as refusal:
        torch.empty(10**16)
    assert is_out_of_memory(refusal.value)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory."), MemoryError()])
def test_a_full_gpu_and_a_full_python_are_recognized(error: Exception):
    assert is_out_of_memory(error)


@pytest.mark.parametrize(
    "error", [RuntimeError("shapes do not match"), ValueError("DefaultCPUAllocator")]
)
def test_other_errors_are_not_excused(error: Exception):
    assert not is_out_of_memory(error)


def test_without_a_gpu_there_is_nothing_to_give_back():
    give_back_free_memory()
