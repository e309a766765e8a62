"""A fresh interpreter that is begun, heard, and told of afterwards."""

import signal
import subprocess
import sys
import tempfile
from multiprocessing.connection import Pipe

import pytest

from modelgenerator.started_process import how_it_ended, last_lines, start

PROGRAM = """
import sys
from multiprocessing.connection import Connection

def serve(descriptor, number):
    Connection(descriptor).send_bytes(str(number).encode())
    print("first", file=sys.stderr)
    print("  last  ", file=sys.stderr)
"""


def test_it_runs_what_it_is_told_and_its_last_words_are_kept(tmp_path, monkeypatch):
    (tmp_path / "some_program.py").write_text(PROGRAM)
    monkeypatch.syspath_prepend(str(tmp_path))
    pipe, far_end = Pipe()
    with tempfile.TemporaryFile() as errors:
        process = start("some_program", far_end, 7, environment={}, errors=errors.fileno())
        far_end.close()
        with process:
            assert pipe.recv_bytes() == b"7"
        assert how_it_ended(process) == "ended with exit code 0"
        assert last_lines(errors, 1) == ["last"]
    pipe.close()


@pytest.mark.parametrize(
    ("number", "how"),
    [
        (signal.SIGKILL, "was ended by SIGKILL, as the system does it where memory runs out"),
        (signal.SIGSEGV, "was ended by SIGSEGV"),
    ],
)
def test_a_signal_is_named(number, how):
    code = "import os, time, signal; signal.pause()"
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        assert how_it_ended(process) == "does not answer"
        process.send_signal(number)
        process.wait()
        assert how_it_ended(process) == how
