"""What a training would run on here, found out by asking torch.

In: nothing.  Out: `DeviceFacts`, which plans are resolved on.
"""

import torch

from modelgenerator.training.free_memory import free_memory
from modelgenerator.training.plan import DeviceFacts


def this_machine() -> DeviceFacts:
    """The GPU if there is one."""
    if not torch.cuda.is_available():
        return DeviceFacts(kind="cpu", has_bf16=False, free_bytes=free_memory())
    has_bf16, free_bytes = torch.cuda.is_bf16_supported(), torch.cuda.mem_get_info()[0]
    return DeviceFacts(kind="cuda", has_bf16=has_bf16, free_bytes=free_bytes)
