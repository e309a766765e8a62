"""A proxy before an S3 server that does what networks and storages do when they are not well.

In: the address of a real server, and faults, each for so many of the requests that come next.  Out:
an address to use in its place.  Nothing is made up but the fault; the rest goes through.
"""

import http.client
import socket
import struct
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

_STEP = 64 << 10


@dataclass(frozen=True)
class Answers:
    """Nothing is done; this is answered."""

    status: int
    code: str = "InternalError"


@dataclass(frozen=True)
class Delays:
    """It takes so long until the answer begins."""

    seconds: float


@dataclass(frozen=True)
class Slows:
    """It takes so long until the answer begins, and then so many bytes come in a second."""

    seconds: float
    bytes_per_second: float


@dataclass(frozen=True)
class Hangs:
    """The connection stays open, and nothing comes."""


@dataclass(frozen=True)
class CutsAnswer:
    """The connection is reset after so many bytes of the body."""

    after: int


@dataclass(frozen=True)
class EndsAnswer:
    """The connection ends in good order, with fewer bytes than were announced."""

    after: int


@dataclass(frozen=True)
class ShortensAnswer:
    """Fewer bytes, and the length that is announced is theirs."""

    to: int


@dataclass(frozen=True)
class DamagesAnswer:
    """One byte of the body is another one."""

    at: int


@dataclass(frozen=True)
class CutsRequest:
    """The connection is reset after so many bytes of what is sent; the server sees none of it."""

    after: int


@dataclass(frozen=True)
class LosesAnswer:
    """The server does what it is asked, and nobody hears of it."""


@dataclass(frozen=True)
class Overlooks:
    """This header of what is asked is taken no notice of."""

    header: str


Fault = (
    Answers
    | Delays
    | Slows
    | Hangs
    | CutsAnswer
    | EndsAnswer
    | ShortensAnswer
    | DamagesAnswer
    | CutsRequest
    | LosesAnswer
    | Overlooks
)


@dataclass(frozen=True)
class Request:
    """One that came."""

    method: str
    path: str
    """With its query."""
    range: str | None
    authorization: str | None


Wanted = Callable[[Request], bool]


def first_time() -> Wanted:
    """What has not come before; who asks for the rest of what broke off asks again."""
    seen: set[tuple[str, str, str]] = set()

    def is_new(request: Request) -> bool:
        asked = (request.method, request.path, (request.range or "").rpartition("-")[2])
        is_seen = asked in seen
        seen.add(asked)
        return not is_seen

    return is_new


