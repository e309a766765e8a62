"""The organization: its members, what their roles may, and one's own password."""

from collections.abc import Mapping
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Response

from modelgenerator.service.dashboard.as_code import Call
from modelgenerator.service.dashboard.form_faults import Faults, faults_of
from modelgenerator.service.dashboard.page_errors import PageRoute
from modelgenerator.service.dashboard.roles import ACTS, MAY
from modelgenerator.service.dashboard.visits import SESSION, Visit, VisitHere
from modelgenerator.service.errors import Conflict, InvalidValue, RateLimited
from modelgenerator.service.operations import accounts, members
from modelgenerator.service.operations.passwords import SHORTEST
from modelgenerator.service.records.organizations import Role

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_ON_A_PAGE = 50
_CALLS = (
    Call(
        "POST",
        "/v1/members",
        {"email": "anna@example.org", "role": "member", "password": "a first password"},
    ),
    Call("GET", "/v1/members"),
    Call("PATCH", "/v1/members/MEMBER_ID", {"role": "viewer"}),
    Call("DELETE", "/v1/members/MEMBER_ID"),
)
_NOBODY: Mapping[str, str] = {"email": "", "name": "", "role": Role.MEMBER.value}


@router.get("/organization")
def organization(visit: VisitHere, cursor: str | None = None) -> Response:
    """Who belongs to it."""
    return _page(visit, cursor)


@router.post("/organization/members")
def add(
    visit: VisitHere,
    email: Annotated[str, Form()] = "",
    name: Annotated[str, Form()] = "",
    role: Annotated[str, Form()] = Role.MEMBER.value,
    password: Annotated[str, Form()] = "",
) -> Response:
    """Somebody new."""
    visit.caller.require(Role.ADMIN)
    written = {"email": email, "name": name, "role": role}
    try:
        added = members.add_member(
            visit.service,
            visit.caller,
            email=email,
            name=name,
            role=_role(role),
            password=password or None,
        )
    except (InvalidValue, Conflict) as error:
        faults = faults_of(error, (*written, "password"))
        return _page(visit, faults=faults, written=written, status=error.status)
    return visit.go("/organization", f"{added.user.name} is a member, as {added.member.role}.")


@router.post("/organization/members/{id}/role")
def change_role(visit: VisitHere, id: UUID, role: Annotated[str, Form()] = "") -> Response:
    """Another role from now on."""
    try:
        seen = members.change_role(visit.service, visit.caller, id, _role(role))
    except (InvalidValue, Conflict) as error:
        return _refused(visit, error)
    return visit.go("/organization", f"{seen.user.name} is {seen.member.role} now.")


@router.post("/organization/members/{id}/remove")
def remove(visit: VisitHere, id: UUID) -> Response:
    """He is let in no more."""
    try:
        members.remove_member(visit.service, visit.caller, id)
    except Conflict as error:
        return _refused(visit, error)
    return visit.go("/organization", "Removed: neither they nor the keys they made are let in.")


@router.post("/organization/password")
def change_password(
    visit: VisitHere,
    current: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
    repeated: Annotated[str, Form()] = "",
) -> Response:
    """One's own."""
    try:
        if password != repeated:
            raise InvalidValue("The two are not the same.", field="repeated")
        token = visit.request.cookies[SESSION]
        ended = accounts.change_password(
            visit.service, visit.caller, current, password, token=token
        )
    except InvalidValue as error:
        faults = faults_of(error, ("current", "password", "repeated"))
        return _page(visit, own_faults=faults, status=error.status)
    except RateLimited as error:
        return _page(visit, own_faults={"current": str(error)}, status=error.status)
    others = f" Other browsers that were signed in ({ended}) are not any more." if ended else ""
    return visit.go("/organization", f"Your password is changed.{others}")


def _page(
    visit: Visit,
    cursor: str | None = None,
    *,
    faults: Faults | None = None,
    own_faults: Faults | None = None,
    written: Mapping[str, str] = _NOBODY,
    refused: str = "",
    status: int = 200,
) -> Response:
    return visit.page(
        "members/list.html",
        status=status,
        members=members.list_members(visit.service, visit.caller, cursor, limit=_ON_A_PAGE),
        own_id=visit.caller.user_id,
        roles=MAY,
        acts=ACTS,
        shortest=SHORTEST,
        faults=faults or {},
        own_faults=own_faults or {},
        written=written,
        refused=refused,
        calls=_CALLS if visit.may("admin") else _CALLS[1:2],
    )


def _refused(visit: Visit, error: Conflict | InvalidValue) -> Response:
    """A change in the table that cannot be: said above it."""
    return _page(visit, refused=f"{error} {error.hint or ''}".strip(), status=error.status)


def _role(written: str) -> Role:
    if written not in list(Role):
        raise InvalidValue("Choose a role.", field="role")
    return Role(written)
