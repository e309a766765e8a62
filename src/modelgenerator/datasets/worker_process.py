"""What one of `workers.Workers` runs: an endless "here is an item", "here is what came of it".

In come pickled messages over a pipe, out go pickled answers.  How long an item may take and how
much memory it may need is enforced by the system, on this process itself: also when the parent
is gone, or the work is deep inside a decoder.
"""

import os
import pickle
import signal
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

from modelgenerator.errors import UserError

_PATIENCE = 5.0
"""Seconds after its time in which the parent ends an item; then the system does it."""


@dataclass(frozen=True)
class Learn:
    """The function of the items to come."""

    function: Callable[[Any], Any]
    seconds_each: float
    bytes_each: int


@dataclass(frozen=True)
class Answer:
    kind: Literal["ready", "result", "no memory", "bug"]
    value: Any = None


def serve(descriptor: int) -> None:
    """Answer on the pipe of that number until the parent closes its end, or ends."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    pipe = Connection(descriptor)
    learnt: Learn | None = None
    while True:
        try:
            message = pipe.recv_bytes()
        except (EOFError, OSError):
            return
        if learnt is None or message.startswith(LEARN):
            learnt, answer = _learn(message.removeprefix(LEARN))
        else:
            answer = _work(learnt, message)
        pipe.send_bytes(answer)


LEARN = b"learn "
"""Before a pickled `Learn`; all other messages are pickled items.  No pickle begins with it."""


def _end_with_parent() -> None:
    """Standard input is a pipe that the parent holds and writes nothing into."""
    os.read(0, 1)
    os._exit(1)


def _learn(message: bytes) -> tuple[Learn | None, bytes]:
    try:
        _limit_memory(None)
        learnt: Learn = pickle.loads(message)  # imports what the function needs
        _limit_memory(learnt.bytes_each)
        return learnt, pickle.dumps(Answer("ready"))
    except Exception:  # noqa: BLE001 the parent raises it
        return None, pickle.dumps(Answer("bug", traceback.format_exc()))


def _work(learnt: Learn, message: bytes) -> bytes:
    signal.setitimer(signal.ITIMER_REAL, learnt.seconds_each + _PATIENCE)
    try:
        return pickle.dumps(Answer("result", learnt.function(pickle.loads(message))))
    except UserError as error:
        return pickle.dumps(Answer("result", error))
    except MemoryError:
        return pickle.dumps(Answer("no memory"))
    except Exception as error:  # noqa: BLE001 the parent raises it
        # OpenCV has an error of its own for it, and is not imported for its sake
        is_memory = "Insufficient memory" in str(error)
        return pickle.dumps(
            Answer("no memory") if is_memory else Answer("bug", traceback.format_exc())
        )
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _limit_memory(more: int | None) -> None:
    """Let this process grow by so many bytes from now on; None takes the limit away."""
    try:
        import resource

        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[0]
    except (ImportError, OSError):
        return  # only Linux has both
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    used = int(pages) * resource.getpagesize()
    wanted = most if more is None else used + more
    with suppress(ValueError):  # a smaller limit was set from outside: that one holds
        resource.setrlimit(resource.RLIMIT_AS, (wanted, most))
