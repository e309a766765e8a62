"""API keys."""

from datetime import datetime
from typing import Self
from uuid import UUID

from fastapi import APIRouter
from pydantic import AwareDatetime

from modelgenerator.service.api.asking import CallerHere, ServiceHere
from modelgenerator.service.api.problems import problems
from modelgenerator.service.api.shapes import Body, PageOf, PagingHere, Shape
from modelgenerator.service.operations import api_keys
from modelgenerator.service.records import organizations
from modelgenerator.service.records.organizations import Role

router = APIRouter(prefix="/v1/api-keys", tags=["API keys"])


class ApiKey(Shape):
    """What is known of a key; the key itself is not kept."""

    id: UUID
    name: str
    prefix: str
    """Its first letters, by which a person knows it again."""
    role: Role
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    """To the minute."""
    revoked_at: datetime | None

    @classmethod
    def of(cls, key: organizations.ApiKey) -> Self:
        """The shape of a key."""
        return cls(
            id=key.id,
            name=key.name,
            prefix=key.prefix,
            role=key.role,
            created_at=key.created_at,
            expires_at=key.expires_at,
            last_used_at=key.last_used_at,
            revoked_at=key.revoked_at,
        )


class CreatedApiKey(Shape):
    """A new key."""

    key: str | None
    """Shown this once; null: an earlier request with the same Idempotency-Key was shown it."""
    api_key: ApiKey


class NewApiKey(Body):
    """A key to be made."""

    name: str
    role: Role = Role.MEMBER
    """Not above your own."""
    expires_at: AwareDatetime | None = None


@router.post("", status_code=201, responses=problems(409))
def create_api_key(service: ServiceHere, caller: CallerHere, body: NewApiKey) -> CreatedApiKey:
    """A new key, shown once."""
    made = api_keys.create_api_key(
        service, caller, name=body.name, role=body.role, expires_at=body.expires_at
    )
    return CreatedApiKey(key=made.key, api_key=ApiKey.of(made.api_key))


@router.get("", responses=problems())
def list_api_keys(service: ServiceHere, caller: CallerHere, paging: PagingHere) -> PageOf[ApiKey]:
    """The organization's keys, revoked ones too, the newest first."""
    page = api_keys.list_api_keys(service, caller, paging.cursor, limit=paging.limit)
    return PageOf.of(page, ApiKey.of)


@router.delete("/{id}", status_code=204, responses=problems(404))
def revoke_api_key(service: ServiceHere, caller: CallerHere, id: UUID) -> None:
    """The key opens nothing from now on; it stays in the list."""
    api_keys.revoke_api_key(service, caller, id)
