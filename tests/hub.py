"""A model hub on this machine: folders served as huggingface_hub wants them.

It speaks the two questions that matter, "what is in this repository" and "give me this file", and
refuses as the real one does: missing, gated, no such revision.  On request it is as bad as networks
are: slow, cut in the middle of a file, without ranges, with other bytes than it promised.
"""

import hashlib
import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass
class Served:
    """One repository."""

    folder: Path
    commit: str = "0123456789abcdef0123456789abcdef01234567"
    token: str | None = None
    """Who does not give this one is told that the repository is gated."""
    card: Mapping[str, str] = field(default_factory=lambda: {"license": "openrail"})
    cuts: list[int] = field(default_factory=list[int])
    """Bytes of weights after which the connection breaks, for the first answers with so many."""
    knows_ranges: bool = True
    silence: float = 0
    """Seconds before each answer."""
    lies: bool = False
    """Weights arrive with another last byte."""


@dataclass
class LoopbackHub:
    """A running hub."""

    address: str
    repositories: Mapping[str, Served] = field(default_factory=dict[str, Served])
    requests: list[str] = field(default_factory=list[str])
    """`GET /api/... bytes=5-`, in order; a test can see that nothing was asked."""


@contextmanager
def serve_hub(repositories: Mapping[str, Served]) -> Iterator[LoopbackHub]:
    """Serve `repositories` by their ids until the block ends."""

    class Handler(_Handler):
        served = repositories

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub = LoopbackHub(f"http://127.0.0.1:{server.server_port}", repositories)
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
        asked_for = self.headers["Range"] or ""
        self.hub.requests.append(f"{self.command} {self.path} {asked_for}".strip())
        if parts == ["api", "models"]:
            self._answer_search()
        elif parts[:2] == ["api", "models"]:
            self._answer_listing("/".join(parts[2:4]), parts[5] if len(parts) > 5 else "main")
        elif len(parts) > 4 and parts[2] == "resolve":
            self._answer_file("/".join(parts[:2]), parts[3], "/".join(parts[4:]))
        else:
            self._send(200, b"a hub")

    def _answer_search(self) -> None:
        words = parse_qs(urlsplit(self.path).query)["search"][0].lower()
        found = [{"id": name} for name in self.served if words in name.lower()]
        self._send(200, json.dumps(found).encode(), **{"Content-Type": "application/json"})

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
            listing = {"id": name, "sha": repository.commit, "siblings": siblings}
            listing["cardData"] = dict(repository.card)
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
            self._answer_content(repository, path, ETag=f'"{_etag(path)}"', **commit)
        else:
            self._send(404, **{"X-Error-Code": "EntryNotFound"}, **commit)

    def _answer_content(self, repository: Served, path: Path, **headers: str) -> None:
        content = path.read_bytes()
        if repository.lies and path.suffix == ".safetensors":
            content = content[:-1] + bytes([content[-1] ^ 1])
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers["Range"] or "")
        status = 206 if asked and repository.knows_ranges else 200
        body = content
        if asked and status == 206:
            body = content[int(asked[1]) : int(asked[2]) + 1 if asked[2] else None]
        is_cut = self.command == "GET" and path.suffix == ".safetensors"
        cuts = repository.cuts if is_cut else []
        kept = cuts.pop(0) if cuts and cuts[0] < len(body) else None
        self._send(status, body, kept, **headers)

    def _find(self, name: str, revision: str) -> Served | None:
        repository = self.served.get(name)
        if repository is None:
            self._send(401, **{"X-Error-Code": "RepoNotFound"})
        elif revision not in ("main", repository.commit):
            self._send(404, **{"X-Error-Code": "RevisionNotFound"})
        else:
            time.sleep(repository.silence)
            return repository
        return None

    def _send(
        self, status: int, body: bytes = b"", kept: int | None = None, **headers: str
    ) -> None:
        """After `kept` bytes of the body the connection breaks."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:kept])
        if kept is not None:
            self.close_connection = True


def _etag(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
