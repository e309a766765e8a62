"""The first tables."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

INSTANT = sa.DateTime(timezone=True)
JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    """From nothing."""
    op.create_table(
        "organizations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_organizations"),
    )
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("email", name="uq_users_email"),
    )
    op.create_table(
        "accounts",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("balance", sa.BigInteger(), nullable=False),
        sa.Column("held", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name="fk_accounts_organization_id"
        ),
        sa.PrimaryKeyConstraint("organization_id", name="pk_accounts"),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("role", sa.String(32), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=True),
        sa.Column("last_used_at", INSTANT, nullable=True),
        sa.Column("revoked_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name="fk_api_keys_organization_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.UniqueConstraint("hash", name="uq_api_keys_hash"),
    )
    op.create_index(
        "ix_api_keys_organization_id_id", "api_keys", ["organization_id", "id"], unique=False
    )
    op.create_table(
        "datasets",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("origin", sa.String(32), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name="fk_datasets_organization_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_datasets"),
    )
    op.create_index(
        "ix_datasets_organization_id_id", "datasets", ["organization_id", "id"], unique=False
    )
    op.create_index("ix_datasets_expires_at", "datasets", ["expires_at"], unique=False)
    op.create_table(
        "deletion_receipts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("target_id", sa.Uuid(), nullable=False),
        sa.Column("storage_prefixes", JSON, nullable=False),
        sa.Column("counts", JSON, nullable=False),
        sa.Column("sha256s", JSON, nullable=False),
        sa.Column("requested_at", INSTANT, nullable=False),
        sa.Column("completed_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name="fk_deletion_receipts_organization_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_deletion_receipts"),
    )
    op.create_index(
        "ix_deletion_receipts_organization_id_target_id_id",
        "deletion_receipts",
        ["organization_id", "target_id", "id"],
        unique=False,
    )
    op.create_index(
        "ix_deletion_receipts_completed_at", "deletion_receipts", ["completed_at"], unique=False
    )
    op.create_index(
        "ix_deletion_receipts_organization_id_id",
        "deletion_receipts",
        ["organization_id", "id"],
        unique=False,
    )
    op.create_table(
        "flows",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("is_public", sa.Boolean(), nullable=False),
        sa.Column("version_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.Column("deleted_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name="fk_flows_organization_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_flows"),
        sa.UniqueConstraint("slug", name="uq_flows_slug"),
    )
    op.create_index("ix_flows_organization_id_id", "flows", ["organization_id", "id"], unique=False)
    op.create_table(
        "idempotency_keys",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("status", sa.BigInteger(), nullable=False),
        sa.Column("body", JSON, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name="fk_idempotency_keys_organization_id"
        ),
        sa.PrimaryKeyConstraint("organization_id", "key", name="pk_idempotency_keys"),
    )
    op.create_table(
        "inference_packs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("images", JSON, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name="fk_inference_packs_organization_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_inference_packs"),
    )
    op.create_index(
        "ix_inference_packs_organization_id_id",
        "inference_packs",
        ["organization_id", "id"],
        unique=False,
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("target_id", sa.Uuid(), nullable=False),
        sa.Column("spec", JSON, nullable=False),
        sa.Column("prices", JSON, nullable=False),
        sa.Column("estimate", sa.BigInteger(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("priority", sa.BigInteger(), nullable=False),
        sa.Column("gpus", sa.BigInteger(), nullable=False),
        sa.Column("gpu_memory", sa.BigInteger(), nullable=False),
        sa.Column("not_before", INSTANT, nullable=True),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("lost_attempts", sa.BigInteger(), nullable=False),
        sa.Column("lease_owner", sa.Text(), nullable=True),
        sa.Column("lease_until", INSTANT, nullable=True),
        sa.Column("cancel_requested_at", INSTANT, nullable=True),
        sa.Column("phase", sa.Text(), nullable=True),
        sa.Column("progress", JSON, nullable=True),
        sa.Column("checkpoint_key", sa.Text(), nullable=True),
        sa.Column("used_ms", sa.BigInteger(), nullable=False),
        sa.Column("event_count", sa.BigInteger(), nullable=False),
        sa.Column("error", JSON, nullable=True),
        sa.Column("started_at", INSTANT, nullable=True),
        sa.Column("finished_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name="fk_jobs_organization_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
    )
    op.create_index("ix_jobs_target_id", "jobs", ["target_id"], unique=False)
    op.create_index(
        "ix_jobs_organization_id_target_id_id",
        "jobs",
        ["organization_id", "target_id", "id"],
        unique=False,
    )
    op.create_index("ix_jobs_organization_id_id", "jobs", ["organization_id", "id"], unique=False)
    op.create_index("ix_jobs_status_lease_until", "jobs", ["status", "lease_until"], unique=False)
    op.create_index(
        "ix_jobs_first_in_its_organization",
        "jobs",
        ["organization_id", "status", sa.literal_column("priority DESC"), "id"],
        unique=False,
    )
    op.create_table(
        "members",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.String(32), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name="fk_members_organization_id"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_members_user_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_members"),
        sa.UniqueConstraint(
            "organization_id", "user_id", name="uq_members_organization_id_user_id"
        ),
    )
    op.create_index(
        "ix_members_organization_id_id", "members", ["organization_id", "id"], unique=False
    )
    op.create_table(
        "sessions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name="fk_sessions_organization_id"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_sessions_user_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
        sa.UniqueConstraint("token_hash", name="uq_sessions_token_hash"),
    )
    op.create_index(
        "ix_sessions_organization_id_id", "sessions", ["organization_id", "id"], unique=False
    )
    op.create_table(
        "training_templates",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("deleted_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name="fk_training_templates_organization_id",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_training_templates"),
    )
    op.create_index(
        "ix_training_templates_organization_id_id",
        "training_templates",
        ["organization_id", "id"],
        unique=False,
    )
    op.create_table(
        "dataset_pictures",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("dataset_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("upload_sha256", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("byte_count", sa.BigInteger(), nullable=False),
        sa.Column("width", sa.BigInteger(), nullable=False),
        sa.Column("height", sa.BigInteger(), nullable=False),
        sa.Column("caption", sa.Text(), nullable=True),
        sa.Column("storage_key", sa.Text(), nullable=False),
        sa.Column("mask_key", sa.Text(), nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset_id"],
            ["datasets.id"],
            name="fk_dataset_pictures_dataset_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name="fk_dataset_pictures_organization_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_dataset_pictures"),
        sa.UniqueConstraint(
            "dataset_id", "position", name="uq_dataset_pictures_dataset_id_position"
        ),
        sa.UniqueConstraint("dataset_id", "sha256", name="uq_dataset_pictures_dataset_id_sha256"),
        sa.UniqueConstraint(
            "dataset_id", "upload_sha256", name="uq_dataset_pictures_dataset_id_upload_sha256"
        ),
        sa.UniqueConstraint("dataset_id", "label", name="uq_dataset_pictures_dataset_id_label"),
    )
    op.create_index(
        "ix_dataset_pictures_organization_id_dataset_id_id",
        "dataset_pictures",
        ["organization_id", "dataset_id", "id"],
        unique=False,
    )
    op.create_index(
        "ix_dataset_pictures_organization_id_id",
        "dataset_pictures",
        ["organization_id", "id"],
        unique=False,
    )
    op.create_table(
        "dataset_snapshots",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("dataset_id", sa.Uuid(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("pictures", JSON, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset_id"],
            ["datasets.id"],
            name="fk_dataset_snapshots_dataset_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name="fk_dataset_snapshots_organization_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_dataset_snapshots"),
    )
    op.create_index(
        "ix_dataset_snapshots_organization_id_dataset_id_id",
        "dataset_snapshots",
        ["organization_id", "dataset_id", "id"],
        unique=False,
    )
    op.create_index(
        "ix_dataset_snapshots_organization_id_id",
        "dataset_snapshots",
        ["organization_id", "id"],
        unique=False,
    )
    op.create_table(
        "flow_versions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("flow_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("definition", JSON, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["flow_id"], ["flows.id"], name="fk_flow_versions_flow_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name="fk_flow_versions_organization_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_flow_versions"),
        sa.UniqueConstraint("flow_id", "number", name="uq_flow_versions_flow_id_number"),
    )
    op.create_index(
        "ix_flow_versions_organization_id_id",
        "flow_versions",
        ["organization_id", "id"],
        unique=False,
    )
    op.create_table(
        "holds",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("released_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_holds_job_id"),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name="fk_holds_organization_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_holds"),
        sa.UniqueConstraint("organization_id", "key", name="uq_holds_organization_id_key"),
    )
    op.create_index("ix_holds_organization_id_id", "holds", ["organization_id", "id"], unique=False)
    op.create_table(
        "job_attempts",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("started_at", INSTANT, nullable=False),
        sa.Column("ended_at", INSTANT, nullable=True),
        sa.Column("end", sa.String(32), nullable=True),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name="fk_job_attempts_job_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name="fk_job_attempts_organization_id"
        ),
        sa.PrimaryKeyConstraint("job_id", "number", name="pk_job_attempts"),
    )
    op.create_table(
        "job_events",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("data", JSON, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("is_final", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name="fk_job_events_job_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name="fk_job_events_organization_id"
        ),
        sa.PrimaryKeyConstraint("job_id", "sequence", name="pk_job_events"),
    )
    op.create_index(
        "uq_job_events_final",
        "job_events",
        ["job_id"],
        unique=True,
        sqlite_where=sa.text("is_final"),
        postgresql_where=sa.text("is_final"),
    )
    op.create_table(
        "ledger_entries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("balance_after", sa.BigInteger(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("memo", sa.Text(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_ledger_entries_job_id"),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name="fk_ledger_entries_organization_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_ledger_entries"),
        sa.UniqueConstraint("organization_id", "key", name="uq_ledger_entries_organization_id_key"),
    )
    op.create_index("ix_ledger_entries_job_id", "ledger_entries", ["job_id"], unique=False)
    op.create_index(
        "ix_ledger_entries_organization_id_id",
        "ledger_entries",
        ["organization_id", "id"],
        unique=False,
    )
    op.create_table(
        "subjects",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("class_name", sa.Text(), nullable=False),
        sa.Column("dataset_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], name="fk_subjects_dataset_id"),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name="fk_subjects_organization_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_subjects"),
        sa.UniqueConstraint("dataset_id", name="uq_subjects_dataset_id"),
    )
    op.create_index(
        "ix_subjects_organization_id_id", "subjects", ["organization_id", "id"], unique=False
    )
    op.create_table(
        "training_template_versions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("template_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("settings", JSON, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name="fk_training_template_versions_organization_id",
        ),
        sa.ForeignKeyConstraint(
            ["template_id"],
            ["training_templates.id"],
            name="fk_training_template_versions_template_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_training_template_versions"),
        sa.UniqueConstraint(
            "template_id", "number", name="uq_training_template_versions_template_id_number"
        ),
    )
    op.create_index(
        "ix_training_template_versions_organization_id_id",
        "training_template_versions",
        ["organization_id", "id"],
        unique=False,
    )
    op.create_table(
        "webhook_endpoints",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("secrets", JSON, nullable=False),
        sa.Column("event_types", JSON, nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("disabled_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name="fk_webhook_endpoints_job_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name="fk_webhook_endpoints_organization_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_endpoints"),
    )
    op.create_index(
        "ix_webhook_endpoints_organization_id_job_id_id",
        "webhook_endpoints",
        ["organization_id", "job_id", "id"],
        unique=False,
    )
    op.create_index(
        "ix_webhook_endpoints_organization_id_id",
        "webhook_endpoints",
        ["organization_id", "id"],
        unique=False,
    )
    op.create_table(
        "flow_runs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("flow_id", sa.Uuid(), nullable=False),
        sa.Column("version_id", sa.Uuid(), nullable=False),
        sa.Column("is_public", sa.Boolean(), nullable=False),
        sa.Column("input", JSON, nullable=False),
        sa.Column("dataset_ids", JSON, nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("error", JSON, nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("cancel_requested_at", INSTANT, nullable=True),
        sa.Column("event_count", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(["flow_id"], ["flows.id"], name="fk_flow_runs_flow_id"),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name="fk_flow_runs_organization_id"
        ),
        sa.ForeignKeyConstraint(
            ["version_id"], ["flow_versions.id"], name="fk_flow_runs_version_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_flow_runs"),
    )
    op.create_index(
        "ix_flow_runs_organization_id_flow_id_id",
        "flow_runs",
        ["organization_id", "flow_id", "id"],
        unique=False,
    )
    op.create_index(
        "ix_flow_runs_organization_id_id", "flow_runs", ["organization_id", "id"], unique=False
    )
    op.create_index("ix_flow_runs_status_id", "flow_runs", ["status", "id"], unique=False)
    op.create_table(
        "run_events",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("data", JSON, nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_run_events_job_id"),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name="fk_run_events_organization_id"
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["flow_runs.id"], name="fk_run_events_run_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", "sequence", name="pk_run_events"),
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("endpoint_id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("payload", JSON, nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("tries", sa.BigInteger(), nullable=False),
        sa.Column("next_try_at", INSTANT, nullable=False),
        sa.Column("response", sa.Text(), nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("delivered_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(
            ["endpoint_id"],
            ["webhook_endpoints.id"],
            name="fk_webhook_deliveries_endpoint_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name="fk_webhook_deliveries_organization_id",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_deliveries"),
    )
    op.create_index(
        "ix_webhook_deliveries_organization_id_endpoint_id_id",
        "webhook_deliveries",
        ["organization_id", "endpoint_id", "id"],
        unique=False,
    )
    op.create_index(
        "ix_webhook_deliveries_organization_id_id",
        "webhook_deliveries",
        ["organization_id", "id"],
        unique=False,
    )
    op.create_index(
        "ix_webhook_deliveries_status_next_try_at",
        "webhook_deliveries",
        ["status", "next_try_at"],
        unique=False,
    )
    op.create_table(
        "step_results",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("step_id", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("parameters", JSON, nullable=False),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("result", JSON, nullable=True),
        sa.Column("error", JSON, nullable=True),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("finished_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_step_results_job_id"),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name="fk_step_results_organization_id"
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["flow_runs.id"], name="fk_step_results_run_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_step_results"),
        sa.UniqueConstraint("run_id", "step_id", name="uq_step_results_run_id_step_id"),
    )
    op.create_index(
        "ix_step_results_organization_id_run_id_position",
        "step_results",
        ["organization_id", "run_id", "position"],
        unique=False,
    )
    op.create_index("ix_step_results_job_id", "step_results", ["job_id"], unique=False)
    op.create_index(
        "ix_step_results_organization_id_id",
        "step_results",
        ["organization_id", "id"],
        unique=False,
    )
    op.create_table(
        "trainings",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("origin", sa.String(32), nullable=False),
        sa.Column("snapshot_id", sa.Uuid(), nullable=False),
        sa.Column("template_version_id", sa.Uuid(), nullable=True),
        sa.Column("settings", JSON, nullable=False),
        sa.Column("plan", JSON, nullable=False),
        sa.Column("notices", JSON, nullable=False),
        sa.Column("estimate", JSON, nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("flow_run_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("deleted_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(["flow_run_id"], ["flow_runs.id"], name="fk_trainings_flow_run_id"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_trainings_job_id"),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name="fk_trainings_organization_id"
        ),
        sa.ForeignKeyConstraint(
            ["snapshot_id"], ["dataset_snapshots.id"], name="fk_trainings_snapshot_id"
        ),
        sa.ForeignKeyConstraint(
            ["template_version_id"],
            ["training_template_versions.id"],
            name="fk_trainings_template_version_id",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_trainings"),
    )
    op.create_index("ix_trainings_snapshot_id", "trainings", ["snapshot_id"], unique=False)
    op.create_index(
        "ix_trainings_organization_id_id", "trainings", ["organization_id", "id"], unique=False
    )
    op.create_table(
        "trained_models",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("training_id", sa.Uuid(), nullable=False),
        sa.Column("base_model", sa.Text(), nullable=False),
        sa.Column("family", sa.Text(), nullable=False),
        sa.Column("layout", sa.Text(), nullable=False),
        sa.Column("storage_key", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("byte_count", sa.BigInteger(), nullable=False),
        sa.Column("other_layout", JSON, nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.Column("deleted_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name="fk_trained_models_organization_id"
        ),
        sa.ForeignKeyConstraint(
            ["training_id"],
            ["trainings.id"],
            name="fk_trained_models_training_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_trained_models"),
        sa.UniqueConstraint("training_id", name="uq_trained_models_training_id"),
    )
    op.create_index(
        "ix_trained_models_deleted_at_expires_at",
        "trained_models",
        ["deleted_at", "expires_at"],
        unique=False,
    )
    op.create_index(
        "ix_trained_models_organization_id_id",
        "trained_models",
        ["organization_id", "id"],
        unique=False,
    )
    op.create_table(
        "inferences",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("base_model", sa.Text(), nullable=True),
        sa.Column("trained_model_id", sa.Uuid(), nullable=True),
        sa.Column("images", JSON, nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("flow_run_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["flow_run_id"], ["flow_runs.id"], name="fk_inferences_flow_run_id"
        ),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_inferences_job_id"),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name="fk_inferences_organization_id"
        ),
        sa.ForeignKeyConstraint(
            ["trained_model_id"], ["trained_models.id"], name="fk_inferences_trained_model_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_inferences"),
    )
    op.create_index(
        "ix_inferences_organization_id_trained_model_id_id",
        "inferences",
        ["organization_id", "trained_model_id", "id"],
        unique=False,
    )
    op.create_index(
        "ix_inferences_organization_id_id", "inferences", ["organization_id", "id"], unique=False
    )
    op.create_table(
        "generated_pictures",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("inference_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("storage_key", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("byte_count", sa.BigInteger(), nullable=False),
        sa.Column("width", sa.BigInteger(), nullable=False),
        sa.Column("height", sa.BigInteger(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("parameters", JSON, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["inference_id"],
            ["inferences.id"],
            name="fk_generated_pictures_inference_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name="fk_generated_pictures_organization_id",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_generated_pictures"),
        sa.UniqueConstraint(
            "inference_id", "position", name="uq_generated_pictures_inference_id_position"
        ),
    )
    op.create_index(
        "ix_generated_pictures_organization_id_inference_id_id",
        "generated_pictures",
        ["organization_id", "inference_id", "id"],
        unique=False,
    )
    op.create_index(
        "ix_generated_pictures_organization_id_id",
        "generated_pictures",
        ["organization_id", "id"],
        unique=False,
    )
    op.create_table(
        "measured_rates",
        sa.Column("machine", sa.Text(), nullable=False),
        sa.Column("base_model", sa.Text(), nullable=False),
        sa.Column("manner", sa.Text(), nullable=False),
        sa.Column("pixels", sa.BigInteger(), nullable=False),
        sa.Column("batch_size", sa.BigInteger(), nullable=False),
        sa.Column("step_us", sa.BigInteger(), nullable=False),
        sa.Column("picture_us", sa.BigInteger(), nullable=False),
        sa.Column("trainings", sa.BigInteger(), nullable=False),
        sa.Column("measured_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint(
            "machine",
            "base_model",
            "manner",
            "pixels",
            "batch_size",
            name="pk_measured_rates",
        ),
    )
