"""What becomes of workers when the process that has them is interrupted or killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

# a main program without `if __name__ == "__main__"`, as people write
PARENT = """
import sys, time
from modelgenerator.datasets.workers import Workers
from tests.integration.test_workers_and_their_parent import Pause, tell_and_sleep

with Workers(2, seconds_each=60) as workers:
    print("begun", flush=True)
    print(list(workers.map(tell_and_sleep, [Pause(sys.argv[1], 0), Pause(sys.argv[1], 1)])))
"""


class Pause:
    def __init__(self, folder: str, number: int) -> None:
        self.name, self.folder = str(number), folder


def tell_and_sleep(pause: Pause) -> None:
    (Path(pause.folder) / pause.name).write_text(str(os.getpid()))
    time.sleep(60)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL, signal.SIGTERM])
def test_workers_end_with_their_parent(tmp_path: Path, how: signal.Signals):
    (tmp_path / "main.py").write_text(PARENT)
    (tmp_path / "pids").mkdir()
    parent = subprocess.Popen(
        [sys.executable, tmp_path / "main.py", tmp_path / "pids"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        process_group=0,
    )
    while len(pids := [int(f.read_text() or 0) for f in (tmp_path / "pids").iterdir()]) < 2:
        assert parent.poll() is None, parent.communicate()
        time.sleep(0.05)
    os.killpg(parent.pid, how)  # as a terminal does it
    _, said = parent.communicate()
    assert said.count(b"Traceback") == (1 if how == signal.SIGINT else 0)  # none of the workers'
    while any(map(is_running, pids)):  # else the test's own limit ends it
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    """Whether it does anything: in a container nobody may collect what is left of the dead."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
