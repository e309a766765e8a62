"""What other servers have loaded, so that pictures are left to them for a moment.

Servers of version 0002 go on with this table: they write nothing there.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"

JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    """From 0002."""
    op.add_column("servers", sa.Column("drawing", JSON, nullable=False, server_default="[]"))
