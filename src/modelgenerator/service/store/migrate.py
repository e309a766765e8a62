"""Brings the tables of a database to what this version of the program expects.

In: a database, empty or from an earlier version.  Out: the same with today's tables, in one
transaction: a start that is interrupted leaves it as it was, and of two servers that start at once
one does it.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from modelgenerator.service.errors import DatabaseTooNew
from modelgenerator.service.store.database import Database

STEPS = Path(__file__).parent / "migrations"
_LOCK = 0x4D6F64656C47656E
"""Any number that no other program takes in the same database: the letters ModelGen."""


def migrate(database: Database) -> None:
    """Take the steps that are missing; nothing where there are none.

    Raises:
        DatabaseTooNew: a later version of this program has changed the tables.
        StoreBusy: another server is at it and does not finish.
    """
    with database.changing_tables() as connection:
        if not database.is_sqlite:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
        config = Config()
        config.set_main_option("script_location", str(STEPS))
        config.attributes["connection"] = connection
        _refuse_later(connection, ScriptDirectory.from_config(config))
        command.upgrade(config, "head")


def _refuse_later(connection: Connection, steps: ScriptDirectory) -> None:
    known = {step.revision for step in steps.walk_revisions()}
    taken = MigrationContext.configure(connection).get_current_heads()
    if not known.issuperset(taken):
        raise DatabaseTooNew
