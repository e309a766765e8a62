"""How a record's fields become columns: one table a kind of record, one column a field.

In: a frozen dataclass, and what the database must know beyond it (keys, references, indexes).
Out: a `Kind`, with a table that SQLite and Postgres both can have.  Which queries are asked is not
known.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, Generic, TypeVar, get_args, get_type_hints
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    MetaData,
    Row,
    String,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.schema import SchemaItem
from sqlalchemy.types import TypeDecorator, TypeEngine

R = TypeVar("R")
"""A record."""

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
"""All tables; constraints have names, by which a later migration can call them."""


@dataclass(frozen=True, slots=True)
class Kind(Generic[R]):
    """One kind of record and where it is kept."""

    record: type[R]
    table: Table
    called: str
    """In words, as "training template"."""

    def row(self, record: R) -> dict[str, Any]:
        """What is stored of a record: all of it."""
        return {column.name: getattr(record, column.name) for column in self.table.columns}

    def read(self, row: Row[Any]) -> R:
        """The record that a row is."""
        return self.record(**row._mapping)  # pyright: ignore[reportPrivateUsage]  # its public name


def kind_of(
    record: type[R],
    table: str,
    *more: SchemaItem,
    called: str,
    key: tuple[str, ...] = ("id",),
    **leads: ForeignKey,
) -> Kind[R]:
    """The kind of `record`: `key` is its primary key, `leads` says where columns lead.

    What has an organization refers to it, and is found by it.
    """
    types = get_type_hints(record)
    names = [field.name for field in fields(record)]  # pyright: ignore[reportArgumentType]
    extras = list(more)
    if "organization_id" in names and "organization_id" not in leads:
        leads["organization_id"] = refers_to("organizations.id")
        if key == ("id",):
            extras.append(Index(None, "organization_id", "id"))
    columns = [_column(name, types[name], leads.get(name), is_key=name in key) for name in names]
    return Kind(record, Table(table, METADATA, *columns, *extras), called)


def refers_to(target: str) -> ForeignKey:
    """A reference that keeps its target from being deleted."""
    return ForeignKey(target)


def belongs_to(target: str) -> ForeignKey:
    """A reference to something with which this is deleted."""
    return ForeignKey(target, ondelete="CASCADE")


class UtcTime(TypeDecorator[datetime]):
    """An instant; SQLite, which has none, keeps it in UTC without saying so."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        assert value.tzinfo is not None, "a time without a zone is no instant"
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class EnumText(TypeDecorator[StrEnum]):
    """A member of `members` by its value; a new member needs no migration."""

    impl = String(32)
    cache_ok = True

    def __init__(self, members: type[StrEnum]) -> None:
        super().__init__()
        self.members = members

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        del dialect
        return None if value is None else self.members(value).value

    def process_result_value(self, value: str | None, dialect: Dialect) -> StrEnum | None:
        del dialect
        return None if value is None else self.members(value)


class JsonOf(TypeDecorator[Any]):
    """A value of `kind` as JSON, checked when it is read; a number that is none becomes null."""

    impl = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
    cache_ok = True

    def __init__(self, kind: Any) -> None:
        super().__init__()
        self.kind = kind
        self._adapter: TypeAdapter[Any] = TypeAdapter(kind)

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        del dialect
        return None if value is None else json.loads(self._adapter.dump_json(value))

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        del dialect
        return None if value is None else self._adapter.validate_python(value)


def _column(name: str, kind: Any, leads: ForeignKey | None, *, is_key: bool) -> Column[Any]:
    optional = isinstance(kind, UnionType) and NoneType in get_args(kind)
    references = [] if leads is None else [leads]
    type_ = _type_of(_without_none(kind) if optional else kind)
    return Column(name, type_, *references, primary_key=is_key, nullable=optional)


def _without_none(kind: Any) -> Any:
    (only,) = (part for part in get_args(kind) if part is not NoneType)
    return only


def _type_of(kind: Any) -> TypeEngine[Any]:
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return EnumText(kind)
    return _PLAIN[kind]() if kind in _PLAIN else JsonOf(kind)


_PLAIN: Mapping[Any, type[TypeEngine[Any]]] = {
    UUID: Uuid,
    str: Text,
    int: BigInteger,
    bool: Boolean,
    datetime: UtcTime,
}
