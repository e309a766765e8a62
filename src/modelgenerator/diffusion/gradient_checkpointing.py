"""Trade speed for memory: forget what happened inside layers, and compute it again.

In: a denoiser of diffusers.  Out: the same one, which until the `with` block ends forgets what
happened inside its layers and computes it again on the way back.  The numbers are the same.
"""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from torch import nn


@contextmanager
def gradient_checkpointing(denoiser: nn.Module, *, enabled: bool) -> Generator[None, None, None]:
    """Does nothing unless `enabled`."""
    if not enabled:
        yield
        return
    # diffusers' annotations hide what every of its denoisers has
    switch: Any = denoiser
    switch.enable_gradient_checkpointing()
    try:
        yield
    finally:
        switch.disable_gradient_checkpointing()
