"""A server on the loopback that is told things by webhooks, and answers as a test wants."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


@dataclass
class Told:
    """One request that came in."""

    headers: dict[str, str]
    body: bytes


@dataclass
class Listener:
    """What the server was told, and how it answers."""

    port: int
    told: list[Told] = field(default_factory=list)
    status: int = 204
    location: str | None = None
    seconds: float = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks?a=b"


@contextmanager
def listening() -> Iterator[Listener]:
    """A server that goes on until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.listener = Listener(server.server_port)  # type: ignore[attr-defined]
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server.listener  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        listener: Listener = self.server.listener  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers["Content-Length"]))
        listener.told.append(Told(dict(self.headers.items()), body))
        time.sleep(listener.seconds)
        self.send_response(listener.status)
        if listener.location is not None:
            self.send_header("Location", listener.location)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""
