"""Who asks: from a request to a `Caller`.

In: the `Authorization` header, and an `Idempotency-Key` where something is made.  Out: a caller,
and the service that is asked.  Keys in addresses are refused: addresses end up in logs.  So are
more requests with one key than one deployment wants.
"""

import hashlib
from dataclasses import replace
from typing import Annotated

from fastapi import Depends, Header, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from modelgenerator.service.errors import InvalidValue, Unauthenticated
from modelgenerator.service.operations.accounts import authenticate, hash_of
from modelgenerator.service.operations.callers import Caller, RequestKey
from modelgenerator.service.operations.service import Service

LONGEST_KEY = 255
_SECRET_NAMES = {"key", "apikey", "api_key", "api-key", "token", "access_token", "authorization"}
_READING = {"GET", "HEAD"}
_bearer = HTTPBearer(
    auto_error=False, description="An API key of your organization, or the token of a session"
)


def _service(request: Request) -> Service:
    return request.app.state.service


ServiceHere = Annotated[Service, Depends(_service)]


async def _request_key(
    request: Request,
    idempotency_key: Annotated[
        str | None,
        Header(
            description="Any text of at most 255 letters that is new with every new request: a "
            "request that is sent again with the same key makes nothing twice.",
        ),
    ] = None,
) -> RequestKey | None:
    if idempotency_key is None:
        return None
    if not 0 < len(idempotency_key) <= LONGEST_KEY:
        raise InvalidValue(
            f"An Idempotency-Key has 1 to {LONGEST_KEY} letters.", field="Idempotency-Key"
        )
    fingerprint = hashlib.sha256(
        f"{request.method} {request.url.path}?{request.url.query}".encode()
    )
    # files are known by their own hashes, and are not read twice
    if not request.headers.get("content-type", "").startswith("multipart/"):
        fingerprint.update(b"\n" + await request.body())
    return RequestKey(idempotency_key, fingerprint.hexdigest())


def _caller(
    request: Request,
    service: ServiceHere,
    shown: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    key: Annotated[RequestKey | None, Depends(_request_key)],
) -> Caller:
    if _SECRET_NAMES & {name.lower() for name in request.query_params}:
        raise Unauthenticated(
            "A key in an address is not accepted, because addresses are written into logs.",
            hint="Send it as a header, `Authorization: Bearer KEY`, and revoke this one.",
        )
    if shown is None:
        raise Unauthenticated(hint="Send a header `Authorization: Bearer KEY`.")
    caller = authenticate(service, shown.credentials)
    if request.method not in _READING:
        service.requests.count(hash_of(shown.credentials), service.clock())
    return replace(caller, request=key)


CallerHere = Annotated[Caller, Depends(_caller)]
RequestKeyHere = Annotated[RequestKey | None, Depends(_request_key)]
"""Of a request that needs no key of an organization."""
