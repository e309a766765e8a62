"""Brings the tables of a database to what this version of the program expects.

In: a database, empty or from an earlier version.  Out: the same with today's tables, in one
transaction: a start that is interrupted leaves it as it was, and of two servers that start at once
one does it.  Servers of the earlier version may be at work: a step only adds what they do not know,
and waits for a table only so long that nobody notices.
"""

import time
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from modelgenerator.service.errors import DatabaseTooNew, StoreBusy
from modelgenerator.service.store.database import Database

STEPS = Path(__file__).parent / "migrations"
LAST = "head"
LOCK_SECONDS = 2.0
"""How long a table is waited for: whoever asks for it meanwhile waits behind us."""
TRIES, PAUSE_SECONDS = 30, 1.0
_LOCK = 0x4D6F64656C47656E
"""Any number that no other program takes in the same database: the letters ModelGen."""
_IN_THE_WAY = ("55P03", "40P01")
"""A lock was not there in time; two transactions waited for each other.
Source: https://www.postgresql.org/docs/current/errcodes-appendix.html."""


def migrate(database: Database) -> None:
    """Take the steps that are missing; nothing where there are none.

    Raises:
        DatabaseTooNew: a later version of this program has changed the tables.
        StoreBusy: another server is at it, or at work in these tables, and does not finish.
    """
    for _ in range(TRIES - 1):
        try:
            _take_steps(database)
        except StoreBusy as error:
            if not _was_in_the_way(error):
                raise
            time.sleep(PAUSE_SECONDS)
        else:
            return
    _take_steps(database)


def _take_steps(database: Database) -> None:
    with database.changing_tables() as connection:
        if not database.is_sqlite:
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
        upgrade(connection)


def upgrade(connection: Connection, to: str = LAST) -> None:
    """Take the steps up to one of them, in the transaction of `connection`."""
    config = Config()
    config.set_main_option("script_location", str(STEPS))
    config.attributes["connection"] = connection
    _refuse_later(connection, ScriptDirectory.from_config(config))
    command.upgrade(config, to)


def _was_in_the_way(error: StoreBusy) -> bool:
    """Whether somebody used what was to be changed; not whether the database is not there."""
    return getattr(getattr(error.__cause__, "orig", None), "sqlstate", None) in _IN_THE_WAY


def _refuse_later(connection: Connection, steps: ScriptDirectory) -> None:
    known = {step.revision for step in steps.walk_revisions()}
    taken = MigrationContext.configure(connection).get_current_heads()
    if not known.issuperset(taken):
        raise DatabaseTooNew
