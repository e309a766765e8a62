"""A process that ends with the one that started it.

In: the number of that one.  Out: nothing.  What the process does is not known.
"""

import ctypes
import os
import signal
from contextlib import suppress

_PR_SET_PDEATHSIG = 1
"""Source: Linux, prctl(2)."""


def end_with(parent: int) -> None:
    """Be killed when `parent` ends, also while stopped or deep inside of a library.

    Only Linux can promise it.  There it counts as ended, too, with the thread that started us.
    """
    with suppress(OSError, AttributeError):  # other systems do not have it
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before that was said
        os._exit(1)
