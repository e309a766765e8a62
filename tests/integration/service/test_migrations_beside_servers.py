"""A server of a later version changes the tables while one of an earlier version is at work."""

import shutil
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import Column, Connection, Integer, MetaData, Table, Text, text
from tests.integration.service.conftest import NewUrl

from modelgenerator.service.store import migrate
from modelgenerator.service.store.database import Database

FIRST = "0001"
ENOUGH = 7
"""Psycopg prepares a statement that it was given five times: it must still hold afterwards."""
SECONDS = 60
LATER = """
import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{head}"


def upgrade():
    op.add_column("jobs", sa.Column("later", sa.Text(), nullable=True))
"""


@pytest.fixture
def database(new_url: NewUrl) -> Iterator[Database]:
    """Empty."""
    opened = Database(new_url())
    yield opened
    opened.close()


@pytest.fixture
def later_version(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """This program has one more step than it has."""
    steps = tmp_path / "migrations"
    shutil.copytree(migrate.STEPS, steps)
    names = sorted(path.name for path in (steps / "versions").glob("[0-9]*.py"))
    step = LATER.format(head=names[-1][:4])
    (steps / "versions" / "9999_later.py").write_text(step, encoding="utf-8")
    monkeypatch.setattr(migrate, "STEPS", steps)


def test_a_server_of_the_first_version_goes_on_with_todays_tables(database: Database):
    with database.changing_tables() as connection:
        migrate.upgrade(connection, FIRST)
        first = _tables(connection)
    with database.engine.connect() as earlier:
        for number in range(ENOUGH):
            _speak(earlier, first, number)
        migrate.migrate(database)
        for number in range(ENOUGH):
            _speak(earlier, first, number)
    with database.changing_tables() as connection:
        assert _faults(first, _tables(connection)) == []


def test_what_an_earlier_server_could_not_bear_is_found():
    before, after = MetaData(), MetaData()
    Table("kept", before, Column("a", Text), Column("b", Text), Column("c", Text))
    Table("gone", before, Column("a", Text))
    Table(
        "kept",
        after,
        Column("a", Integer),
        Column("b", Text, nullable=False),
        Column("d", Text, nullable=False),
        Column("e", Text, nullable=False, server_default="x"),
        Column("f", Text),
    )
    assert _faults(before, after) == [
        "gone is gone",
        "kept.a is not what it was",
        "kept.b is not what it was",
        "kept.c is gone",
        "kept.d must be written, and an earlier server does not know it",
    ]


@pytest.mark.usefixtures("later_version")
def test_a_migration_that_has_to_wait_stops_nobody(
    new_postgres: NewUrl, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(migrate, "LOCK_SECONDS", 0.3)
    monkeypatch.setattr(migrate, "PAUSE_SECONDS", 0.1)
    monkeypatch.setattr(migrate, "TRIES", 10_000)
    database = Database(new_postgres())
    with database.changing_tables() as connection:
        migrate.upgrade(connection, FIRST)
    migrating = threading.Thread(target=migrate.migrate, args=(database,))
    with database.engine.connect() as long, database.engine.connect() as other:
        long.execute(text("SELECT id FROM jobs"))  # and does not end
        other.execute(text(f"SET statement_timeout = '{SECONDS}s'"))
        migrating.start()
        for _ in range(3):
            while not _waits_for_a_table(other):
                other.commit()
            other.execute(text("SELECT id FROM jobs"))
            other.commit()
        assert migrating.is_alive()
        long.commit()
        migrating.join(SECONDS)
        assert not migrating.is_alive()
        assert other.execute(text("SELECT later FROM jobs")).all() == []
    database.close()


def test_a_database_that_is_not_there_is_not_asked_again_and_again(tmp_path: Path):
    database = Database(f"postgresql://nobody@/nothing?host={tmp_path}")
    with pytest.raises(migrate.StoreBusy):
        migrate.migrate(database)
    database.close()


def _tables(connection: Connection) -> MetaData:
    tables = MetaData()
    tables.reflect(connection, only=lambda name, _: name != "alembic_version")
    return tables


def _speak(connection: Connection, tables: MetaData, number: int) -> None:
    """Write, read, change and delete in every table, with the columns that it had."""
    is_sqlite = connection.dialect.name == "sqlite"
    nobody_refers = "PRAGMA defer_foreign_keys = ON"
    connection.exec_driver_sql(
        nobody_refers if is_sqlite else "SET LOCAL session_replication_role = replica"
    )
    for table in tables.sorted_tables:
        row = {column.name: _value(column, number) for column in table.columns}
        key = [column == row[column.name] for column in table.primary_key.columns]
        connection.execute(table.insert().values(row).returning(*table.columns))
        found = connection.execute(table.select().where(*key)).one()
        assert set(found._mapping) == set(row), table.name
        assert connection.execute(table.update().where(*key).values(row)).rowcount == 1
        assert connection.execute(table.delete().where(*key)).rowcount == 1
    connection.commit()


def _value(column: Column[object], number: int) -> object:
    kind = column.type.python_type
    if kind is UUID:
        return UUID(int=number)
    if kind is str:
        return f"{number:032}"
    if kind is datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)
    return {int: number, bool: True, dict: {}, object: {}}[kind]


def _faults(before: MetaData, after: MetaData) -> list[str]:
    """What a server that knows the tables `before` cannot do with those `after`."""
    faults: list[str] = []
    for name, table in before.tables.items():
        if (now := after.tables.get(name)) is None:
            faults.append(f"{name} is gone")
            continue
        for column in table.columns:
            same = now.columns.get(column.name)
            if same is None:
                faults.append(f"{name}.{column.name} is gone")
            elif (str(same.type), same.nullable) != (str(column.type), column.nullable):
                faults.append(f"{name}.{column.name} is not what it was")
        faults += [
            f"{name}.{column.name} must be written, and an earlier server does not know it"
            for column in now.columns
            if column.name not in table.columns
            if not column.nullable and column.server_default is None
        ]
    return sorted(faults)


def _waits_for_a_table(connection: Connection) -> bool:
    query = "SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'"
    return connection.execute(text(query)).scalar_one() > 0
