"""Signing in and out."""

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, Response

from modelgenerator.service.dashboard.page_errors import PageRoute
from modelgenerator.service.dashboard.visits import SESSION, VisitorHere, signed_in
from modelgenerator.service.errors import RateLimited, Unauthenticated
from modelgenerator.service.operations import accounts

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/sign-in")
def sign_in_page(visitor: VisitorHere, next: str = "/") -> Response:
    """The form."""
    if signed_in(visitor) is not None:
        return visitor.go(_own(next))
    return visitor.page("sign_in.html", next=_own(next), email="", wrong=None)


@router.post("/sign-in")
def sign_in(
    visitor: VisitorHere,
    email: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
    next: Annotated[str, Form()] = "/",
) -> Response:
    """Let in, or say what is wrong."""
    client = visitor.request.client
    address = client.host if client else ""
    try:
        let_in = accounts.sign_in(visitor.service, email, password, address=address)
    except (Unauthenticated, RateLimited) as error:
        values = {"next": _own(next), "email": email, "wrong": str(error)}
        return visitor.page("sign_in.html", status=error.status, **values)
    answer = visitor.go(_own(next))
    answer.set_cookie(
        SESSION,
        let_in.token,
        max_age=int(accounts.SESSION_LENGTH.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=visitor.request.url.scheme == "https"
        or (visitor.service.config.public_url or "").startswith("https:"),
    )
    return answer


@router.post("/sign-out")
def sign_out(visitor: VisitorHere) -> Response:
    """The browser is not let in any more."""
    accounts.sign_out(visitor.service, visitor.request.cookies.get(SESSION, ""))
    answer = visitor.go("/sign-in")
    answer.delete_cookie(SESSION)
    return answer


def _own(address: str) -> str:
    """`address` if it is one of ours: nobody is led away after he has signed in."""
    parts = urlsplit(address)
    is_ours = address.startswith("/") and address[1:2] not in ("/", "\\")
    return address if is_ours and not parts.scheme and not parts.netloc else "/"
