"""The records of one organization, whichever kind they are.

In: a scope, which names the organization.  Out: its records, and nobody else's: every statement
here says whose it asks for, so that no caller can forget it.  What is another organization's is not
found.
"""

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Generic
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    delete,
    func,
    insert,
    select,
    update,
)

from modelgenerator.service.errors import InvalidValue, NotFound
from modelgenerator.service.store.columns import Kind, R

LONGEST_PAGE = 200


@dataclass(frozen=True, slots=True)
class OrganizationScope:
    """On whose behalf the store is asked, within one transaction."""

    connection: Connection
    organization_id: UUID


@dataclass(frozen=True, slots=True)
class Page(Generic[R]):
    """A piece of a list, the newest first."""

    items: tuple[R, ...]
    next_cursor: str | None
    """Where the next piece begins; none: this is the last."""


class Unchanging(Generic[R]):
    """Records of one kind that are written once."""

    def __init__(self, scope: OrganizationScope, kind: Kind[R]) -> None:
        self._scope = scope
        self._connection = scope.connection
        self._kind = kind
        self._columns = kind.table.columns

    def add(self, record: R) -> None:
        """Remember a new record.

        Raises:
            AlreadyExists: what must be one of a kind is taken; the transaction is over.
        """
        row = self._kind.row(record)
        assert row["organization_id"] == self._scope.organization_id, "another organization's"
        self._connection.execute(insert(self._kind.table).values(row))

    def find(self, id: UUID) -> R | None:
        """The record with this id, if it is there."""
        return self.first(id=id)

    def get(self, id: UUID) -> R:
        """The record with this id.

        Raises:
            NotFound: there is none, or it is another organization's.
        """
        return self._there(self.find(id), id)

    def first(self, **equal: object) -> R | None:
        """The oldest record whose fields equal these."""
        query = self._select(**equal).order_by(self._columns.id).limit(1)
        row = self._connection.execute(query).first()
        return None if row is None else self._kind.read(row)

    def all(self, **equal: object) -> list[R]:
        """All records whose fields equal these, the oldest first: for sets that are small."""
        query = self._select(**equal).order_by(self._columns.id)
        return [self._kind.read(row) for row in self._connection.execute(query)]

    def some(self, ids: Iterable[UUID]) -> dict[UUID, R]:
        """The records with these ids, as far as they are there: for a page of others' ids."""
        query = select(self._kind.table).where(self._one_of("id", ids))
        return {row.id: self._kind.read(row) for row in self._connection.execute(query)}

    def among(self, name: str, values: Iterable[object]) -> list[R]:
        """The records whose field `name`, which has an index, is one of `values`, by id."""
        query = select(self._kind.table).where(self._one_of(name, values))
        rows = self._connection.execute(query.order_by(self._columns.id))
        return [self._kind.read(row) for row in rows]

    def count(self, **equal: object) -> int:
        """How many records have fields that equal these."""
        query = select(func.count()).select_from(self._kind.table).where(self._where(**equal))
        return self._connection.execute(query).scalar_one()

    def page(self, cursor: str | None = None, *, limit: int = 50, **equal: object) -> Page[R]:
        """The newest records whose fields equal these, or those after `cursor`.

        A cursor is the id that was seen last: what comes in between appears before it, so that
        nothing is shown twice and nothing is left out.

        Raises:
            InvalidValue: a cursor that no page gave, or a limit out of range.
        """
        return self._page(self._select(**equal), cursor, limit)

    def _page(self, chosen: Select[Any], cursor: str | None, limit: int) -> Page[R]:
        """The newest of the `chosen` records, or those after `cursor`."""
        if not 1 <= limit <= LONGEST_PAGE:
            raise InvalidValue(f"limit is 1 to {LONGEST_PAGE}, not {limit}.", field="limit")
        query = chosen.order_by(self._columns.id.desc()).limit(limit + 1)
        if cursor is not None:
            query = query.where(self._columns.id < _id_in(cursor))
        rows = self._connection.execute(query).all()
        last = _cursor_at(rows[limit - 1].id) if len(rows) > limit else None
        return Page(tuple(self._kind.read(row) for row in rows[:limit]), last)

    def delete(self, id: UUID) -> None:
        """Forget the record and what belongs to it.

        Raises:
            NotFound: there is none, or it is another organization's.
            StillInUse: another record refers to it; the transaction is over.
        """
        gone = self._connection.execute(delete(self._kind.table).where(self._where(id=id)))
        self._there(gone.rowcount or None, id)

    def _select(self, **equal: object) -> Select[Any]:
        return select(self._kind.table).where(self._where(**equal))

    def _where(self, **equal: object) -> ColumnElement[bool]:
        """The one condition of every statement: this organization's, and `equal`."""
        asked = (self._columns[name] == value for name, value in equal.items())
        return and_(self._columns.organization_id == self._scope.organization_id, *asked)

    def _one_of(self, name: str, values: Iterable[object] | Select[Any]) -> ColumnElement[bool]:
        """This organization's, and the field `name` is one of `values`.

        SQLite believes that an organization has ten records, and would rather read all of them than
        look for fifty: an expression in place of the column leaves it only the other way.
        """
        owner = func.coalesce(self._columns.organization_id, self._columns.organization_id)
        mine = owner == self._scope.organization_id
        chosen = values if isinstance(values, Select) else list(values)
        return and_(mine, self._columns[name].in_(chosen))

    def _there(self, found: Any, id: UUID) -> Any:
        if found is None:
            raise NotFound(self._kind.called, id)
        return found


class Records(Unchanging[R]):
    """Records of one kind that may change."""

    def get_locked(self, id: UUID) -> R:
        """The record with this id, which nobody else changes until this transaction ends.

        Raises:
            NotFound: there is none, or it is another organization's.
        """
        query = self._select(id=id).with_for_update()
        row = self._connection.execute(query).first()
        return self._there(None if row is None else self._kind.read(row), id)

    def all_locked(self, **equal: object) -> list[R]:
        """As `all`, and nobody else changes them until this transaction ends."""
        query = self._select(**equal).order_by(self._columns.id).with_for_update()
        return [self._kind.read(row) for row in self._connection.execute(query)]

    def replace(self, record: R) -> None:
        """Remember `record` in place of the one with its id.

        Raises:
            NotFound: there is none, or it is another organization's.
            AlreadyExists: what must be one of a kind is taken; the transaction is over.
        """
        row = self._kind.row(record)
        assert row["organization_id"] == self._scope.organization_id, "another organization's"
        statement = update(self._kind.table).where(self._where(id=row["id"])).values(row)
        self._there(self._connection.execute(statement).rowcount or None, row["id"])


def _cursor_at(id: UUID) -> str:
    return base64.urlsafe_b64encode(id.bytes).decode().rstrip("=")


def _id_in(cursor: str) -> UUID:
    try:
        return UUID(bytes=base64.urlsafe_b64decode(cursor + "=="))
    except (ValueError, binascii.Error):
        message = "This cursor is none that a page gave: begin without one."
        raise InvalidValue(message, field="cursor") from None
