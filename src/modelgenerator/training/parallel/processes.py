"""A process that takes part in a training, as whoever started it sees it.

In: its number, and a task.  Out: what it says, and how it ended.  It sees one GPU, the one with its
number among those that this process sees.
"""

import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Pipe

from modelgenerator.datasets.workers import cores
from modelgenerator.started_process import how_it_ended, last_lines, start
from modelgenerator.training.parallel.words import Task, Word

LAST_LINES = 6
_ENDING_SECONDS = 5.0
"""That a process may take to end once it has closed its pipe."""


class RankProcess:
    """One of them; to be killed at the end, whatever happened."""

    def __init__(self, rank: int, count: int, *, inherits: Sequence[int] = ()) -> None:
        """Number `rank` of `count`, which waits for its task; `inherits` are open files of ours."""
        self.rank = rank
        self.pipe, far_end = Pipe()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  it lives as long as the process
        self._process = start(
            "modelgenerator.training.parallel.rank_process",
            far_end,
            os.getpid(),
            environment=surroundings(os.environ, rank=rank, count=count),
            stdin=subprocess.DEVNULL,
            errors=self._errors.fileno(),
            inherits=inherits,
        )
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
        return how_it_ended(self._process)

    def last_lines(self) -> list[str]:
        """That it wrote for nobody."""
        return last_lines(self._errors, LAST_LINES)

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
