"""A connection that can be cut: bytes go through this process to where they are meant to go.

In: a port of this machine.  Out: another port that leads there, until it is cut, and again after.
"""

import socket
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress

CHUNK = 1 << 16


class Relay:
    """Listens until it is closed."""

    def __init__(self, to: int) -> None:
        self._to = to
        self._open: set[socket.socket] = set()
        self._is_cut = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, seconds: float) -> None:
        """Break every connection in the middle of whatever it says; for a while there is none."""
        self._is_cut = True
        for one in list(self._open):
            _end(one)
        time.sleep(seconds)
        self._is_cut = False

    def close(self) -> None:
        """For ever."""
        self._listener.close()
        self.cut(0)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                threading.Thread(target=self._carry, args=(near,), daemon=True).start()

    def _carry(self, near: socket.socket) -> None:
        with near, suppress(OSError), socket.create_connection(("127.0.0.1", self._to)) as far:
            if self._is_cut:
                return
            self._open |= {near, far}
            back = threading.Thread(target=_copy, args=(far, near), daemon=True)
            back.start()
            _copy(near, far)
            back.join()
        self._open -= {near, far}


def _copy(from_: socket.socket, to: socket.socket) -> None:
    with suppress(OSError):
        while chunk := from_.recv(CHUNK):
            to.sendall(chunk)
    for one in (from_, to):
        _end(one)


def _end(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)


@contextmanager
def relayed(to: int) -> Generator[Relay, None, None]:
    """A relay until the block ends."""
    relay = Relay(to)
    try:
        yield relay
    finally:
        relay.close()
