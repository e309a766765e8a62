"""A model hub on this machine: folders served as huggingface_hub wants them.

It speaks the two questions that matter, "what is in this repository" and "give me this file", and
refuses as the real one does: missing, gated, no such revision.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit


@dataclass
class Served:
    """One repository."""

    folder: Path
    commit: str = "0123456789abcdef0123456789abcdef01234567"
    token: str | None = None
    """Who does not give this one is told that the repository is gated."""
    licence: str = "openrail"


@dataclass
class LoopbackHub:
    """A running hub."""

    address: str
    requests: list[str] = field(default_factory=list[str])
    """`GET /api/...`, in order; a test can see that nothing was asked."""


@contextmanager
def serve_hub(repositories: Mapping[str, Served]) -> Iterator[LoopbackHub]:
    """Serve `repositories` by their ids until the block ends."""

    class Handler(_Handler):
        served = repositories

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub = LoopbackHub(f"http://127.0.0.1:{server.server_port}")
    Handler.hub = hub
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    served: Mapping[str, Served]
    hub: LoopbackHub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def log_message(self, *_: Any) -> None:
        """Quiet."""

    def _answer(self) -> None:
        parts = unquote(urlsplit(self.path).path).strip("/").split("/")
        self.hub.requests.append(f"{self.command} {self.path}")
        if parts[:2] == ["api", "models"]:
            self._answer_listing("/".join(parts[2:4]), parts[5] if len(parts) > 5 else "main")
        elif len(parts) > 4 and parts[2] == "resolve":
            self._answer_file("/".join(parts[:2]), parts[3], "/".join(parts[4:]))
        else:
            self._send(200, b"a hub")

    def _answer_listing(self, name: str, revision: str) -> None:
        if repository := self._find(name, revision):
            files = [path for path in sorted(repository.folder.rglob("*")) if path.is_file()]
            siblings = [
                {
                    "rfilename": path.relative_to(repository.folder).as_posix(),
                    "size": path.stat().st_size,
                    "blobId": _etag(path),
                }
                for path in files
            ]
            card = {"license": repository.licence}
            listing = {"id": name, "sha": repository.commit, "siblings": siblings, "cardData": card}
            self._send(200, json.dumps(listing).encode(), **{"Content-Type": "application/json"})

    def _answer_file(self, name: str, revision: str, file: str) -> None:
        repository = self._find(name, revision)
        if repository is None:
            return
        if repository.token and self.headers["Authorization"] != f"Bearer {repository.token}":
            self._send(401, **{"X-Error-Code": "GatedRepo", "X-Error-Message": "restricted"})
            return
        path = repository.folder / file
        commit = {"X-Repo-Commit": repository.commit}
        if path.is_file():
            self._send(200, path.read_bytes(), ETag=f'"{_etag(path)}"', **commit)
        else:
            self._send(404, **{"X-Error-Code": "EntryNotFound"}, **commit)

    def _find(self, name: str, revision: str) -> Served | None:
        repository = self.served.get(name)
        if repository is None:
            self._send(401, **{"X-Error-Code": "RepoNotFound"})
        elif revision not in ("main", repository.commit):
            self._send(404, **{"X-Error-Code": "RevisionNotFound"})
        else:
            return repository
        return None

    def _send(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _etag(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
