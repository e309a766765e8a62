"""A process that this one starts and speaks with over a pipe, and that ends with it.

In: the module that it runs, words for it.  Out: what it says, and how it died.  It is a fresh
interpreter, as in `datasets.workers`: no fork of this process, whose threads and locks it would
inherit, and none of `multiprocessing`, which would run the caller's main program again.  It gets
only the variables that it needs, and nothing that opens the database or signs.
"""

import fcntl
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from typing import Any, BinaryIO

from modelgenerator.service.config import ELSEWHERE

BODIES = "modelgenerator.service.jobs.executors.child_process"
"""The module that runs the bodies of jobs."""
LAST_LINES = 12
_LAST_BYTES = 8_000
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
        self.process = _start(program, far_end, self._errors.fileno(), environment, held)
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
        size = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, size - _LAST_BYTES))
        lines = self._errors.read().decode(errors="replace").splitlines()
        return [line.strip() for line in lines if line.strip()][-LAST_LINES:]

    def how_it_died(self) -> str:
        """In words that follow "the process"."""
        code = self.process.poll()
        if code is None:
            return "does not answer"
        if code < 0:
            name = signal.Signals(-code).name
            is_kernel = name == "SIGKILL"
            why = ", as the system does it where memory runs out" if is_kernel else ""
            return f"was ended by {name}{why}"
        return f"ended with exit code {code}"


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


def _start(
    program: str,
    pipe: Connection,
    errors: int,
    environment: Mapping[str, str],
    held: Sequence[int],
) -> "subprocess.Popen[bytes]":
    code = (
        f"import sys; sys.path[:] = {sys.path!r}\n"
        f"from {program} import serve\n"
        f"serve({pipe.fileno()}, {os.getpid()})"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,  # closed by the system when this process ends, so the child ends
        stdout=subprocess.DEVNULL,
        stderr=errors,
        pass_fds=[pipe.fileno(), *held],
        process_group=0,  # Ctrl-C is for us, and we end the children
        env=dict(environment),
    )
