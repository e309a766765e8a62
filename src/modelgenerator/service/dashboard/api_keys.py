"""API keys: made and shown once, listed, revoked."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Response

from modelgenerator.service.dashboard.as_code import Call
from modelgenerator.service.dashboard.asking_others import ask_an_administrator
from modelgenerator.service.dashboard.form_faults import Faults, faults_of
from modelgenerator.service.dashboard.page_errors import PageRoute
from modelgenerator.service.dashboard.roles import MAY
from modelgenerator.service.dashboard.visits import Visit, VisitHere
from modelgenerator.service.errors import InvalidValue
from modelgenerator.service.operations import api_keys
from modelgenerator.service.operations.api_keys import CreatedKey
from modelgenerator.service.records.organizations import ApiKey, Role

router = APIRouter(route_class=PageRoute, include_in_schema=False)

LIFETIMES: Mapping[str, str] = {
    "": "Never",
    "7": "In 7 days",
    "30": "In 30 days",
    "90": "In 90 days",
    "365": "In a year",
}
"""Days, as a form sends them."""
_ON_A_PAGE = 50


def standing_of(key: ApiKey, now: datetime) -> tuple[str, str]:
    """A badge's class and its word: whether the key still opens anything."""
    if key.revoked_at is not None:
        return "warn", "revoked"
    if not key.is_valid(now):
        return "bad", "expired"
    return "good", "valid"


def expiry_of(days: str, now: datetime) -> datetime | None:
    """When a key ends that is made now.

    Raises:
        InvalidValue: the form offers no such choice.
    """
    if days not in LIFETIMES:
        raise InvalidValue("Choose when it expires.", field="expires")
    return now + timedelta(days=int(days)) if days else None


@router.get("/api-keys")
def list_page(visit: VisitHere, cursor: str | None = None) -> Response:
    """All keys, revoked ones too."""
    if not visit.may("admin"):
        return ask_an_administrator(visit, "API keys", "make or see API keys")
    return _page(visit, cursor)


@router.post("/api-keys")
def create(
    visit: VisitHere,
    name: Annotated[str, Form()] = "",
    role: Annotated[str, Form()] = Role.MEMBER.value,
    expires: Annotated[str, Form()] = "",
) -> Response:
    """A new key, on the page that shows it once."""
    visit.caller.require(Role.ADMIN)
    written = {"name": name, "role": role, "expires": expires}
    try:
        if role not in list(Role):
            raise InvalidValue("Choose what it may do.", field="role")
        made = api_keys.create_api_key(
            visit.service,
            visit.caller,
            name=name,
            role=Role(role),
            expires_at=expiry_of(expires, visit.service.clock()),
        )
    except InvalidValue as error:
        faults = faults_of(error, tuple(written))
        return _page(visit, None, faults=faults, written=written, status=error.status)
    answer = _page(visit, None, made=made, status=201)
    answer.headers["Cache-Control"] = "no-store"  # not even the browser keeps a key
    return answer


@router.post("/api-keys/{id}/revoke")
def revoke(visit: VisitHere, id: UUID) -> Response:
    """It opens nothing any more."""
    api_keys.revoke_api_key(visit.service, visit.caller, id)
    return visit.go("/api-keys", "The key is revoked: it opens nothing any more.")


def _page(
    visit: Visit,
    cursor: str | None,
    *,
    made: CreatedKey | None = None,
    faults: Faults | None = None,
    written: Mapping[str, str] | None = None,
    status: int = 200,
) -> Response:
    return visit.page(
        "api_keys/list.html",
        status=status,
        keys=api_keys.list_api_keys(visit.service, visit.caller, cursor, limit=_ON_A_PAGE),
        standing_of=standing_of,
        made=made,
        roles={role: may for role, may in MAY.items() if visit.may(role)},
        lifetimes=LIFETIMES,
        faults=faults or {},
        written=written or {"name": "", "role": Role.MEMBER.value, "expires": ""},
        calls=_calls(visit.service.clock()),
    )


def _calls(now: datetime) -> tuple[Call, ...]:
    in_a_month = (now.astimezone(UTC) + timedelta(days=30)).replace(microsecond=0)
    body = {"name": "Build server", "role": "member", "expiresAt": in_a_month.isoformat()}
    return (
        Call("POST", "/v1/api-keys", body),
        Call("GET", "/v1/api-keys"),
        Call("DELETE", "/v1/api-keys/KEY_ID"),
    )
