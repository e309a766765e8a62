"""Who belongs to an organization, and as what.

In: who asks, and who is meant.  Out: members with their names.  One owner always stays.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from modelgenerator.service.errors import AlreadyExists, Conflict, InvalidValue
from modelgenerator.service.operations.callers import Caller, earlier_answer, remember
from modelgenerator.service.operations.names import checked_name
from modelgenerator.service.operations.passwords import hash_password
from modelgenerator.service.operations.service import Service
from modelgenerator.service.records.ids import new_id
from modelgenerator.service.records.organizations import Member, Role, User
from modelgenerator.service.store.scoped import Page
from modelgenerator.service.store.transaction import OrganizationStore, Transaction

LONGEST_EMAIL = 254


@dataclass(frozen=True, slots=True)
class MemberSeen:
    """A member, and who that is."""

    member: Member
    user: User


def add_member(
    service: Service,
    caller: Caller,
    *,
    email: str,
    role: Role,
    password: str | None = None,
    name: str = "",
) -> MemberSeen:
    """A new member; who is new to the service needs a first password, others keep their own.

    Raises:
        Forbidden: the caller may not, or not with a role above his own.
        InvalidValue: no e-mail address, or no password for somebody new.
        AlreadyExists: he is a member, or is known here and has a password.
    """
    caller.require(Role.ADMIN)
    caller.require(role)
    email, now = _checked_email(email), service.clock()
    # before the transaction, because it is slow on purpose
    fresh = _user(email, name, hash_password(password), now) if password is not None else None
    with service.database.transaction() as transaction:
        store = transaction.of(caller.organization_id)
        if (earlier := earlier_answer(store, caller, now)) is not None:
            return _seen(transaction, store.members.get(earlier))
        user = _known_or_added(transaction, email, fresh)
        member = Member(
            id=new_id(now),
            organization_id=caller.organization_id,
            user_id=user.id,
            role=role,
            created_at=now,
        )
        _add(store, member)
        remember(store, caller, member.id)
    return MemberSeen(member, user)


def list_members(
    service: Service, caller: Caller, cursor: str | None, *, limit: int
) -> Page[MemberSeen]:
    """The organization's members, the newest first."""
    caller.require(Role.VIEWER)
    with service.database.reading() as transaction:
        page = transaction.of(caller.organization_id).members.page(cursor, limit=limit)
        return Page(_all_seen(transaction, page.items), page.next_cursor)


def list_administrators(service: Service, caller: Caller) -> tuple[MemberSeen, ...]:
    """Whom a member asks who may not do something himself: administrators, then owners."""
    caller.require(Role.VIEWER)
    with service.database.reading() as transaction:
        members = transaction.of(caller.organization_id).members
        able = [it for role in (Role.ADMIN, Role.OWNER) for it in members.all(role=role)]
        return _all_seen(transaction, able)


def change_role(service: Service, caller: Caller, id: UUID, role: Role) -> MemberSeen:
    """Give a member another role; keys of his that may more than it are revoked.

    Raises:
        Forbidden: the caller may not, or it is above his own, or the member is.
        NotFound: there is no such member.
        Conflict: he is the last owner.
    """
    caller.require(Role.ADMIN)
    caller.require(role)
    with service.database.transaction() as transaction:
        store = transaction.of(caller.organization_id)
        member = _member_to_change(store, caller, id, becomes=role)
        store.members.replace(replace(member, role=role))
        _revoke_keys(store, member.user_id, service.clock(), above=role)
        return _seen(transaction, store.members.get(id))


def remove_member(service: Service, caller: Caller, id: UUID) -> None:
    """He is let in no more, nor are the keys that he made.

    Raises:
        Forbidden: the caller may not, or the member's role is above his own.
        NotFound: there is no such member.
        Conflict: he is the last owner.
    """
    caller.require(Role.ADMIN)
    with service.database.transaction() as transaction:
        store = transaction.of(caller.organization_id)
        member = _member_to_change(store, caller, id, becomes=None)
        for session in store.sessions.all(user_id=member.user_id):
            store.sessions.delete(session.id)
        _revoke_keys(store, member.user_id, service.clock(), above=None)
        store.members.delete(id)


def _member_to_change(
    store: OrganizationStore, caller: Caller, id: UUID, *, becomes: Role | None
) -> Member:
    # all of them, so that two owners do not remove each other at once
    owners = store.members.all_locked(role=Role.OWNER)
    member = store.members.get_locked(id)
    caller.require(member.role)
    if becomes != Role.OWNER and [owner.id for owner in owners] == [id]:
        raise Conflict(
            "The last owner stays: somebody must be able to do everything.",
            hint="Make another member an owner first.",
        )
    return member


def _revoke_keys(
    store: OrganizationStore, user_id: UUID, now: datetime, *, above: Role | None
) -> None:
    for key in store.api_keys.all(created_by=user_id, revoked_at=None):
        if above is None or not above.may_act_as(key.role):
            store.api_keys.replace(replace(key, revoked_at=now))


def _known_or_added(transaction: Transaction, email: str, fresh: User | None) -> User:
    known = transaction.identities.user_by_email(email)
    if known is not None and fresh is not None:
        raise AlreadyExists(
            f"{email} is known here and has a password.",
            field="password",
            hint="Leave the password out to add the same person.",
        )
    if known is not None:
        return known
    if fresh is None:
        raise InvalidValue(f"{email} is new here and needs a first password.", field="password")
    transaction.identities.add_user(fresh)
    return fresh


def _add(store: OrganizationStore, member: Member) -> None:
    if store.members.count(user_id=member.user_id):
        raise AlreadyExists("This person is a member already.", field="email")
    store.members.add(member)


def _all_seen(transaction: Transaction, members: Sequence[Member]) -> tuple[MemberSeen, ...]:
    users = transaction.identities.users(member.user_id for member in members)
    return tuple(MemberSeen(member, users[member.user_id]) for member in members)


def _seen(transaction: Transaction, member: Member) -> MemberSeen:
    user = transaction.identities.user(member.user_id)
    assert user is not None, "a member is somebody"
    return MemberSeen(member, user)


def _user(email: str, name: str, password_hash: str, now: datetime) -> User:
    return User(
        id=new_id(now),
        email=email,
        name=checked_name(name or email.partition("@")[0]),
        password_hash=password_hash,
        created_at=now,
    )


def _checked_email(text: str) -> str:
    email = checked_name(text, field="email").lower()
    before, at, after = email.rpartition("@")
    if not (before and at and after) or " " in email or len(email) > LONGEST_EMAIL:
        raise InvalidValue(f"{email} is no e-mail address.", field="email")
    return email
