"""The tables that migrations make are those that the records need."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from modelgenerator.service.errors import DatabaseTooNew
from modelgenerator.service.store.columns import METADATA
from modelgenerator.service.store.database import Database
from modelgenerator.service.store.migrate import migrate


def test_migrations_and_tables_agree(database):
    with database.changing_tables() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []


def test_names_of_constraints_are_those_of_the_convention(database):
    with database.changing_tables() as connection:
        inspector = inspect(connection)
        for table in METADATA.tables:
            names = [it["name"] for it in inspector.get_unique_constraints(table)]
            names += [it["name"] for it in inspector.get_foreign_keys(table)]
            assert all(name.startswith(("uq_", "fk_")) for name in names), table


def test_to_migrate_again_changes_nothing(url):
    database = Database(url)
    migrate(database)
    database.close()


def test_a_database_of_a_later_version_is_refused(new_url):
    database = Database(new_url())
    migrate(database)
    with database.changing_tables() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DatabaseTooNew, match="later version"):
        migrate(database)
    database.close()


def test_a_migration_that_is_interrupted_leaves_nothing(new_url, monkeypatch):
    database = Database(new_url())
    with monkeypatch.context() as patch:
        patch.setattr("alembic.command.upgrade", _halfway)
        with pytest.raises(KeyboardInterrupt):
            migrate(database)
    migrate(database)
    with database.transaction() as transaction:
        assert transaction.identities.organizations() == []
    database.close()


def _halfway(config, revision):
    del revision
    config.attributes["connection"].execute(text("CREATE TABLE organizations (id TEXT)"))
    raise KeyboardInterrupt
