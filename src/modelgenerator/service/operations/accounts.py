"""Who is let in: by an API key, or by an e-mail address and a password.

In: what somebody shows.  Out: a `Caller`, or nobody.  Keys and tokens are random and are kept as
hashes, so that the database lets nobody in; how they travel in a request is not known here.
"""

import hashlib
import secrets
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from modelgenerator.service.errors import (
    Forbidden,
    InvalidValue,
    StorageFull,
    StoreBusy,
    Unauthenticated,
)
from modelgenerator.service.operations.callers import Caller
from modelgenerator.service.operations.passwords import hash_password, is_outdated, is_password
from modelgenerator.service.operations.service import Service
from modelgenerator.service.records.datasets import Origin
from modelgenerator.service.records.ids import new_id
from modelgenerator.service.records.organizations import ApiKey, Member, Session, User
from modelgenerator.service.store.transaction import Transaction

SESSION_LENGTH = timedelta(days=14)
_SESSION_MARK = "mgs_"
_USE_IS_NEWS = timedelta(minutes=1)


def hash_of(secret: str) -> str:
    """What is kept of a key or a token."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def authenticate(service: Service, shown: str) -> Caller:
    """On whose behalf somebody asks who shows an API key, or the token of a session.

    Raises:
        Unauthenticated: it opens nothing, or nothing any more.
    """
    how = authenticate_session if shown.startswith(_SESSION_MARK) else authenticate_key
    return how(service, shown)


def authenticate_key(service: Service, key: str) -> Caller:
    """On whose behalf somebody asks who shows this API key.

    Raises:
        Unauthenticated: there is no such key, or it is revoked or has expired.
    """
    now = service.clock()
    with service.database.reading() as transaction:
        found = transaction.identities.api_key(hash_of(key))
    if found is None or not found.is_valid(now):
        raise Unauthenticated(
            "This API key is not valid.",
            hint="It may be mistyped, revoked or expired: ask an administrator for a new one.",
        )
    _mark_used(service, found, now)
    return Caller(organization_id=found.organization_id, role=found.role, origin=Origin.API)


def authenticate_session(service: Service, token: str) -> Caller:
    """On whose behalf a browser asks that shows this token.

    Raises:
        Unauthenticated: it has not signed in, or not lately, or is not a member any more.
    """
    with service.database.reading() as transaction:
        session = transaction.identities.session(hash_of(token), service.clock())
        member = session and _member(transaction, session)
    if member is None:
        raise Unauthenticated("Sign in first.")
    return Caller(
        organization_id=member.organization_id,
        role=member.role,
        origin=Origin.DASHBOARD,
        user_id=member.user_id,
    )


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A browser that is let in."""

    token: str
    """Shows who it is until `session.expires_at`; not kept."""
    session: Session
    user: User
    member: Member


def sign_in(service: Service, email: str, password: str, *, address: str) -> SignedIn:
    """Let in who knows the password, to the organization that he has belonged to the longest.

    `address` is where the request came from.

    Raises:
        Unauthenticated: the address or the password is wrong; which of them is not said.
        RateLimited: it was tried too often, from this address or for this e-mail.
    """
    now, email = service.clock(), email.strip().lower()
    service.attempts_by_address.count(address, now)
    service.attempts_by_email.count(hash_of(email), now)
    with service.database.reading() as transaction:
        user = transaction.identities.user_by_email(email)
    is_right = is_password(password, user and user.password_hash)
    if user is None or not is_right:
        raise Unauthenticated("The e-mail address or the password is wrong.")
    service.attempts_by_email.forget(hash_of(email))
    return _session_for(service, _with_fresh_hash(user, password), now)


def sign_out(service: Service, token: str) -> None:
    """The token lets nobody in any more; nothing if it did not anyway."""
    with service.database.transaction() as transaction:
        session = transaction.identities.session(hash_of(token), service.clock())
        if session is not None:
            transaction.of(session.organization_id).sessions.delete(session.id)


def change_password(service: Service, caller: Caller, current: str, new: str, *, token: str) -> int:
    """Another password for the caller; all his browsers but that of `token` sign in again.

    How many those were.

    Raises:
        Forbidden: the caller is an API key, which has none.
        InvalidValue: the current password is wrong (field `current`), or the new one cannot be one.
        RateLimited: it was tried too often.
    """
    user = _user_of(service, caller)
    service.attempts_by_email.count(hash_of(user.email), service.clock())
    if not is_password(current, user.password_hash):
        raise InvalidValue("This is not your current password.", field="current")
    service.attempts_by_email.forget(hash_of(user.email))
    changed = replace(user, password_hash=hash_password(new))
    with service.database.transaction() as transaction:
        transaction.identities.replace_user(changed)
        return transaction.identities.end_sessions(user.id, but=hash_of(token))


def _user_of(service: Service, caller: Caller) -> User:
    with service.database.reading() as transaction:
        user = transaction.identities.user(caller.user_id) if caller.user_id else None
    if user is None:
        raise Forbidden("An API key has no password.", hint="Sign in.")
    return user


def _session_for(service: Service, user: User, now: datetime) -> SignedIn:
    token = _SESSION_MARK + secrets.token_urlsafe(32)
    with service.database.transaction() as transaction:
        memberships = transaction.identities.memberships(user.id)
        if not memberships:
            raise Unauthenticated("You do not belong to an organization any more.")
        session = _session(user.id, memberships[0].organization_id, token, now)
        transaction.of(session.organization_id).sessions.add(session)
        transaction.identities.replace_user(user)
    return SignedIn(token, session, user, memberships[0])


def _session(user_id: UUID, organization_id: UUID, token: str, now: datetime) -> Session:
    return Session(
        id=new_id(now),
        organization_id=organization_id,
        user_id=user_id,
        token_hash=hash_of(token),
        created_at=now,
        expires_at=now + SESSION_LENGTH,
    )


def _with_fresh_hash(user: User, password: str) -> User:
    """`user`, whose password is hashed as one does it today."""
    if user.password_hash is None or not is_outdated(user.password_hash):
        return user
    return replace(user, password_hash=hash_password(password))


def _member(transaction: Transaction, session: Session) -> Member | None:
    return transaction.of(session.organization_id).members.first(user_id=session.user_id)


def _mark_used(service: Service, key: ApiKey, now: datetime) -> None:
    if key.last_used_at is not None and now - key.last_used_at < _USE_IS_NEWS:
        return
    # only shown to people: nobody is turned away because it cannot be written
    with suppress(StoreBusy, StorageFull), service.database.transaction() as transaction:
        transaction.identities.mark_used(key, now)
