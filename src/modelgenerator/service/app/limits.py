"""How large a request may be and how long it may take to arrive, before anybody reads it.

In: an ASGI application.  Out: the same, which is never handed more than was allowed.  A body that
says that it is too large is refused unread; one that says nothing is cut off where it passes.
"""

import asyncio
import re
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from modelgenerator.service.api.problems import answer
from modelgenerator.service.http.cutting_off import CutOff

_UPLOADS = re.compile(
    "|".join(
        (
            r"/v1/datasets/[^/]+/images(/[^/]+/mask)?",
            r"/v1/public/flows/[^/]+/uploads(/[^/]+)?",
            r"/subjects/[^/]+/pictures(/[^/]+/mask)?",
            r"/flows/[^/]+/runs",
            r"/f/[^/]+",
        )
    )
)


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """What is accepted."""

    body_bytes: int = 12_000_000
    """Of JSON: a flow of 10 MB fits."""
    upload_bytes: int = 4_000_000_000
    """Of a form with files, at the addresses that take them."""
    silent_seconds: float = 60.0
    """Between two pieces of a body."""


class _TooLarge(CutOff):
    pass


class _TooSlow(CutOff):
    pass


def takes_uploads(path: str) -> bool:
    """Whether files are sent there, which are written to disk as they come.

    Any other form is read by the framework, before anybody asks who sends it.
    """
    return _UPLOADS.fullmatch(path) is not None


class LimitedRequests:
    """The application behind limits."""

    def __init__(self, app: ASGIApp, limits: RequestLimits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.lower(): value for name, value in scope["headers"]}
        is_form = headers.get(b"content-type", b"").startswith(b"multipart/")
        is_upload = is_form and takes_uploads(scope["path"])
        most = self._limits.upload_bytes if is_upload else self._limits.body_bytes
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > most:
            await _refuse(scope, receive, send, 413, "tooLarge", _too_large(most))
            return
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, _counted(receive, most, self._limits.silent_seconds), watched)
        except (_TooLarge, _TooSlow) as error:
            if begun:
                raise
            if isinstance(error, _TooLarge):
                await _refuse(scope, receive, send, 413, "tooLarge", _too_large(most))
            else:
                text = "The request did not arrive in time: nothing came for too long."
                await _refuse(scope, receive, send, 408, "requestTimeout", text)


def _counted(receive: Receive, most: int, silent_seconds: float) -> Receive:
    seen, is_complete = 0, False

    async def counted() -> Message:
        nonlocal seen, is_complete
        if is_complete:  # who asks now waits for the end of the connection
            return await receive()
        try:
            message = await asyncio.wait_for(receive(), silent_seconds)
        except TimeoutError:
            raise _TooSlow from None
        seen += len(message.get("body", b""))
        is_complete = not message.get("more_body", False)
        if seen > most:
            raise _TooLarge
        return message

    return counted


async def _refuse(
    scope: Scope, receive: Receive, send: Send, status: int, code: str, detail: str
) -> None:
    # the rest of the body is not read: this connection cannot be used again
    refusal = answer(status, code, detail, headers={"Connection": "close"})
    await refusal(scope, receive, send)


def _too_large(most: int) -> str:
    return f"A request of this kind has at most {most:,} bytes. Send it in several."
