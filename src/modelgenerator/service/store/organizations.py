"""Organizations, their members, and what lets somebody in.

`Identities` is asked before it is known whose request it is: it finds an organization by what was
shown.  Everything after that goes through a scope.
"""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, UniqueConstraint, delete, insert, select, update

from modelgenerator.service.errors import NotFound
from modelgenerator.service.records.organizations import (
    ApiKey,
    Member,
    Organization,
    Session,
    User,
)
from modelgenerator.service.store.columns import Kind, R, belongs_to, kind_of

ORGANIZATIONS = kind_of(Organization, "organizations", called="organization")
USERS = kind_of(User, "users", UniqueConstraint("email"), called="user")
MEMBERS = kind_of(
    Member,
    "members",
    UniqueConstraint("organization_id", "user_id"),
    called="member",
    user_id=belongs_to("users.id"),
)
API_KEYS = kind_of(ApiKey, "api_keys", UniqueConstraint("hash"), called="API key")
SESSIONS = kind_of(
    Session,
    "sessions",
    UniqueConstraint("token_hash"),
    called="session",
    user_id=belongs_to("users.id"),
)


class Identities:
    """Who is there, in all organizations."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add_organization(self, organization: Organization) -> None:
        """A new organization, without members or money."""
        self._add(ORGANIZATIONS, organization)

    def organization(self, id: UUID) -> Organization:
        """The organization with this id.

        Raises:
            NotFound: there is none.
        """
        found = self._one(ORGANIZATIONS, id=id)
        if found is None:
            raise NotFound(ORGANIZATIONS.called, id)
        return found

    def organizations(self) -> list[Organization]:
        """All of them, the oldest first."""
        table = ORGANIZATIONS.table
        rows = self._connection.execute(select(table).order_by(table.columns.id))
        return [ORGANIZATIONS.read(row) for row in rows]

    def add_user(self, user: User) -> None:
        """A new person.

        Raises:
            AlreadyExists: somebody has this address; the transaction is over.
        """
        self._add(USERS, user)

    def user(self, id: UUID) -> User | None:
        """The person with this id."""
        return self._one(USERS, id=id)

    def users(self, ids: Iterable[UUID]) -> dict[UUID, User]:
        """The people with these ids, as far as they are there."""
        table = USERS.table
        query = select(table).where(table.columns.id.in_(list(ids)))
        return {row.id: USERS.read(row) for row in self._connection.execute(query)}

    def user_by_email(self, email: str) -> User | None:
        """The person with this address, however it is written."""
        return self._one(USERS, email=email.strip().lower())

    def replace_user(self, user: User) -> None:
        """Remember `user` in place of the one with his id."""
        table = USERS.table
        this = update(table).where(table.columns.id == user.id)
        self._connection.execute(this.values(USERS.row(user)))

    def memberships(self, user_id: UUID) -> list[Member]:
        """The organizations that a person belongs to, the oldest membership first."""
        table = MEMBERS.table
        query = select(table).where(table.columns.user_id == user_id).order_by(table.columns.id)
        return [MEMBERS.read(row) for row in self._connection.execute(query)]

    def api_key(self, hash: str) -> ApiKey | None:
        """The key with this hash; whether it is still valid, it says itself."""
        return self._one(API_KEYS, hash=hash)

    def mark_used(self, key: ApiKey, now: datetime) -> None:
        """Remember that a key was shown."""
        table = API_KEYS.table
        statement = update(table).where(table.columns.id == key.id).values(last_used_at=now)
        self._connection.execute(statement)

    def session(self, token_hash: str, now: datetime) -> Session | None:
        """The session with this token, unless it has expired."""
        found = self._one(SESSIONS, token_hash=token_hash)
        return found if found is not None and now < found.expires_at else None

    def end_sessions(self, user_id: UUID, *, but: str) -> int:
        """A person's browsers are let in no more, but the one with this token's hash; how many."""
        columns = SESSIONS.table.columns
        others = (columns.user_id == user_id, columns.token_hash != but)
        return self._connection.execute(delete(SESSIONS.table).where(*others)).rowcount

    def forget_sessions(self, now: datetime) -> int:
        """Delete those that have expired; how many."""
        table = SESSIONS.table
        expired = delete(table).where(table.columns.expires_at <= now)
        return self._connection.execute(expired).rowcount

    def _add(self, kind: Kind[R], record: R) -> None:
        self._connection.execute(insert(kind.table).values(kind.row(record)))

    def _one(self, kind: Kind[R], **equal: object) -> R | None:
        query = select(kind.table)
        for name, value in equal.items():
            query = query.where(kind.table.columns[name] == value)
        row = self._connection.execute(query).first()
        return None if row is None else kind.read(row)
