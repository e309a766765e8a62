"""What a training would run on here, found out by asking torch.

In: among how many processes it is divided.  Out: `DeviceFacts`, which plans are resolved on.
"""

import json
import subprocess
import sys
from dataclasses import asdict

import torch

from modelgenerator.training.free_memory import free_memory
from modelgenerator.training.plan import DeviceFacts


def this_machine(processes: int = 1) -> DeviceFacts:
    """The GPU if there is one, and the fullest of those that so many processes would take.

    Processes on a CPU share its memory.
    """
    if torch.cuda.is_available() and processes > 1:
        return asked_elsewhere(processes)
    return asked_here(processes)


def asked_here(processes: int) -> DeviceFacts:
    """Each GPU that is asked gives this process a few hundred megabytes, until it ends."""
    if not torch.cuda.is_available():
        free = free_memory()
        return DeviceFacts(
            kind="cpu", has_bf16=False, free_bytes=None if free is None else free // processes
        )
    count = torch.cuda.device_count()
    free_bytes = min(torch.cuda.mem_get_info(n)[0] for n in range(min(processes, count)))
    has_bf16 = torch.cuda.is_bf16_supported()
    return DeviceFacts(
        kind="cuda",
        has_bf16=has_bf16,
        free_bytes=free_bytes,
        count=count,
        name=torch.cuda.get_device_name(),
    )


def asked_elsewhere(processes: int) -> DeviceFacts:
    """By a process that ends then: who only starts others leaves the GPUs to them.

    Raises:
        subprocess.CalledProcessError: it could not; why, it has told on stderr.
    """
    code = (
        f"import sys; sys.path[:] = {sys.path!r}\n"
        "from modelgenerator.training import this_machine\n"
        f"this_machine.tell({processes})"
    )
    asked = subprocess.run(
        [sys.executable, "-c", code], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True
    )
    return DeviceFacts(**json.loads(asked.stdout.splitlines()[-1]))


def tell(processes: int) -> None:
    """What `asked_here` finds, to whoever started this process."""
    sys.stdout.write(json.dumps(asdict(asked_here(processes))) + "\n")
