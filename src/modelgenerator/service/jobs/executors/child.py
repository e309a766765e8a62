"""A process that this one starts and speaks with over a pipe, and that ends with it.

In: the module that it runs, words for it.  Out: what it says, and how it died.  It gets only the
variables that it needs, and nothing that opens the database or signs.
"""

import fcntl
import os
import pickle
import signal
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Pipe
from typing import Any, BinaryIO

from modelgenerator.service.config import ELSEWHERE
from modelgenerator.started_process import how_it_ended, last_lines, start

BODIES = "modelgenerator.service.jobs.executors.child_process"
"""The module that runs the bodies of jobs."""
LAST_LINES = 12
_ENDING_SECONDS = 1.0
"""That a process may take to end once it has closed its pipe."""
_NAMES = (
    *("PATH", "HOME", "USER", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "XDG_CACHE_HOME"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"),
    *("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PYTHONDONTWRITEBYTECODE", "PYTHONHASHSEED"),
    *ELSEWHERE,
)
_BEGINNINGS = (
    *("LC_", "HF_", "AWS_", "TORCH", "PYTORCH_", "OMP_", "MKL_", "OPENBLAS_", "KMP_"),
    *("CUDA_", "NVIDIA_", "CUBLAS_", "NCCL_", "ROCR_", "HIP_", "HSA_"),
)


class Child:
    """Runs `serve(descriptor of the pipe, id of this process)` of the module `program`."""

    def __init__(
        self, program: str, environment: Mapping[str, str], told: object, held: Sequence[int] = ()
    ) -> None:
        """`told` is the first word to it; descriptors in `held` stay open as long as it lives."""
        self._pipe, far_end = Pipe()
        self._sending = threading.Lock()
        self._errors = _appended()
        self.process = start(
            program,
            far_end,
            os.getpid(),
            environment=environment,
            errors=self._errors.fileno(),
            inherits=held,
        )
        far_end.close()
        self.send(told)

    @property
    def is_alive(self) -> bool:
        """Also when it ended: what it said before still counts."""
        return self.process.poll() is None or self._has_more()

    def _has_more(self, seconds: float = 0.0) -> bool:
        try:
            return self._pipe.poll(seconds)
        except (OSError, EOFError):
            return False

    def heard(self, seconds: float = 0.0) -> Any:
        """The next thing that it says; None when there is none within so many seconds."""
        try:
            return pickle.loads(self._pipe.recv_bytes()) if self._has_more(seconds) else None
        except (EOFError, OSError):
            # the end of the pipe can be read for ever, and is no message
            self._pipe.close()
            with suppress(subprocess.TimeoutExpired):  # it may be ending in order: let it say how
                self.process.wait(_ENDING_SECONDS)
            self.process.kill()
            self.process.wait()
            return None

    def send(self, word: object) -> None:
        """That it ended is found when it is listened to."""
        content = pickle.dumps(word)
        with suppress(OSError), self._sending:  # a large word is written in two pieces
            self._pipe.send_bytes(content)

    def close_pipe(self) -> None:
        """It hears that, and may end in order."""
        self._pipe.close()

    def kill(self) -> None:
        """The child, and all that it started."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self._pipe.close()
        self._errors.close()
        assert self.process.stdin is not None
        self.process.stdin.close()

    def forget_words(self) -> None:
        """Of earlier jobs."""
        self._errors.truncate(0)

    def last_lines(self) -> list[str]:
        """That it wrote for nobody."""
        if self._errors.closed:
            return []
        return last_lines(self._errors, LAST_LINES)

    def how_it_died(self) -> str:
        """In words that follow "the process"."""
        return how_it_ended(self.process)


def needed(ours: Mapping[str, str]) -> dict[str, str]:
    """What a process that runs bodies needs of our variables."""
    kept = {
        name: value
        for name, value in ours.items()
        if name.upper() in _NAMES or name.startswith(_BEGINNINGS)
    }
    # read when torch is imported; threads that wait actively made steps up to 100 times slower
    kept["OMP_WAIT_POLICY"] = "PASSIVE"
    return kept


def _appended() -> BinaryIO:
    """A file for the errors of a child, who shares our place in it and shall write at its end."""
    file = tempfile.TemporaryFile("a+b")  # noqa: SIM115  it lives as long as the child
    flags = fcntl.fcntl(file, fcntl.F_GETFL)
    fcntl.fcntl(file, fcntl.F_SETFL, flags | os.O_APPEND)
    return file
