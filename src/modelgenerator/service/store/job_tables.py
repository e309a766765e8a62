"""The tables of the job ledger."""

from sqlalchemy import Index

from modelgenerator.service.records.jobs import Job, JobAttempt, JobEvent
from modelgenerator.service.store.columns import belongs_to, kind_of

JOBS = kind_of(
    Job,
    "jobs",
    Index(None, "status", "priority", "id"),
    Index(None, "status", "lease_until"),
    Index(None, "target_id"),
    called="job",
)
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
