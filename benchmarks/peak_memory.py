"""The highest memory that this process ever had."""

from pathlib import Path


def peak_bytes(device: str) -> int:
    """Of the whole process on a CPU; of torch's tensors on a GPU."""
    if device == "cuda":
        import torch

        return torch.cuda.max_memory_allocated()
    # getrusage's would be at least that of the process that started this one
    status = Path("/proc/self/status").read_text()
    lines = dict(line.split(":", 1) for line in status.splitlines())
    return int(lines["VmHWM"].split()[0]) * 1024
