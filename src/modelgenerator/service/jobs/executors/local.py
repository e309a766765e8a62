"""Runs jobs in child processes of this machine: one for each slot, kept warm between jobs.

In: assignments.  Out: messages over a pipe.  A child is a fresh interpreter, as in
`datasets.workers`: no fork of this process, whose threads and locks it would inherit, and none of
`multiprocessing`, which would run the caller's main program again.  It gets only the variables that
it needs, and nothing that opens the database or signs.
"""

import fcntl
import os
import pickle
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import BinaryIO

from modelgenerator.service.config import ELSEWHERE, ServiceConfig
from modelgenerator.service.jobs.executors.child_process import Stop, Word
from modelgenerator.service.jobs.executors.executor import Slot
from modelgenerator.service.jobs.messages import (
    Assignment,
    Failed,
    Message,
    Place,
    Stopped,
    Succeeded,
    without_secrets,
)
from modelgenerator.service.records.jobs import JobKind

CHECKPOINT_SECONDS = 20.0
LAST_LINES = 12
_LAST_BYTES = 8_000
_OLD_SECONDS = 7 * 24 * 3600
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


class LocalExecutor:
    """Children are started when the first job for their slot comes."""

    def __init__(
        self,
        config: ServiceConfig,
        slots: Sequence[Slot],
        *,
        checkpoint_seconds: float = CHECKPOINT_SECONDS,
    ) -> None:
        self._config = config
        self._slots = tuple(slots)
        self._place = Place(
            config=without_secrets(config),
            running=config.data_dir.absolute() / "running",
            checkpoint_seconds=checkpoint_seconds,
        )
        self._children: dict[str, _Child] = {}
        _forget_old(self._place.running)

    def free_slots(self) -> Sequence[Slot]:
        """All whose child waits, or is not there."""
        return [slot for slot in self._slots if not self._is_busy(slot)]

    def start(self, slot: Slot, assignment: Assignment) -> "LocalJob":
        """In the slot's child, which is started if it is not there."""
        child = self._children.get(slot.name)
        if child is None or not child.is_alive:
            if child is not None:
                child.kill()
            child = self._children[slot.name] = _Child(slot, self._place_of(slot))
        child.job = LocalJob(child, assignment, self._place.folder_of(assignment))
        child.forget_words()
        child.send(assignment)
        return child.job

    def close(self) -> None:
        """End all children, whatever they do."""
        while self._children:
            self._children.popitem()[1].kill()

    def _is_busy(self, slot: Slot) -> bool:
        child = self._children.get(slot.name)
        return child is not None and child.job is not None and child.job.is_alive

    def _place_of(self, slot: Slot) -> Place:
        """The key of the language model is for those who ask it."""
        if JobKind.GENERATE_OBJECTS in slot.kinds:
            return self._place
        config = self._place.config.model_copy(update={"object_generator_key": None})
        return Place(
            config=config,
            running=self._place.running,
            checkpoint_seconds=self._place.checkpoint_seconds,
        )


class LocalJob:
    """One assignment in a child."""

    def __init__(self, child: "_Child", assignment: Assignment, folder: Path) -> None:
        self._child, self._assignment, self._folder = child, assignment, folder
        self._has_ended = False

    def messages(self) -> Sequence[Message]:
        """What came since this was asked last."""
        if self._has_ended:
            return ()
        came: list[Message] = []
        while (message := self._child.heard()) is not None:
            came.append(message)
            if isinstance(message, Succeeded | Failed | Stopped):
                self._has_ended = True
                break
        return came

    def ask_to_stop(self) -> None:
        """Soon."""
        self._child.send(Stop(self._assignment.name))

    def kill(self) -> None:
        """Now, and the child with it."""
        self._has_ended = True
        self._child.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def is_alive(self) -> bool:
        """Whether more may come."""
        return not self._has_ended and self._child.is_alive

    @property
    def process_id(self) -> int:
        """The child's."""
        return self._child.process.pid

    def how_it_died(self) -> tuple[str, Sequence[str]]:
        """By which signal, or with which exit code."""
        return self._child.how_it_died(), self._child.last_lines()


