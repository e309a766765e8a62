"""What a cluster needs to know of jobs, and which servers there are.

Servers of version 0001 go on with these tables: what is new may be absent.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"

INSTANT = sa.DateTime(timezone=True)
JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    """From 0001."""
    op.add_column("jobs", sa.Column("base_model", sa.Text(), nullable=True))
    op.add_column("jobs", sa.Column("lora_sha256", sa.Text(), nullable=True))
    op.add_column("jobs", sa.Column("passed_over_at", INSTANT, nullable=True))
    op.add_column("jobs", sa.Column("machine", sa.Text(), nullable=True))
    op.add_column("jobs", sa.Column("place_gpu_memory", sa.BigInteger(), nullable=True))
    op.add_column("jobs", sa.Column("makes_room_for", sa.Uuid(), nullable=True))
    op.create_index(
        "ix_jobs_organization_id_status_base_model_id",
        "jobs",
        ["organization_id", "status", "base_model", "id"],
    )
    op.create_index(
        "ix_jobs_organization_id_finished_at", "jobs", ["organization_id", "finished_at"]
    )
    op.create_table(
        "servers",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("executor", sa.Text(), nullable=False),
        sa.Column("machines", JSON, nullable=False),
        sa.Column("places", JSON, nullable=False),
        sa.Column("started_at", INSTANT, nullable=False),
        sa.Column("seen_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_servers"),
    )
