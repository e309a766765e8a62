"""What went wrong, as a page: what happened, whose side it is on, what was charged, one button.

In: an error that a page's code raised.  Out: a page, a part that a script puts at the top of the
page that is open, or the way to sign in.  What went wrong on our side is logged whole and told
without its insides.
"""

import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from modelgenerator.errors import ModelGeneratorError
from modelgenerator.service.dashboard.visits import SignInFirst, Visit, Visitor, signed_in
from modelgenerator.service.errors import (
    FlowStopped,
    Forbidden,
    InsufficientFunds,
    ModelExpired,
    NotFound,
    RateLimited,
    ServiceError,
    StorageFull,
)
from modelgenerator.service.http.cutting_off import CutOff
from modelgenerator.service.http.statuses import EXPECTED, status_of
from modelgenerator.service.operations.paying import OUR_FAULT
from modelgenerator.service.store.folder import FULL

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Button:
    """What helps."""

    words: str
    address: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """An error in a person's words."""

    title: str
    happened: str
    hint: str | None
    side: str
    """Whose it is, and that nothing was charged."""
    button: Button | None = None


class PageRoute(APIRoute):
    """A route of the dashboard: its errors are pages."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, with errors answered as a person expects them."""
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            try:
                return await handle(request)
            except CutOff:
                raise
            except SignInFirst:
                return _to_sign_in(request)
            except HTTPException as error:
                if error.status_code < 400:
                    raise
                return problem_page(request, error)
            except Exception as error:  # noqa: BLE001  the page says it, and the log has it whole
                return problem_page(request, error)

        return handled


def problem_page(request: Request, error: Exception) -> Response:
    """The page that says what went wrong."""
    status = _status_of(error)
    if status >= 500 and status not in EXPECTED:
        _log.error("a page broke", exc_info=error)
    elif status in EXPECTED:
        _log.warning("%s (%s)", error, error.__cause__ or "no other cause")
    visitor = Visitor(request.app.state.service, request)
    trouble = _trouble(error, status)
    if visitor.is_partial:
        answer = visitor.page("problem_part.html", status=200, trouble=trouble)
        answer.headers["HX-Retarget"] = "#problems"
        answer.headers["HX-Reswap"] = "innerHTML show:window:top"
        return answer
    caller = None if status >= 500 else signed_in(visitor)
    who = visitor if caller is None else Visit(visitor.service, request, caller)
    answer = who.page("problem.html", status=status, trouble=trouble)
    if isinstance(error, ServiceError) and error.retry_after:
        answer.headers["Retry-After"] = f"{error.retry_after.total_seconds():.0f}"
    return answer


def trouble_of(error: ModelGeneratorError) -> Trouble:
    """The same for a page that shows it above the form that it is about."""
    return _trouble(error, status_of(error))


def _to_sign_in(request: Request) -> Response:
    visitor = Visitor(request.app.state.service, request)
    query = f"?{request.url.query}" if request.url.query else ""
    after = request.url.path + query if request.method == "GET" else "/"
    if visitor.is_partial:
        after = "/"
    return visitor.go("/sign-in" if after == "/" else f"/sign-in?next={quote(after)}")


def _status_of(error: Exception) -> int:
    if isinstance(error, ModelGeneratorError):
        return status_of(error)
    if isinstance(error, HTTPException):
        return error.status_code
    if isinstance(error, RequestValidationError):
        return 422
    if isinstance(error, OSError) and error.errno in FULL:
        return 507
    return 500


_ASKED_WRONGLY = "This cannot be done as it was asked"
_YOURS = "Nothing was started and nothing was charged."
_OURS = f"{OUR_FAULT} Nothing was charged."


def _trouble(error: Exception, status: int) -> Trouble:
    if isinstance(error, RequestValidationError):
        return Trouble(_ASKED_WRONGLY, _faults(error), None, _YOURS)
    if isinstance(error, NotFound) or status == 404:
        words = str(error) if isinstance(error, ServiceError) else "There is no such page."
        return Trouble("Not here", words, None, "", Button("Go home", "/"))
    if isinstance(error, HTTPException) and status < 500:
        return Trouble(_ASKED_WRONGLY, f"{error.detail}.", None, _YOURS, Button("Go home", "/"))
    if status == 507:
        full = StorageFull()
        hint = getattr(error, "hint", None) or "Whoever runs this server must make room."
        return Trouble("No space left", str(full), hint, _OURS, Button("Storage", "/storage"))
    if isinstance(error, ModelGeneratorError) and (status < 500 or status in EXPECTED):
        side = _OURS if status >= 500 else _YOURS
        hint = error.hint if isinstance(error, ServiceError) else None
        return Trouble(_title(error), str(error), hint, side, _button(error))
    return Trouble(
        "Something went wrong on this server",
        "What you asked for was not done.",
        "Try again; if it happens again, tell whoever runs this server the time: it is in the log.",
        _OURS,
        Button("Go home", "/"),
    )


def _title(error: ModelGeneratorError) -> str:
    return _TITLES.get(type(error), _ASKED_WRONGLY)


def _button(error: ModelGeneratorError) -> Button | None:
    return _BUTTONS.get(type(error))


_TITLES: dict[type[Exception], str] = {
    InsufficientFunds: "The balance is too small",
    FlowStopped: "This page cannot run now",
    Forbidden: "You may not do this",
    RateLimited: "Too much at once",
    ModelExpired: "This model has expired",
}
_BUTTONS: dict[type[Exception], Button] = {
    InsufficientFunds: Button("Add credit", "/billing#add-credit"),
    ModelExpired: Button("See the trainings", "/trainings"),
}


def _faults(error: RequestValidationError) -> str:
    found = cast(list[dict[str, Any]], error.errors())
    told = [f"{_place(one)}: {one['msg']}" for one in found[:5]]
    return "; ".join(told)


def _place(one: dict[str, Any]) -> str:
    return ".".join(str(part) for part in one["loc"] if part not in ("body", "query", "path"))
