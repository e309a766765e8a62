"""The tables of the job ledger."""

from sqlalchemy import Index

from modelgenerator.service.records.jobs import Job, JobAttempt, JobEvent
from modelgenerator.service.store.columns import belongs_to, kind_of

JOBS = kind_of(
    Job,
    "jobs",
    Index(None, "status", "lease_until"),
    Index(None, "organization_id", "target_id", "id"),
    Index(None, "target_id"),
    Index(None, "organization_id", "status", "base_model", "id"),
    Index(None, "organization_id", "finished_at"),
    called="job",
)
FIRST_IN_ITS_ORGANIZATION = Index(
    "ix_jobs_first_in_its_organization",
    JOBS.table.columns.organization_id,
    JOBS.table.columns.status,
    JOBS.table.columns.priority.desc(),
    JOBS.table.columns.id,
)
"""Leads a worker to the job that an organization wants done first, however many wait behind it."""
ATTEMPTS = kind_of(
    JobAttempt,
    "job_attempts",
    called="attempt",
    key=("job_id", "number"),
    job_id=belongs_to("jobs.id"),
)
EVENTS = kind_of(
    JobEvent,
    "job_events",
    called="event",
    key=("job_id", "sequence"),
    job_id=belongs_to("jobs.id"),
)
ONE_END = Index(
    "uq_job_events_final",
    EVENTS.table.columns.job_id,
    unique=True,
    sqlite_where=EVENTS.table.columns.is_final,
    postgresql_where=EVENTS.table.columns.is_final,
)
"""A job ends once: the database itself refuses a second end."""