@dataclass
class FaultyBucket:
    """The proxy; used as a context manager."""

    upstream: str
    port: int = 0
    came: list[Request] = field(default_factory=list[Request])
    most_at_once: int = 0
    """Requests that were in work together."""
    _faults: list[tuple[Fault, int, Wanted]] = field(default_factory=list[Any])
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _at_once: int = 0
    _server: ThreadingHTTPServer | None = None
    _well: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "FaultyBucket":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._well.set()
        self.stop()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """The same address again after `stop`."""
        handler = type("Handler", (_Handler,), {"faulty": self})
        self._server = _Server(("127.0.0.1", self.port), handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Connections are refused, and those that are open are cut."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def does(self, fault: Fault, *, times: int = 1, to: Wanted = lambda _: True) -> None:
        """To so many of the requests that come next and are wanted."""
        with self._lock:
            self._faults.append((fault, times, to))

    def is_well(self) -> None:
        """From now on; what came is forgotten."""
        with self._lock:
            self._faults.clear()
            self._well.set()
            self._well = threading.Event()
            self.came.clear()
            self.most_at_once = 0

    @contextmanager
    def in_work(self, request: Request) -> Generator[Fault | None, None, None]:
        """The fault of this request."""
        with self._lock:
            self.came.append(request)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            fault = self._next(request)
        try:
            yield fault
        finally:
            with self._lock:
                self._at_once -= 1

    def wait_until_well(self) -> None:
        """Or until nobody needs this proxy."""
        self._well.wait()

    def _next(self, request: Request) -> Fault | None:
        for number, (fault, times, is_wanted) in enumerate(self._faults):
            if is_wanted(request):
                left = [(fault, times - 1, is_wanted)] if times > 1 else []
                self._faults[number : number + 1] = left
                return fault
        return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, *arguments: Any) -> None:
        self._open: set[socket.socket] = set()
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, *_: object) -> None:
        """Connections that end are what this is for."""

    def server_close(self) -> None:
        super().server_close()
        for connection in [*self._open]:
            _reset(connection)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    faulty: FaultyBucket

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        headers = self.headers
        request = Request(self.command, self.path, headers["Range"], headers["Authorization"])
        with self.faulty.in_work(request) as fault:
            self._serve(fault)

    do_PUT = do_POST = do_HEAD = do_DELETE = do_GET

    def _serve(self, fault: Fault | None) -> None:
        length = int(self.headers["Content-Length"] or 0)
        if isinstance(fault, CutsRequest):
            self.rfile.read(min(fault.after, length))
            return self._reset()
        body = self.rfile.read(length)
        match fault:
            case Hangs():
                self.faulty.wait_until_well()
                return self._reset()
            case Answers():
                return self._say(fault)
            case Delays() | Slows():
                time.sleep(fault.seconds)
            case _:
                pass
        return self._pass_on(body, fault)

    def _say(self, fault: Answers) -> None:
        text = f"<Error><Code>{fault.code}</Code><Message>A fault.</Message></Error>".encode()
        self.send_response(fault.status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    def _pass_on(self, body: bytes, fault: Fault | None) -> None:
        address = urlsplit(self.faulty.upstream)
        assert address.hostname is not None
        server = http.client.HTTPConnection(address.hostname, address.port)
        try:
            server.request(self.command, self.path, body, self._noticed(fault))
            answer = server.getresponse()
            if isinstance(fault, LosesAnswer):
                answer.read()
                return self._reset()
            self._send(answer, fault)
        finally:
            server.close()
        return None

    def _noticed(self, fault: Fault | None) -> dict[str, str]:
        overlooked = fault.header.lower() if isinstance(fault, Overlooks) else None
        return {name: it for name, it in self.headers.items() if name.lower() != overlooked}

    def _send(self, answer: http.client.HTTPResponse, fault: Fault | None) -> None:
        length = int(answer.headers["Content-Length"] or 0)
        if isinstance(fault, ShortensAnswer) and self.command != "HEAD":
            length = min(length, fault.to)
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            if name.lower() not in ("content-length", "connection", "transfer-encoding"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command == "HEAD":
            return
        for piece in _pieces(answer, _cut_at(fault, length), fault):
            self.wfile.write(piece)
        if isinstance(fault, CutsAnswer):
            self._reset()
        if isinstance(fault, EndsAnswer):
            self.close_connection = True

    def _reset(self) -> None:
        self.close_connection = True
        self.wfile.flush()
        _reset(self.connection)


def _cut_at(fault: Fault | None, length: int) -> int:
    return min(fault.after, length) if isinstance(fault, CutsAnswer | EndsAnswer) else length


def _pieces(answer: http.client.HTTPResponse, length: int, fault: Fault | None) -> Iterator[bytes]:
    sent = 0
    while sent < length and (piece := answer.read(min(_STEP, length - sent))):
        if isinstance(fault, DamagesAnswer) and sent <= fault.at < sent + len(piece):
            place = fault.at - sent
            piece = piece[:place] + bytes([piece[place] ^ 1]) + piece[place + 1 :]
        if isinstance(fault, Slows):
            time.sleep(len(piece) / fault.bytes_per_second)
        sent += len(piece)
        yield piece


def _reset(connection: socket.socket) -> None:
    """So that the other side sees an error, and no end."""
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RD)
        connection.close()
    except OSError:
        return
