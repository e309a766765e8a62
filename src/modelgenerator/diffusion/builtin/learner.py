"""One optimizer step over several modules, in one process or in several that share the work.

In: modules, each with its own share of the learning rate.  Out: updated weights, a moving average
of them, checkpoints.  It knows nothing of pictures, captions or losses.

Two one-thread processes train small networks faster than one process with two threads (measured,
docs/reference/embedded-base-model.md), so a batch is split between replicas and the gradients
are averaged.
"""

import logging
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import torch
import torch.distributed as dist
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.multiprocessing.spawn import spawn

from modelgenerator.parent_process import end_with

LOG_FORMAT = "%(asctime)s %(message)s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """Which of the processes this one is, and what it computes on."""

    rank: int
    count: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this is the one that logs and writes files."""
        return self.rank == 0


def in_replicas(work: Callable[[Replica, Path], None], folder: Path, *, count: int) -> None:
    """Run `work` in `count` processes of one thread each, or once here on a GPU.

    However this process ends, its replicas end too.
    """
    if torch.cuda.is_available():
        work(Replica(rank=0, count=1, device=torch.device("cuda")), folder)
        return
    if count == 1:
        torch.set_num_threads(1)
        work(Replica(rank=0, count=1, device=torch.device("cpu")), folder)
        return
    os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    meeting_point = folder / f"replicas-{os.getpid()}"
    meeting_point.unlink(missing_ok=True)
    arguments = (work, folder, count, str(meeting_point), os.getpid())
    replicas: Any = spawn(_replica, args=arguments, nprocs=count, join=False)
    try:
        while not replicas.join():
            pass
    finally:
        for process in replicas.processes:
            process.terminate()
        for process in replicas.processes:
            process.join()
        meeting_point.unlink(missing_ok=True)


def _replica(
    rank: int,
    work: Callable[[Replica, Path], None],
    folder: Path,
    count: int,
    meeting_point: str,
    parent: int,
) -> None:
    _end_with(parent)
    torch.set_num_threads(1)
    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT)
    dist.init_process_group(
        "gloo", init_method=f"file://{meeting_point}", rank=rank, world_size=count
    )
    work(Replica(rank=rank, count=count, device=torch.device("cpu")), folder)
    dist.destroy_process_group()
    # the work is done and on the disk; taking torch's threads down with the interpreter has aborted
    # a replica now and then ("terminate called without an active exception")
    logging.shutdown()
    os._exit(0)


def _end_with(parent: int) -> None:
    """Leave it to `parent` when this process ends; also when it is killed, on Linux.

    Ctrl-C reaches every process of a terminal at once, and the parent tells its replicas.  torch
    asks the kernel for SIGINT at the parent's death, which a process that was started in the
    background ignores.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    end_with(parent)


def _leave(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(1)


class Learner:
    """AdamW over the weights of several modules, laid out in one buffer per module.

    `parts` pairs each module with its share of the learning rate.
    """

    def __init__(
        self, parts: Sequence[tuple[nn.Module, float]], *, replica: Replica, average: float
    ) -> None:
        self.replica = replica
        self.average = average
        self.step_count = 0
        self._modules = [module for module, _ in parts]
        self._shares = [share for _, share in parts]
        self._values = [_flattened(module) for module, _ in parts]
        self._averages = [values.detach().clone() for values in self._values]
        self._optimizer = torch.optim.AdamW(
            [{"params": [values]} for values in self._values],
            betas=(0.9, 0.99),
            weight_decay=0.0,
            fused=True,
        )

    def step(self, loss: Tensor, *, learning_rate: float) -> None:
        """One update from the gradient of `loss`, averaged over the replicas."""
        for values in self._values:
            assert values.grad is not None
            values.grad.zero_()
        loss.backward()
        gradients = [values.grad for values in self._values if values.grad is not None]
        if self.replica.count > 1:
            for gradient in gradients:
                dist.all_reduce(gradient)
                gradient /= self.replica.count
        nn.utils.clip_grad_norm_(self._values, 1.0)
        for group, share in zip(self._optimizer.param_groups, self._shares, strict=True):
            group["lr"] = learning_rate * share
        self._optimizer.step()
        self.step_count += 1
        keep = min(self.average, (1 + self.step_count) / (10 + self.step_count))
        with torch.no_grad():
            for mean, values in zip(self._averages, self._values, strict=True):
                mean.lerp_(values, 1 - keep)

    def load_averages_into(self, modules: Sequence[nn.Module]) -> None:
        """Give `modules`, twins of the ones that learn, the moving average of the weights."""
        for mean, module in zip(self._averages, modules, strict=True):
            offset = 0
            with torch.no_grad():
                for parameter in module.parameters():
                    size = parameter.numel()
                    parameter.copy_(_shaped(mean[offset : offset + size], parameter))
                    offset += size

    def save(self, path: Path) -> None:
        """Write everything that `load` needs to go on as if nothing had happened."""
        tensors: dict[str, Tensor] = {"step": torch.tensor(self.step_count)}
        for part, (values, mean) in enumerate(zip(self._values, self._averages, strict=True)):
            state = self._optimizer.state[values]
            tensors |= {
                f"{part}.values": values.detach(),
                f"{part}.average": mean,
                f"{part}.first": state["exp_avg"],
                f"{part}.second": state["exp_avg_sq"],
                f"{part}.count": state["step"],
            }
        partial = path.with_suffix(".partial")
        save_file(tensors, partial)
        partial.replace(path)

    def load(self, path: Path) -> None:
        """Go on from what `save` wrote."""
        tensors = load_file(path, device=str(self.replica.device))
        self.step_count = int(tensors["step"])
        with torch.no_grad():
            for part, (values, mean) in enumerate(zip(self._values, self._averages, strict=True)):
                values.copy_(tensors[f"{part}.values"])
                mean.copy_(tensors[f"{part}.average"])
                self._optimizer.state[values] = {
                    "exp_avg": tensors[f"{part}.first"],
                    "exp_avg_sq": tensors[f"{part}.second"],
                    "step": tensors[f"{part}.count"].cpu(),
                }


def falling(step: int, steps: int, *, peak: float, warm_up: int, flat: float) -> float:
    """A learning rate: up over `warm_up` steps, `peak` for a share `flat`, then straight to 0."""
    progress = step / steps
    return peak * min(1.0, (step + 1) / warm_up) * max(0.0, min(1.0, (1 - progress) / (1 - flat)))


def _flattened(module: nn.Module) -> nn.Parameter:
    """Move all weights of `module` into one buffer, which becomes the thing that is optimised.

    Convolution kernels lie in channels-last order inside it, as their inputs do.
    """
    parameters = list(module.parameters())
    flat_N = torch.cat([_contents(p) for p in parameters])
    gradient_N = torch.zeros_like(flat_N)
    offset = 0
    for parameter in parameters:
        size = parameter.numel()
        parameter.data = _shaped(flat_N[offset : offset + size], parameter)
        parameter.grad = _shaped(gradient_N[offset : offset + size], parameter)
        offset += size
    values = nn.Parameter(flat_N)
    values.grad = gradient_N
    return values


def _contents(parameter: Tensor) -> Tensor:
    if parameter.ndim == 4:
        return parameter.detach().permute(0, 2, 3, 1).reshape(-1)
    return parameter.detach().reshape(-1)


def _shaped(part_N: Tensor, like: Tensor) -> Tensor:
    if like.ndim == 4:
        out, into, height, width = like.shape
        return part_N.view(out, height, width, into).permute(0, 3, 1, 2)
    return part_N.view(like.shape)