class _Child:
    """One process, and the job that it has."""

    def __init__(self, slot: Slot, place: Place) -> None:
        self.job: LocalJob | None = None
        self._pipe, far_end = Pipe()
        self._errors = _appended()
        self.process = _start(far_end, self._errors.fileno(), _environment(os.environ, slot))
        far_end.close()
        self._send(pickle.dumps(place))

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None or self._has_more()

    def _has_more(self) -> bool:
        """What it said before it ended still counts."""
        try:
            return self._pipe.poll()
        except (OSError, EOFError):
            return False

    def heard(self) -> Message | None:
        """The next message; None when there is none now."""
        try:
            return pickle.loads(self._pipe.recv_bytes()) if self._pipe.poll() else None
        except (EOFError, OSError):
            # the end of the pipe can be read for ever, and is no message
            self._pipe.close()
            self.process.kill()
            self.process.wait()
            return None

    def send(self, word: Word) -> None:
        self._send(pickle.dumps(word))

    def _send(self, content: bytes) -> None:
        with suppress(OSError):  # it ended: that is found when it is listened to
            self._pipe.send_bytes(content)

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
        if self._errors.closed:
            return []
        size = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, size - _LAST_BYTES))
        lines = self._errors.read().decode(errors="replace").splitlines()
        return [line.strip() for line in lines if line.strip()][-LAST_LINES:]

    def how_it_died(self) -> str:
        code = self.process.poll()
        if code is None:
            return "does not answer"
        if code < 0:
            name = signal.Signals(-code).name
            is_kernel = name == "SIGKILL"
            why = ", as the system does it where memory runs out" if is_kernel else ""
            return f"was ended by {name}{why}"
        return f"ended with exit code {code}"


def _environment(ours: Mapping[str, str], slot: Slot) -> dict[str, str]:
    """What a child needs of our variables."""
    kept = {
        name: value
        for name, value in ours.items()
        if name.upper() in _NAMES or name.startswith(_BEGINNINGS)
    }
    # read when torch is imported; threads that wait actively made steps up to 100 times slower
    kept["OMP_WAIT_POLICY"] = "PASSIVE"
    if slot.gpu_index is not None:
        kept["CUDA_VISIBLE_DEVICES"] = _visible(ours, slot.gpu_index)
    elif slot.gpus == 0:
        kept["CUDA_VISIBLE_DEVICES"] = ""
    return kept


def _visible(ours: Mapping[str, str], index: int) -> str:
    """The name of a GPU for a child, where this process may see only some of them."""
    seen = [name for name in ours.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return seen[index] if index < len(seen) else str(index)


def _forget_old(running: Path) -> None:
    """What attempts left whose server was killed; one that runs writes into its folder."""
    oldest = time.time() - _OLD_SECONDS
    for folder in running.glob("*"):
        with suppress(OSError):
            if folder.stat().st_mtime < oldest:
                shutil.rmtree(folder)


def _appended() -> BinaryIO:
    """A file for the errors of a child, who shares our place in it and shall write at its end."""
    file = tempfile.TemporaryFile("a+b")  # noqa: SIM115  it lives as long as the child
    flags = fcntl.fcntl(file, fcntl.F_GETFL)
    fcntl.fcntl(file, fcntl.F_SETFL, flags | os.O_APPEND)
    return file


def _start(
    pipe: Connection, errors: int, environment: Mapping[str, str]
) -> "subprocess.Popen[bytes]":
    code = (
        f"import sys; sys.path[:] = {sys.path!r}\n"
        "from modelgenerator.service.jobs.executors.child_process import serve\n"
        f"serve({pipe.fileno()}, {os.getpid()})"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,  # closed by the system when this process ends, so the child ends
        stdout=subprocess.DEVNULL,
        stderr=errors,
        pass_fds=[pipe.fileno()],
        process_group=0,  # Ctrl-C is for us, and we end the children
        env=dict(environment),
    )
