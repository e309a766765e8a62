"""What a training would run on here, found out by asking torch.

In: among how many processes it is divided.  Out: `DeviceFacts`, which plans are resolved on.
"""

import torch

from modelgenerator.training.free_memory import free_memory
from modelgenerator.training.plan import DeviceFacts


def this_machine(processes: int = 1) -> DeviceFacts:
    """The GPU if there is one, and the fullest of those that so many processes would take.

    Processes on a CPU share its memory.
    """
    if not torch.cuda.is_available():
        free = free_memory()
        return DeviceFacts(
            kind="cpu", has_bf16=False, free_bytes=None if free is None else free // processes
        )
    count = torch.cuda.device_count()
    free_bytes = min(torch.cuda.mem_get_info(n)[0] for n in range(min(processes, count)))
    has_bf16 = torch.cuda.is_bf16_supported()
    return DeviceFacts(kind="cuda", has_bf16=has_bf16, free_bytes=free_bytes, count=count)
