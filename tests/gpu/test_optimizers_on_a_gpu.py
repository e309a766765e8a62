"""What only a real device shows: nothing in a step waits for it, and it ends where the CPU does."""

import pytest
import torch
from torch import Tensor

from modelgenerator.training.optimizers.by_name import OPTIMIZERS
from modelgenerator.training.optimizers.flat import FlatMatrix, FlatOptimizer

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
SHAPE, STEPS, RATES = (512, 40), 30, {"AdamW": 1e-3, "AdamW8bit": 1e-3}


def steps_of(name: str, device: str) -> tuple[FlatOptimizer, Tensor, Tensor]:
    g = torch.Generator().manual_seed(6)
    values_N = torch.randn(SHAPE[0] * SHAPE[1], generator=g).to(device)
    gradients_N = torch.zeros_like(values_N)
    matrices = [FlatMatrix(0, SHAPE)]
    return OPTIMIZERS[name](values_N, gradients_N, matrices), values_N, gradients_N


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_does_not_wait_for_the_device(name: str):
    optimizer, values_N, gradients_N = steps_of(name, "cuda")
    optimizer.step(RATES.get(name, 1.0))  # the first one may compile and allocate
    gradients_N.copy_(values_N)
    torch.cuda.set_sync_debug_mode("error")
    try:
        optimizer.step(RATES.get(name, 1.0))
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_it_goes_where_the_cpu_goes(name: str):
    ends: list[Tensor] = []
    for device in ("cpu", "cuda"):
        optimizer, values_N, gradients_N = steps_of(name, device)
        noise = torch.Generator().manual_seed(7)
        for _ in range(STEPS):
            gradients_N.copy_(torch.randn(len(values_N), generator=noise))
            optimizer.step(RATES.get(name, 1.0))
        ends.append(values_N.cpu())
    torch.testing.assert_close(ends[1], ends[0], rtol=1e-3, atol=1e-4)
