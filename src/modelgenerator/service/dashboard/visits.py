"""Who looks at a page, and what he is answered with.

In: a browser's request.  Out: a `Visit`: the service, on whose behalf it is asked, and ways to
answer.  The browser shows who it is by a cookie that no script can read and that no other site's
request brings along; what changes something must come from one of our own pages.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Annotated, Any, cast
from urllib.parse import quote, unquote, urlsplit

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from modelgenerator.service.dashboard.rendering import once, render
from modelgenerator.service.errors import Forbidden, Unauthenticated
from modelgenerator.service.operations.accounts import authenticate_session, hash_of
from modelgenerator.service.operations.callers import Caller, RequestKey
from modelgenerator.service.operations.money import ShownOrganization, read_organization
from modelgenerator.service.operations.service import Service
from modelgenerator.service.records.organizations import Role

SESSION = "session"
REQUEST_KEY = "requestKey"
"""The hidden field of a form that is to be carried out once."""
_SAID = "said"
_READING = {"GET", "HEAD"}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; "
    "img-src 'self' blob: data:{storage}; connect-src 'self'; font-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


class SignInFirst(Unauthenticated):
    """Sign in first."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """A browser that looks at a page, whoever sits before it."""

    service: Service
    request: Request

    @property
    def is_partial(self) -> bool:
        """Whether a script asks for a part of a page, and not the browser for a whole one."""
        return "hx-request" in self.request.headers

    def page(self, template: str, /, status: int = 200, **values: Any) -> HTMLResponse:
        """A page, or a part of one."""
        nonce, said = once(), self._said()
        shared = {
            "path": self.request.url.path,
            "base_url": self.service.config.public_url or str(self.request.base_url).rstrip("/"),
            "now": self.service.clock(),
            "near": self.near,
            "nonce": nonce,
            "said": said,
            "organization": None,
            "role": None,
        }
        html = render(template, {**shared, **values})
        answer = HTMLResponse(html, status, headers=self._headers(nonce))
        if said and not self.is_partial:
            answer.delete_cookie(_SAID)
        return answer

    def go(self, address: str, said: str = "", *, is_good: bool = True) -> Response:
        """On to another page, which says `said` at its top."""
        answer = (
            Response(status_code=204, headers={"HX-Redirect": address})
            if self.is_partial
            else RedirectResponse(address, 303)
        )
        if said:
            kept = quote(json.dumps({"text": said, "isGood": is_good}))
            answer.set_cookie(_SAID, kept, max_age=60, httponly=True, samesite="lax")
        return answer

    def near(self, address: str) -> str:
        """The same file without the host, where it is ours: the browser may call us by another."""
        own = f"{self.service.config.public_url}/"
        return f"/{address.removeprefix(own)}" if address.startswith(own) else address

    def _said(self) -> dict[str, object] | None:
        try:
            said = json.loads(unquote(self.request.cookies.get(_SAID, "null")))
        except ValueError:
            return None
        return cast(dict[str, object], said) if isinstance(said, dict) else None

    def _headers(self, nonce: str) -> dict[str, str]:
        return {
            "Content-Security-Policy": _POLICY.format(nonce=nonce, storage=self._storage()),
            "Cache-Control": "private, no-cache",
            "Vary": "HX-Request, Cookie",
        }

    def _storage(self) -> str:
        """Where stored pictures come from, which may be another server's bucket."""
        link = urlsplit(self.service.files.link("GET", "any", expires_in=timedelta(hours=1)))
        return f" {link.scheme}://{link.netloc}"


@dataclass(frozen=True, slots=True)
class Visit(Visitor):
    """A member of an organization looks at a page."""

    caller: Caller

    def page(self, template: str, /, status: int = 200, **values: Any) -> HTMLResponse:
        """A page with the organization's money and the visitor's role, or a part of one."""
        given: dict[str, object] = {
            "role": self.caller.role,
            "may": self.may,
            "is_charging": self.service.config.billing,
        }
        if not self.is_partial:
            given["organization"] = self.organization()
        return Visitor.page(self, template, status, **{**given, **values})

    def organization(self) -> ShownOrganization:
        """Whose member he is."""
        return read_organization(self.service, self.caller)

    def may(self, role: str) -> bool:
        """Whether the visitor may do what needs this role."""
        return self.caller.role.may_act_as(Role(role))


def _visitor(request: Request) -> Visitor:
    if request.method not in _READING:
        _refuse_other_sites(request)
    return Visitor(request.app.state.service, request)


VisitorHere = Annotated[Visitor, Depends(_visitor)]


def signed_in(visitor: Visitor) -> Caller | None:
    """On whose behalf this browser asks; none: nobody has signed in."""
    token = visitor.request.cookies.get(SESSION)
    if not token:
        return None
    try:
        return authenticate_session(visitor.service, token)
    except Unauthenticated:
        return None


def form_request(key: str, path: str, sent: Iterable[tuple[str, str]]) -> RequestKey:
    """That of a form which was sent to this path.

    `sent` are its fields: the same form sent twice asks once, and whoever goes back and writes
    something else asks for something else.
    """
    fields = sorted(pair for pair in sent if pair[0] != REQUEST_KEY)
    digest = hashlib.sha256(json.dumps([path, fields]).encode()).hexdigest()
    return RequestKey(f"form {key[:100]} {digest}", path)


async def _form_key(request: Request) -> RequestKey | None:
    """Of a form without files; the framework has read it already."""
    if request.method in _READING:
        return None
    form = await request.form()
    key = form.get(REQUEST_KEY)
    if not isinstance(key, str) or not key:
        return None
    sent = [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
    return form_request(key, request.url.path, sent)


def _visit(
    visitor: VisitorHere, key: Annotated[RequestKey | None, Depends(_form_key)] = None
) -> Visit:
    caller = signed_in(visitor)
    if caller is None:
        raise SignInFirst
    request, service = visitor.request, visitor.service
    if request.method not in _READING:
        service.requests.count(hash_of(request.cookies[SESSION]), service.clock())
    if key is not None:
        caller = replace(caller, request=key)
    return Visit(service, request, caller)


def _reading_visit(visitor: VisitorHere) -> Visit:
    """The same without a look into the body, which an upload is."""
    return _visit(visitor, None)


VisitHere = Annotated[Visit, Depends(_visit)]
UploadingVisitHere = Annotated[Visit, Depends(_reading_visit)]


def _refuse_other_sites(request: Request) -> None:
    """Raises Forbidden: the form was not one of ours."""
    site = request.headers.get("sec-fetch-site")
    if site in ("same-origin", "none"):
        return
    origin = request.headers.get("origin")
    host = request.headers.get("host")
    if site is None and (origin is None or urlsplit(origin).netloc == host):
        return
    raise Forbidden("This was sent by a page of another site.", hint="Open the page here.")
