"""A process that takes part in a training, as whoever started it sees it.

In: its number, and a task.  Out: what it says, and how it ended.  It is a fresh interpreter, as in
`datasets.workers`: no fork of this one, which may have threads and a GPU in use.  It sees one GPU,
the one with its number among those that this process sees.
"""

import os
import pickle
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe

from modelgenerator.datasets.workers import cores
from modelgenerator.training.parallel.words import Task, Word

LAST_LINES = 6
_LAST_BYTES = 8_000
_ENDING_SECONDS = 5.0
"""That a process may take to end once it has closed its pipe."""


class RankProcess:
    """One of them; to be killed at the end, whatever happened."""

    def __init__(self, rank: int, count: int, *, inherits: Sequence[int] = ()) -> None:
        """Number `rank` of `count`, which waits for its task; `inherits` are open files of ours."""
        self.rank = rank
        self.pipe, far_end = Pipe()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  it lives as long as the process
        environment = surroundings(os.environ, rank=rank, count=count)
        self._process = _start(far_end, self._errors.fileno(), environment, inherits)
        far_end.close()

    def send(self, word: Task | str) -> None:
        """That it ended is found when it is listened to."""
        with suppress(OSError):
            self.pipe.send_bytes(pickle.dumps(word))

    def heard(self) -> Word | None:
        """The next thing that it says, which is waited for; None when it ended instead."""
        try:
            return pickle.loads(self.pipe.recv_bytes())
        except (EOFError, OSError):
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_ENDING_SECONDS)
            return None

    def how_it_ended(self) -> str:
        """In words that follow its name."""
        code = self._process.poll()
        if code is None:
            return "does not answer"
        if code >= 0:
            return f"ended with exit code {code}"
        name = signal.Signals(-code).name
        is_kernel = name == "SIGKILL"
        why = ", as the system does it where memory runs out" if is_kernel else ""
        return f"was ended by {name}{why}"

    def last_lines(self) -> list[str]:
        """That it wrote for nobody."""
        size = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, size - _LAST_BYTES))
        lines = self._errors.read().decode(errors="replace").splitlines()
        return [line.strip() for line in lines if line.strip()][-LAST_LINES:]

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self.pipe.close()
        self._errors.close()


def surroundings(ours: Mapping[str, str], *, rank: int, count: int) -> dict[str, str]:
    """Our variables for process `rank` of `count`: its share of the threads, and its GPU."""
    threads = ours.get("OMP_NUM_THREADS", "")
    threads = int(threads) if threads.isdigit() else cores()
    loopback = "lo0" if sys.platform == "darwin" else "lo"
    return {
        # NCCL, too, finds its processes through a port: one that others cannot reach, unless the
        # person has chosen an interface
        "NCCL_SOCKET_IFNAME": loopback,
        **ours,
        "OMP_NUM_THREADS": str(max(1, threads // count)),
        "OMP_WAIT_POLICY": "PASSIVE",  # threads that spin while they wait starve each other
        "GLOO_SOCKET_IFNAME": loopback,
        **_gpu(ours.get("CUDA_VISIBLE_DEVICES"), rank, count),
    }


def _gpu(visible: str | None, rank: int, count: int) -> dict[str, str]:
    """Source: CUDA C++ Programming Guide, "CUDA Environment Variables"."""
    names = [str(number) for number in range(count)] if visible is None else visible.split(",")
    # where they are hidden, as by an empty string, they stay so
    return {"CUDA_VISIBLE_DEVICES": names[rank].strip()} if len(names) >= count else {}


def _start(
    pipe: Connection, errors: int, environment: Mapping[str, str], inherits: Sequence[int]
) -> subprocess.Popen[bytes]:
    code = (
        f"import sys; sys.path[:] = {sys.path!r}\n"
        "from modelgenerator.training.parallel.rank_process import serve\n"
        f"serve({pipe.fileno()}, {os.getpid()})"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=errors,
        pass_fds=[pipe.fileno(), *inherits],
        process_group=0,  # Ctrl-C is for us, and we end them
        env=environment,
    )
