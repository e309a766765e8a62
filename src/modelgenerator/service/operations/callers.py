"""Who asks, what he may do, and whether he has asked before.

In: what let somebody in.  Out: a `Caller`, which every operation is given first.  How he was let in
is not known here.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from modelgenerator.service.errors import Forbidden
from modelgenerator.service.records.datasets import Origin
from modelgenerator.service.records.organizations import Role
from modelgenerator.service.store.transaction import OrganizationStore


@dataclass(frozen=True, slots=True)
class RequestKey:
    """A request that must not happen twice."""

    key: str
    fingerprint: str
    """SHA-256 over method, address and body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """On whose behalf, and with which right, something is asked."""

    organization_id: UUID
    role: Role
    origin: Origin = Origin.API
    user_id: UUID | None = None
    request: RequestKey | None = None

    def require(self, needed: Role) -> None:
        """Raises Forbidden: the caller's role does not include `needed`."""
        if not self.role.may_act_as(needed):
            raise Forbidden(
                f"This needs the role {needed}, and yours is {self.role}.",
                hint="Ask an administrator of your organization.",
            )

    def numbered(self, number: int) -> "Caller":
        """For one of several things that one request asks for: each has a key of its own."""
        if self.request is None:
            return self
        key = f"{self.request.key} {number}"
        return replace(self, request=replace(self.request, key=key))


def earlier_answer(store: OrganizationStore, caller: Caller, now: datetime) -> UUID | None:
    """The id of what the same request made before; none: make it, and `remember` it.

    To be called first in the transaction that makes it.

    Raises:
        IdempotencyMismatch: the key came before with another request.
    """
    if caller.request is None:
        return None
    request = caller.request
    earlier = store.idempotency_keys.begin(request.key, request.fingerprint, now)
    return None if earlier is None else UUID(str(earlier.body["id"]))


def answered_before(store: OrganizationStore, caller: Caller) -> UUID | None:
    """The same, before slow work that would be in vain; does not begin the request.

    Raises:
        IdempotencyMismatch: the key came before with another request.
    """
    if caller.request is None:
        return None
    earlier = store.idempotency_keys.find(caller.request.key, caller.request.fingerprint)
    return None if earlier is None else UUID(str(earlier.body["id"]))


def remember(store: OrganizationStore, caller: Caller, id: UUID) -> None:
    """That the caller's request made the record `id`."""
    if caller.request is not None:
        store.idempotency_keys.answer(caller.request.key, status=201, body={"id": str(id)})
