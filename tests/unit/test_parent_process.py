"""A process that was started ends with the one that started it, even if it cannot do so itself."""

import subprocess
import sys

import pytest

CHILD = """
import os, signal
from modelgenerator.parent_process import end_with
end_with({parent})
print("stopped", flush=True)
os.kill(os.getpid(), signal.SIGSTOP)
"""
PARENT = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not promise it")
def test_a_process_that_stands_still_ends_with_its_parent():
    child = CHILD.format(parent="os.getppid()")
    parent = subprocess.Popen([sys.executable, "-c", PARENT, child], stdout=subprocess.PIPE)
    with parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"stopped\n"
        parent.kill()
        assert parent.stdout.read() == b""  # once nobody is left who could write


def test_a_process_whose_parent_has_ended_ends_at_once():
    child = subprocess.run([sys.executable, "-c", CHILD.format(parent=0)], capture_output=True)
    assert (child.returncode, child.stdout) == (1, b"")
