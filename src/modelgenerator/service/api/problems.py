"""Every error as an answer that a person and a program can read: problem+json of RFC 9457.

In: an error of ours, or a request that could not be parsed.  Out: status, headers and
`{type, title, status, detail, code, field, hint}`, with what the error knows beside it.  What went
wrong on our side is logged whole and told without its insides.
"""

import logging
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, cast

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from modelgenerator.errors import ModelGeneratorError
from modelgenerator.service.api.shapes import Shape
from modelgenerator.service.errors import ServiceError, StorageFull
from modelgenerator.service.http.statuses import EXPECTED, status_of
from modelgenerator.service.store.folder import FULL

MEDIA_TYPE = "application/problem+json"
_log = logging.getLogger(__name__)
_FIELD = re.compile(r"([a-z][A-Za-z0-9]*)(?: .*?: |: | must | is required)")
"""How a sentence about a setting begins."""


class Problem(Shape):
    """Why a request was not carried out."""

    type: str
    """`urn:modelgenerator:` and the code."""
    title: str
    """The same for all problems of this code."""
    status: int
    detail: str
    """What is wrong here, in words."""
    code: str
    """For programs: `baseModelNotFound`."""
    field: str | None = None
    """Which part of the request it is about."""
    hint: str | None = None
    """What to do next."""


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For a route's `responses`: the errors it may answer with, beside 422, 429, 500 and 503."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in sorted({*statuses, 400, 401, 403, 413, 422, 429, 500, 503})
    }


def install(app: FastAPI) -> None:
    """Answer every error of `app` as a problem."""
    app.add_exception_handler(ModelGeneratorError, _ours)
    app.add_exception_handler(RequestValidationError, _unreadable)
    app.add_exception_handler(HTTPException, by_the_framework)
    app.add_exception_handler(OSError, _by_the_machine)
    app.add_exception_handler(Exception, _unexpected)


def answer(
    status: int,
    code: str,
    detail: str,
    *,
    field: str | None = None,
    hint: str | None = None,
    facts: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """One problem."""
    content = {
        "type": f"urn:modelgenerator:{code}",
        "title": _title(code),
        "status": status,
        "detail": detail,
        "code": code,
        "field": field,
        "hint": hint,
        **(facts or {}),
    }
    return JSONResponse(content, status, headers, media_type=MEDIA_TYPE)


def _title(code: str) -> str:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", code)
    return words[:1].upper() + words[1:].lower()


def _ours(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ModelGeneratorError)
    status = status_of(error)
    if status in EXPECTED:
        _log.warning("%s: %s (%s)", error.code, error, error.__cause__ or "no other cause")
    elif status >= 500:
        _log.error("%s: %s", error.code, error, exc_info=error.__cause__)
    if not isinstance(error, ServiceError):
        named = _FIELD.match(str(error))
        faults = getattr(error, "faults_as_json", None)
        facts = {"faults": faults} if faults else {}
        field = named.group(1) if named else None
        return answer(status, error.code, str(error), field=field, facts=facts)
    after = error.retry_after
    headers = {"Retry-After": f"{after.total_seconds():.0f}"} if after else {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return answer(
        status,
        error.code,
        str(error),
        field=error.field,
        hint=error.hint,
        facts=error.facts,
        headers=headers,
    )


def _unreadable(_request: Request, error: Exception) -> Response:
    """All that is wrong with the request, the first in words and every one in `faults`."""
    assert isinstance(error, RequestValidationError)
    faults = [_fault(one) for one in cast(list[dict[str, Any]], error.errors())]
    detail = "; ".join(f"{one['field']}: {one['message']}" for one in faults[:5])
    return answer(
        422, "invalidRequest", detail, field=faults[0]["field"], facts={"faults": faults[:100]}
    )


_NO_OBJECT = ("model_attributes_type", "missing")
_OBJECT = "a JSON object is expected, sent with Content-Type: application/json"


def _fault(one: dict[str, Any]) -> dict[str, str]:
    """Where, from the outside in, and why; the value itself may be a secret or large."""
    if one["type"] == "json_invalid":
        why, where = one["ctx"]["error"], one["loc"][-1]
        return {"field": "body", "message": f"this is not JSON, from character {where} on: {why}"}
    if tuple(one["loc"]) == ("body",) and one["type"] in _NO_OBJECT:
        return {"field": "body", "message": _OBJECT}
    place = [str(part) for part in one["loc"] if part != "body"] or ["body"]
    return {"field": ".".join(place)[:200], "message": str(one["msg"])[:500]}


_CODES = {404: "noSuchAddress", 405: "methodNotAllowed", 413: "tooLarge", 415: "unsupportedFile"}
_CALLS = "GET /docs shows every call."


def by_the_framework(request: Request, error: Exception) -> Response:
    """No such address, or not in this way."""
    assert isinstance(error, HTTPException)
    status, detail, hint = error.status_code, str(error.detail), None
    path, allowed = request.url.path[:200], (error.headers or {}).get("Allow", "other methods")
    if status == 404:
        detail, hint = f"There is nothing at {path}.", _CALLS
    elif status == 405:
        detail, hint = f"{path} does not answer {request.method}, but {allowed}.", _CALLS
    code = _CODES.get(status, "invalidRequest")
    return answer(status, code, detail, hint=hint, headers=error.headers)


def _by_the_machine(request: Request, error: Exception) -> Response:
    """A full disk is said as such wherever it was met."""
    assert isinstance(error, OSError)
    if error.errno not in FULL:
        return _unexpected(request, error)
    full = StorageFull(hint="Whoever runs this server must make room; then try again.")
    full.__cause__ = error
    return _ours(request, full)


def _unexpected(_request: Request, error: Exception) -> Response:
    _log.error("a request broke", exc_info=error)
    return answer(
        500,
        "internalError",
        "Something went wrong on this server. Nothing was charged.",
        hint="Try again; if it happens again, tell the operator the time: it is in the log.",
    )
