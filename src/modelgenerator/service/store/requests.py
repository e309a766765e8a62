"""Requests that must not happen twice: what was answered, by the key that came along.

The key is kept in the transaction of what the request did: either both are there or neither, so
that no request is ever half done or in the dark.
"""

from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from modelgenerator.service.errors import IdempotencyMismatch
from modelgenerator.service.records.requests import IdempotencyKey
from modelgenerator.service.store.columns import kind_of
from modelgenerator.service.store.scoped import OrganizationScope

KEYS = kind_of(
    IdempotencyKey,
    "idempotency_keys",
    called="idempotency key",
    key=("organization_id", "key"),
)
UNANSWERED = 0
"""The status of a request that is being answered, within its own transaction only."""


class IdempotencyKeys:
    """The keys of one organization."""

    def __init__(self, scope: OrganizationScope) -> None:
        self._scope = scope
        self._connection = scope.connection

    def begin(self, key: str, fingerprint: str, now: datetime) -> IdempotencyKey | None:
        """What was answered before to this key; none: this is the first request, `answer` it.

        A second request with the key waits until the first has been answered.

        Raises:
            IdempotencyMismatch: the key came before with another request.
        """
        fresh = IdempotencyKey(
            organization_id=self._scope.organization_id,
            key=key,
            fingerprint=fingerprint,
            status=UNANSWERED,
            body={},
            created_at=now,
        )
        dialect = {"sqlite": sqlite, "postgresql": postgresql}[self._connection.dialect.name]
        insert = dialect.insert(KEYS.table).values(KEYS.row(fresh)).on_conflict_do_nothing()
        if self._connection.execute(insert.returning(KEYS.table.columns.key)).first() is not None:
            return None
        return self.find(key, fingerprint)

    def find(self, key: str, fingerprint: str) -> IdempotencyKey | None:
        """What was answered to this key, as far as it is known already; begins nothing.

        Raises:
            IdempotencyMismatch: the key came before with another request.
        """
        query = select(KEYS.table).where(self._this(key))
        row = self._connection.execute(query).first()
        if row is None:
            return None
        earlier = KEYS.read(row)
        if earlier.fingerprint != fingerprint:
            raise IdempotencyMismatch
        return earlier

    def answer(self, key: str, *, status: int, body: dict[str, object]) -> None:
        """Remember what the request that `begin` found to be the first was answered."""
        statement = update(KEYS.table).where(self._this(key)).values(status=status, body=body)
        self._connection.execute(statement)

    def _this(self, key: str) -> ColumnElement[bool]:
        columns = KEYS.table.columns
        mine = columns.organization_id == self._scope.organization_id
        return and_(mine, columns.key == key)


def forget_keys(connection: Connection, before: datetime) -> int:
    """Delete the keys of all organizations that were first shown before then; how many."""
    table = KEYS.table
    return connection.execute(delete(table).where(table.columns.created_at < before)).rowcount
