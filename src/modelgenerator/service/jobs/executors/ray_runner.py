"""One machine's end of a job on a cluster: a child process, and a folder that does not outlive it.

In: terms, then assignments, one at a time.  Out: what their bodies say.  Ray makes an actor of it,
which is not known here.  A body is in a process of its own as on the server's machine: what kills
it leaves somebody who says so.  The folder is locked as long as runner or child live, so that
whoever comes next on the machine can remove what a killed one left.
"""

import fcntl
import importlib.metadata
import os
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from modelgenerator.errors import ModelGeneratorError
from modelgenerator.service.jobs.executors.child import BODIES, Child, needed
from modelgenerator.service.jobs.executors.ray_words import Heard, Opened, Terms
from modelgenerator.service.jobs.messages import (
    Assignment,
    End,
    Place,
    Said,
    Stop,
)
from modelgenerator.service.operations.devices import kind_in_plans

HEAR_SECONDS = 1.0
"""How long a question waits for an answer."""
_ROOM = "modelgenerator-cluster"
"""Folder of all runners of one user on one machine."""


class MachineUnfit(ModelGeneratorError):
    """A machine of the cluster cannot run jobs of this server."""


def version() -> str:
    """Of this program, as it is installed here."""
    return importlib.metadata.version("modelgenerator")


class Runner:
    """Made empty: what Ray keeps of how it was made holds nothing secret."""

    def __init__(self) -> None:
        self._heard_of_driver = time.monotonic()

    def gpu_kind(self) -> str | None:
        """As whoever placed it calls this machine's GPU; none: nobody does."""
        return None

    def open(self, terms: Terms, gpus: int) -> Opened:
        """Get ready.

        Raises:
            MachineUnfit: this machine has another version, or not the storage folder.
        """
        _refuse_unfit(terms)
        self._folder, lock = _new_folder()
        place = Place(
            config=terms.config.model_copy(update={"data_dir": self._folder / "data"}),
            running=self._folder / "data" / "running",
            checkpoint_seconds=terms.checkpoint_seconds,
            forgets=True,
            gpu_kind=kind_in_plans(terms.config, self.gpu_kind()) if gpus else None,
        )
        temporary = self._folder / "tmp"
        temporary.mkdir()
        environment = {**needed(os.environ), **terms.environment, "TMPDIR": str(temporary)}
        if not gpus:
            environment["CUDA_VISIBLE_DEVICES"] = ""
        self._child = Child(BODIES, environment, place, held=[lock])
        self._patience = terms.patience
        threading.Thread(target=self._end_without_driver, daemon=True).start()
        return Opened(socket.gethostname(), str(self._folder))

    def begin(self, assignment: Assignment) -> None:
        """Run it; the one before has ended."""
        self._child.forget_words()
        self._child.send(assignment)

    def ask_to_stop(self, name: str) -> None:
        """Soon."""
        self._child.send(Stop(name))

    def hear(self) -> Heard:
        """What came, as soon as something comes; nothing after a second."""
        self._heard_of_driver = time.monotonic()
        said: list[Said] = []
        wait = HEAR_SECONDS
        while (message := self._child.heard(wait)) is not None:
            said.append(message)
            if isinstance(message, End):
                return Heard(said)
            wait = 0.0
        if self._child.is_alive:
            return Heard(said)
        return Heard(said, self._child.how_it_died(), self._child.last_lines())

    def _end_without_driver(self) -> None:
        """Whoever gave the work is gone, or this machine slept: somebody else has it by now."""
        while time.monotonic() - self._heard_of_driver < self._patience:
            time.sleep(self._patience / 10)
        self._child.kill()
        shutil.rmtree(self._folder, ignore_errors=True)
        os._exit(1)


def forget(folder: str, seconds: float = 30.0) -> bool:
    """Remove the folder of a runner that was ended, once it has; whether it is gone."""
    deadline = time.monotonic() + seconds
    while not _remove_if_left(Path(folder)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _refuse_unfit(terms: Terms) -> None:
    here = socket.gethostname()
    if version() != terms.version:
        raise MachineUnfit(
            f"The machine {here} has modelgenerator {version()}, the server {terms.version}. "
            "Install the same on all machines."
        )
    url = terms.config.storage_url
    if not url.startswith("s3://") and not Path(url.removeprefix("file://")).is_dir():
        raise MachineUnfit(
            f"The machine {here} has no folder {url}. With Ray the storage is a bucket, or a "
            "folder that all machines share under the same path."
        )


def _new_folder() -> tuple[Path, int]:
    """A folder for this runner alone, and the descriptor that locks it."""
    room = Path(tempfile.gettempdir()) / f"{_ROOM}-{os.getuid()}"
    room.mkdir(mode=0o700, exist_ok=True)
    with _alone_in(room):
        for left in room.iterdir():
            if left.is_dir():
                _remove_if_left(left)
        folder = Path(tempfile.mkdtemp(dir=room))
        lock = os.open(folder, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
    return folder, lock


@contextmanager
def _alone_in(room: Path) -> Generator[None, None, None]:
    """Nobody else makes a folder meanwhile, which is not locked yet."""
    with (room / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _remove_if_left(folder: Path) -> bool:
    """Whether it is gone: not while somebody works in it."""
    with suppress(FileNotFoundError):
        lock = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except BlockingIOError:
            return False
        finally:
            os.close(lock)
    return True
