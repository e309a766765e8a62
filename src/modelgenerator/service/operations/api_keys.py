"""API keys: made, listed, revoked.

In: who asks, and what the key may do.  Out: the key, once; what is kept of it is a hash.
"""

import secrets
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from modelgenerator.service.errors import InvalidValue
from modelgenerator.service.operations.accounts import hash_of
from modelgenerator.service.operations.callers import Caller, earlier_answer, remember
from modelgenerator.service.operations.names import checked_name
from modelgenerator.service.operations.service import Service
from modelgenerator.service.records.ids import new_id
from modelgenerator.service.records.organizations import ApiKey, Role
from modelgenerator.service.store.scoped import Page

_MARK = "mg_"
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_LENGTH = 43
"""Digits of base 62 that 32 bytes need."""
_PREFIX = 10


@dataclass(frozen=True, slots=True)
class CreatedKey:
    """A new key."""

    key: str | None
    """Shown once; none: the same request came before, and was shown it."""
    api_key: ApiKey


def create_api_key(
    service: Service, caller: Caller, *, name: str, role: Role, expires_at: datetime | None = None
) -> CreatedKey:
    """A key that acts as `role`.

    Raises:
        Forbidden: the caller may not make keys, or not with a role above his own.
        InvalidValue: the name cannot be one, or it has expired already.
    """
    caller.require(Role.ADMIN)
    caller.require(role)
    now = service.clock()
    if expires_at is not None and expires_at <= now:
        raise InvalidValue("It would have expired already.", field="expiresAt")
    key, api_key = new_key(caller.organization_id, checked_name(name), role, now)
    api_key = replace(api_key, created_by=caller.user_id, expires_at=expires_at)
    with service.database.transaction() as transaction:
        store = transaction.of(caller.organization_id)
        if (earlier := earlier_answer(store, caller, now)) is not None:
            return CreatedKey(None, store.api_keys.get(earlier))
        store.api_keys.add(api_key)
        remember(store, caller, api_key.id)
    return CreatedKey(key, api_key)


def list_api_keys(
    service: Service, caller: Caller, cursor: str | None, *, limit: int
) -> Page[ApiKey]:
    """The organization's keys, revoked ones too, the newest first."""
    caller.require(Role.ADMIN)
    with service.database.reading() as transaction:
        return transaction.of(caller.organization_id).api_keys.page(cursor, limit=limit)


def revoke_api_key(service: Service, caller: Caller, id: UUID) -> None:
    """It opens nothing from now on; nothing if it did not anyway.

    Raises:
        Forbidden: the caller may not, or the key may more than he.
        NotFound: there is none.
    """
    caller.require(Role.ADMIN)
    with service.database.transaction() as transaction:
        store = transaction.of(caller.organization_id)
        api_key = store.api_keys.get_locked(id)
        caller.require(api_key.role)
        if api_key.revoked_at is None:
            store.api_keys.replace(replace(api_key, revoked_at=service.clock()))


def new_key(organization_id: UUID, name: str, role: Role, now: datetime) -> tuple[str, ApiKey]:
    """A key, and what is kept of it."""
    key = _MARK + _in_base_62(secrets.randbits(256))
    api_key = ApiKey(
        id=new_id(now),
        organization_id=organization_id,
        name=name,
        prefix=key[:_PREFIX],
        hash=hash_of(key),
        role=role,
        created_by=None,
        created_at=now,
    )
    return key, api_key


def _in_base_62(number: int) -> str:
    digits: list[str] = []
    for _ in range(_LENGTH):
        number, digit = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
