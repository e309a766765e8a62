"""Requests to one server: with the key, as often as is safe, and errors by their names.

In: paths and bodies.  Out: JSON, or files.  What is asked twice happens once: every POST carries an
Idempotency-Key, so that a request whose answer was lost is simply sent again.
"""

import json
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import httpx

from modelgenerator.client.errors import ServerUnreachable, error_of

TRIES = 5
TRIES_WITH_A_KNOWN_SERVER = 9
"""It has answered before: it may be starting again, which takes half a minute."""
_TRY_AGAIN = (429, 502, 503, 504)
_LONGEST_WAIT = 60.0
_LONGEST_PAUSE = 8.0


class Connection:
    """To be closed."""

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`transport` and `sleep` stand in for the network and the clock in tests."""
        self.base_url = base_url.rstrip("/")
        self._has_answered = False
        self._sleep = sleep
        self._http = httpx.Client(
            base_url=self.base_url,
            headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
            timeout=httpx.Timeout(120.0, connect=10.0),
            transport=transport,
            follow_redirects=False,
        )

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def get(self, path: str, **query: str | int | None) -> dict[str, Any]:
        """Read something.

        Raises:
            RequestRefused, ServerFailed, ServerUnreachable: see `errors`.
        """
        known = {name: value for name, value in query.items() if value is not None}
        return self._json("GET", path, params=known)

    def post(self, path: str, body: object = None) -> dict[str, Any]:
        """Make something, or have something done, once."""
        headers = {"Idempotency-Key": uuid4().hex}
        return self._json("POST", path, json={} if body is None else body, headers=headers)

    def put(self, path: str, body: object) -> dict[str, Any]:
        """Put something in the place of what is there."""
        return self._json("PUT", path, json=body)

    def ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Any call that has JSON on both sides; a POST is done once."""
        headers = {"Idempotency-Key": uuid4().hex} if method == "POST" else {}
        given = {} if body is None else {"json": body}
        return self._json(method, path, headers=headers, **given)

    def delete(self, path: str) -> None:
        """Take something away."""
        self._answered("DELETE", path)

    def send_files(self, path: str, files: Sequence[tuple[str, Path]]) -> dict[str, Any]:
        """Upload files with the names that they are to have there."""
        with ExitStack() as opened:

            def form() -> list[tuple[str, tuple[str, Any]]]:
                return [
                    ("files", (name, opened.enter_context(file.open("rb")))) for name, file in files
                ]

            return self._json("POST", path, form=form)

    def save(self, path: str, to: Path) -> str | None:
        """Write what is at `path`, or at a link of the server's, to a file, whole or not at all.

        Gives back the name that the server calls it by.
        """
        fresh = to.with_name(f".{to.name}.{uuid4().hex}")
        try:
            name = self._retried(lambda: self._save_once(path, fresh))
            fresh.replace(to)
        finally:
            fresh.unlink(missing_ok=True)
        return name

    @contextmanager
    def lines(self, path: str, after: str | None) -> Generator[Iterator[str]]:
        """The lines of a stream of events, from after the event with this id."""
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": after} if after else {})
        with self._http.stream("GET", path, headers=headers) as answer:
            if answer.status_code >= 400:
                answer.read()
                _raise(answer)
            yield answer.iter_lines()

    def pause(self, tried: int) -> None:
        """Before trying again: longer each time."""
        self._sleep(min(_LONGEST_PAUSE, 0.5 * 2**tried))

    def _save_once(self, path: str, to: Path) -> str | None:
        with self._read(path) as answer:
            if answer.status_code >= 400:
                answer.read()
                _raise(answer)
            with to.open("wb") as file:
                for chunk in answer.iter_bytes():
                    file.write(chunk)
        return _filename(answer.headers.get("content-disposition", ""))

    @contextmanager
    def _read(self, path: str) -> Generator[httpx.Response]:
        """A link may lead to a storage, which refuses whoever sends a key, and must not see it.

        A server that answers with such a link is followed there; httpx sends no key along.
        """
        request = self._http.build_request("GET", path)
        if _origin(request.url) != _origin(self._http.base_url):
            request.headers.pop("Authorization", None)
        answer = self._http.send(request, stream=True, follow_redirects=True)
        try:
            yield answer
        finally:
            answer.close()

    def _json(self, method: str, path: str, **asked: Any) -> dict[str, Any]:
        answer = self._answered(method, path, **asked)
        return cast(dict[str, Any], answer.json()) if answer.content else {}

    def _answered(
        self, method: str, path: str, *, form: Callable[[], Any] | None = None, **asked: Any
    ) -> httpx.Response:
        def once() -> httpx.Response:
            files = {} if form is None else {"files": form()}
            answer = self._http.request(method, path, **files, **asked)
            if answer.status_code >= 400:
                _raise(answer)
            return answer

        return self._retried(once)

    def _retried(self, once: Callable[[], Any]) -> Any:
        for tried in range(TRIES_WITH_A_KNOWN_SERVER):
            try:
                got = once()
                self._has_answered = True
                return got
            except AskAgain as error:
                if tried >= TRIES - 1:
                    raise error.because from None
                self._sleep(min(_LONGEST_WAIT, error.after or 0.5 * 2**tried))
            except httpx.TransportError as error:
                most = TRIES_WITH_A_KNOWN_SERVER if self._has_answered else TRIES
                if tried >= most - 1 or isinstance(error, httpx.UnsupportedProtocol):
                    raise self._unreachable(error) from error
                self.pause(tried)
        raise AssertionError("the last try answers or raises")

    def _unreachable(self, error: httpx.TransportError) -> ServerUnreachable:
        reason = str(error) or type(error).__name__
        return ServerUnreachable(
            f"{self.base_url} does not answer ({reason}). Start a server with "
            "`modelgenerator serve`, or give the address of yours."
        )


class AskAgain(Exception):
    """The server asks to come again later."""

    def __init__(self, because: Exception, after: float | None) -> None:
        super().__init__()
        self.because = because
        self.after = after


def _raise(answer: httpx.Response) -> None:
    """The error that an answer is, or that it is to be asked again."""
    try:
        problem = cast(dict[str, Any], answer.json())
    except (json.JSONDecodeError, UnicodeDecodeError):
        problem = {"detail": f"{answer.url} answered {answer.status_code} {answer.reason_phrase}."}
    error = error_of(answer.status_code, problem)
    if answer.status_code in _TRY_AGAIN:
        after = answer.headers.get("retry-after", "")
        raise AskAgain(error, float(after) if after.isdigit() else None)
    raise error


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _filename(disposition: str) -> str | None:
    """The file name in a Content-Disposition, without any folder."""
    _, found, rest = disposition.partition('filename="')
    name = rest.partition('"')[0].replace("\\", "/").rpartition("/")[2]
    return name if found and name not in ("", ".", "..") else None
