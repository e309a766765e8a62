"""A process that this one starts and speaks with over a pipe.

In: the module that it runs, whose `serve` is given the pipe.  Out: the process; and in words how it
ended, with the last that it wrote.  It is a fresh interpreter: no fork of this process, whose
threads, locks and GPU it would inherit, and none of `multiprocessing`, which would run the caller's
main program again.  What is said over the pipe is not known here.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from typing import IO

_LAST_BYTES = 8_000


def start(
    module: str,
    pipe: Connection,
    *told: int,
    environment: Mapping[str, str],
    stdin: int = subprocess.PIPE,
    errors: int = subprocess.DEVNULL,
    inherits: Sequence[int] = (),
) -> "subprocess.Popen[bytes]":
    """It runs `serve(descriptor of the pipe, *told)`; `inherits` are open files of ours.

    A standard input that is a pipe is closed by the system when this process ends.
    """
    numbers = ", ".join(map(str, (pipe.fileno(), *told)))
    code = f"import sys; sys.path[:] = {sys.path!r}\nfrom {module} import serve\nserve({numbers})"
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=stdin,
        stdout=subprocess.DEVNULL,
        stderr=errors,
        pass_fds=[pipe.fileno(), *inherits],
        process_group=0,  # Ctrl-C is for us, and we end it
        env=dict(environment),
    )


def how_it_ended(process: "subprocess.Popen[bytes]") -> str:
    """In words that follow its name."""
    code = process.poll()
    if code is None:
        return "does not answer"
    if code >= 0:
        return f"ended with exit code {code}"
    name = signal.Signals(-code).name
    is_kernel = name == "SIGKILL"
    why = ", as the system does it where memory runs out" if is_kernel else ""
    return f"was ended by {name}{why}"


def last_lines(errors: IO[bytes], most: int) -> list[str]:
    """Of what it wrote for nobody; at most so many."""
    size = errors.seek(0, os.SEEK_END)
    errors.seek(max(0, size - _LAST_BYTES))
    lines = errors.read().decode(errors="replace").splitlines()
    return [line.strip() for line in lines if line.strip()][-most:]
