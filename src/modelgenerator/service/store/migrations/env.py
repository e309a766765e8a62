"""What Alembic runs for a migration: it works on the connection that `migrate` hands it.

Alembic runs this file; nobody imports it.
"""

from alembic import context
from sqlalchemy import Connection


def run() -> None:
    """Take the steps that are missing, in the transaction of the connection."""
    connection: Connection = context.config.attributes["connection"]
    # SQLite changes a column by copying its table
    context.configure(connection=connection, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()


run()
