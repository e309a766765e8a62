"""The GPUs of this machine, counted without loading torch into this process.

In: nothing, or another place where device files are.  Out: what torch says of each, in a process
that ends afterwards; it is started only where the system has a device file of a GPU.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from modelgenerator.service.config import ServiceConfig
from modelgenerator.training.free_memory import free_memory
from modelgenerator.training.plan import DeviceFacts

_SECONDS = 180
_WITHOUT_BF16 = ("K80", "P100", "P4", "T4", "V100")
"""Kinds of GPU, as Ray calls them, that are older than the number format."""
_DEVICE_FILES = ("nvidia[0-9]*", "kfd", "dxg")
_ASK = """
import json, torch
count = torch.cuda.device_count() if torch.cuda.is_available() else 0
bf16 = bool(count) and torch.cuda.is_bf16_supported()
print(json.dumps([
    [n, torch.cuda.get_device_name(n), *reversed(torch.cuda.mem_get_info(n)), bf16]
    for n in range(count)
]))
"""


@dataclass(frozen=True, slots=True)
class Gpu:
    """One that torch can use."""

    index: int
    name: str
    memory: int
    """Bytes."""
    free: int
    """Bytes of them that nobody had when it was asked."""
    has_bf16: bool


def gpus_here(devices: Path = Path("/dev")) -> tuple[Gpu, ...]:
    """Those that torch finds; none if it cannot be asked."""
    if not any(True for pattern in _DEVICE_FILES for _ in devices.glob(pattern)):
        return ()
    code = f"import sys; sys.path[:] = {sys.path!r}\n{_ASK}"
    try:
        asked = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, timeout=_SECONDS, check=True
        )
        return tuple(Gpu(*told) for told in json.loads(asked.stdout.splitlines()[-1]))
    except (subprocess.SubprocessError, ValueError, IndexError):
        return ()


def facts_of(found: tuple[Gpu, ...] = ()) -> DeviceFacts:
    """What a training is planned for on this machine: the smallest of its GPUs, or its CPU."""
    if not found:
        return DeviceFacts(kind="cpu", has_bf16=False, free_bytes=free_memory())
    has_bf16 = all(gpu.has_bf16 for gpu in found)
    least = min(found, key=lambda gpu: gpu.free)
    return DeviceFacts(kind="cuda", has_bf16=has_bf16, free_bytes=least.free, name=least.name)


@dataclass(frozen=True, slots=True)
class GpuKind:
    """GPUs of a cluster that have the same memory."""

    name: str | None
    """As Ray calls it; none: whatever there is."""
    memory: int
    """Bytes of each."""


def gpu_kinds(config: ServiceConfig) -> tuple[GpuKind, ...]:
    """Those of the cluster, as the operator says, the smallest first; none: it works on CPUs."""
    if config.cluster_gpu_gigabytes is not None:
        return (GpuKind(None, config.cluster_gpu_gigabytes * 10**9),)
    kinds = (GpuKind(name, size * 10**9) for name, size in (config.cluster_gpus or {}).items())
    return tuple(sorted(kinds, key=lambda kind: (kind.memory, kind.name)))


def kind_in_plans(config: ServiceConfig, label: str | None) -> str | None:
    """What plans of a cluster call the GPU that Ray calls `label`: the times of what ended there
    are kept by it.  None where the operator names kinds, and Ray does not."""
    return label if config.cluster_gpus else "cuda"


def facts_of_cluster(config: ServiceConfig) -> tuple[DeviceFacts, ...]:
    """What a training is planned for where other machines train: each kind of GPU, the smallest
    first, or a CPU with as much memory as this machine has."""
    return tuple(
        DeviceFacts(
            kind="cuda",
            has_bf16=kind.name not in _WITHOUT_BF16,
            free_bytes=kind.memory,
            count=config.cluster_machine_gpus,
            name=kind.name or "",
        )
        for kind in gpu_kinds(config)
    ) or (facts_of(),)
