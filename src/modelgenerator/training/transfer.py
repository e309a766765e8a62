"""Numbers on their way between this machine's memory and a device, with nobody waiting.

In: a tensor on one side.  Out: its numbers on the other.  A GPU works through a queue of its own: a
plain copy would make the host wait until that queue is empty, once for every copy.  What lies in
pinned memory can be copied in the queue's own time.
"""

import torch
from torch import Tensor


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """`tensor`, which is on the CPU, on `device`."""
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


class ToHost:
    """A copy that was ordered when this was made, and is waited for when it is read."""

    def __init__(self, numbers_N: Tensor) -> None:
        self._numbers_N, self._arrival = numbers_N, None
        if numbers_N.device.type == "cuda":
            pinned_N = torch.empty_like(numbers_N, device="cpu", pin_memory=True)
            self._numbers_N = pinned_N.copy_(numbers_N, non_blocking=True)
            self._arrival = torch.cuda.Event()
            self._arrival.record()

    def read(self) -> list[float]:
        """Waits for what was ordered up to the copy, and for nothing after it."""
        if self._arrival is not None:
            self._arrival.synchronize()
        return self._numbers_N.tolist()
