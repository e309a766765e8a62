"""An OpenAI-compatible server on this machine that says what a test tells it to.

It answers chat completions with pictures, remembers what it was asked, and can be as servers are:
busy, strict, broken, slow, or something else altogether.
"""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


@dataclass(frozen=True)
class Reply:
    """One answer."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict[str, str])
    silence: float = 0
    """Seconds before it comes."""


def says(words: object, *, finish_reason: str = "stop", **message: object) -> Reply:
    """A whole chat completion."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": words, **message},
        "finish_reason": finish_reason,
    }
    return Reply(body=json.dumps({"object": "chat.completion", "choices": [choice]}).encode())


def refuses(status: int, sentence: str = "no", **headers: str) -> Reply:
    return Reply(status, json.dumps({"error": {"message": sentence}}).encode(), headers)


@dataclass(frozen=True)
class Asked:
    """One request."""

    path: str
    authorization: str | None
    body: dict[str, Any]


@dataclass
class VisionEndpoint:
    """A running server."""

    url: str
    replies: list[Reply]
    """In order; the last one stays."""
    asked: list[Asked] = field(default_factory=list[Asked])


@contextmanager
def serve_vision(*replies: Reply) -> Iterator[VisionEndpoint]:
    """Answer with `replies` until the block ends."""

    class Handler(_Handler):
        pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    endpoint = VisionEndpoint(f"http://127.0.0.1:{server.server_port}/v1", list(replies))
    Handler.endpoint = endpoint
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield endpoint
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    endpoint: VisionEndpoint

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.endpoint.asked.append(Asked(self.path, self.headers["Authorization"], body))
        self._answer(_next(self.endpoint.replies))

    def do_GET(self) -> None:
        self.endpoint.asked.append(Asked(self.path, self.headers["Authorization"], {}))
        self._answer(says("who followed a redirect"))

    def log_message(self, *_: Any) -> None:
        """Quiet."""

    def _answer(self, reply: Reply) -> None:
        time.sleep(reply.silence)
        try:
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body)
        except OSError:  # who asked has no patience left
            pass


def _next(replies: list[Reply]) -> Reply:
    return replies.pop(0) if len(replies) > 1 else replies[0]


def pictures_in(asked: Sequence[Asked]) -> list[str]:
    """The data URIs of all pictures that were sent."""
    parts = [part for one in asked for part in one.body["messages"][0]["content"]]
    return [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
