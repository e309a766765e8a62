"""When memory runs out in the middle of something that can be left undone.

In: what was raised.  Out: whether memory was the reason.  What is given up then is not known here.
"""

import torch

_CPU_ALLOCATOR = "DefaultCPUAllocator"
"""torch's CPU allocator has no error of its own, but says its name.

Source: pytorch/pytorch, c10/core/impl/alloc_cpu.cpp.
"""


def is_out_of_memory(error: BaseException) -> bool:
    """On a GPU, in torch on a CPU, or in Python itself."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and _CPU_ALLOCATOR in str(error)
    )


def give_back_free_memory() -> None:
    """What torch holds on a GPU and nobody uses; without a GPU it holds nothing."""
    torch.cuda.empty_cache()
