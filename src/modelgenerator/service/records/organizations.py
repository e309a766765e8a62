"""Who works here: organizations, their members, and what they show to be let in."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class Role(StrEnum):
    """What a member or a key may do; each may what those after it may."""

    OWNER = "owner"  # delete the organization
    ADMIN = "admin"  # members, keys, credits
    MEMBER = "member"  # train, generate, run flows
    VIEWER = "viewer"  # look

    def may_act_as(self, needed: "Role") -> bool:
        """Whether this role includes `needed`."""
        order = list(Role)
        return order.index(self) <= order.index(needed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Organization:
    id: UUID
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A person; belongs to organizations as a member."""

    id: UUID
    email: str
    """In small letters."""
    name: str
    password_hash: str | None
    """With salt and parameters in it; absent: signs in another way."""
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    id: UUID
    organization_id: UUID
    user_id: UUID
    role: Role
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """The key itself is shown once and not kept."""

    id: UUID
    organization_id: UUID
    name: str
    prefix: str
    """Its first characters, by which a person knows it again."""
    hash: str
    """SHA-256 in hexadecimal: the key is random, so no salt is needed."""
    role: Role
    created_by: UUID | None
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None

    def is_valid(self, now: datetime) -> bool:
        """Whether it still opens anything."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A browser that has signed in."""

    id: UUID
    organization_id: UUID
    user_id: UUID
    token_hash: str
    created_at: datetime
    expires_at: datetime
