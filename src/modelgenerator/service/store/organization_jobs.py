"""The jobs of one organization: what a person may do with them, and see of them.

In: a scope.  Out: jobs, their events and attempts.  Who works on a job, and by what right, is
known in `job_ledger`.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import Text, cast, select, update

from modelgenerator.service.errors import AlreadyFinished, StillInUse
from modelgenerator.service.records.jobs import (
    EventName,
    Job,
    JobAttempt,
    JobEvent,
    JobKind,
    JobStatus,
)
from modelgenerator.service.records.priorities import priority_of
from modelgenerator.service.store.job_changes import Told, change, end, tell
from modelgenerator.service.store.job_counts import JobCount, count_unfinished
from modelgenerator.service.store.job_tables import ATTEMPTS, EVENTS, JOBS
from modelgenerator.service.store.scoped import OrganizationScope, Unchanging

_JOB = JOBS.table.columns


class OrganizationJobs(Unchanging[Job]):
    """The jobs of one organization: what a person may do with them."""

    def __init__(self, scope: OrganizationScope) -> None:
        super().__init__(scope, JOBS)

    def add(self, record: Job) -> None:
        """Put a new job into the queue."""
        assert (record.status, record.attempt) == (JobStatus.QUEUED, 0), "a new job waits"
        super().add(record)
        tell(self._connection, record.id, [Told(EventName.QUEUED, {})], record.created_at)

    def get_locked(self, id: UUID) -> Job:
        """The job with this id, which does not end before this transaction does.

        Raises:
            NotFound: there is none, or it is another organization's.
        """
        row = self._connection.execute(self._select(id=id).with_for_update()).first()
        return self._there(None if row is None else JOBS.read(row), id)

    def cancel(self, id: UUID, now: datetime) -> Job:
        """A waiting job ends now, a running one is asked to; asking twice changes nothing.

        Raises:
            NotFound: there is none, or it is another organization's.
            AlreadyFinished: it has ended.
        """
        job = self._unfinished(id)
        if job.status is JobStatus.QUEUED:
            return end(self._connection, job, JobStatus.CANCELLED, None, now)
        if job.cancel_requested_at is None:
            told = [Told(EventName.CANCEL_REQUESTED, {})]
            return tell(self._connection, id, told, now, cancel_requested_at=now)
        return job

    def give_priority(self, id: UUID, number: int, now: datetime) -> Job:
        """Another place among those that wait; the same one changes nothing.

        Raises:
            NotFound: there is none, or it is another organization's.
            AlreadyFinished: it has ended.
        """
        job = self._unfinished(id)
        if job.priority != number:
            told = [Told(EventName.PRIORITY_CHANGED, {"priority": priority_of(number).value})]
            return tell(self._connection, id, told, now, priority=number)
        return job

    def _unfinished(self, id: UUID) -> Job:
        job = self.get_locked(id)
        if job.status.is_final:
            raise AlreadyFinished(f"This job has ended already: it {job.status.in_words}.")
        return job

    def events_after(self, id: UUID, sequence: int, *, limit: int = 500) -> list[JobEvent]:
        """What the job told after event number `sequence` (0: from its beginning)."""
        columns = EVENTS.table.columns
        query = (
            select(EVENTS.table)
            .where(
                columns.organization_id == self._scope.organization_id,
                columns.job_id == id,
                columns.sequence > sequence,
            )
            .order_by(columns.sequence)
            .limit(limit)
        )
        return [EVENTS.read(row) for row in self._connection.execute(query)]

    def events_named(self, id: UUID, names: Sequence[str], *, after: int = 0) -> list[JobEvent]:
        """What a job told under one of `names` after event number `after`, in its order."""
        columns = EVENTS.table.columns
        mine = columns.organization_id == self._scope.organization_id
        query = select(EVENTS.table).where(mine, columns.job_id == id, columns.name.in_(names))
        query = query.where(columns.sequence > after)
        rows = self._connection.execute(query.order_by(columns.sequence))
        return [EVENTS.read(row) for row in rows]

    def in_order(self, status: JobStatus, *, limit: int) -> list[Job]:
        """Those that are this, in the order in which they begin or have begun."""
        these = self._select(status=status)
        query = these.order_by(_JOB.priority.desc(), _JOB.id).limit(limit)
        return [JOBS.read(row) for row in self._connection.execute(query)]

    def counts(self) -> list[JobCount]:
        """What runs and waits here, told apart from what is other organizations'."""
        return count_unfinished(self._connection, self._scope.organization_id)

    def unfinished(self, *, limit: int) -> list[Job]:
        """What runs, then what waits, the oldest first."""
        these = self._select().where(_JOB.status.in_((JobStatus.RUNNING, JobStatus.QUEUED)))
        query = these.order_by(_JOB.status.desc(), _JOB.id).limit(limit)
        return [JOBS.read(row) for row in self._connection.execute(query)]

    def failed_since(self, moment: datetime, *, limit: int) -> list[Job]:
        """What failed, the last first."""
        these = self._select(status=JobStatus.FAILED).where(_JOB.finished_at >= moment)
        query = these.order_by(_JOB.finished_at.desc()).limit(limit)
        return [JOBS.read(row) for row in self._connection.execute(query)]

    def naming(self, kind: JobKind, words: str) -> list[Job]:
        """Jobs whose specs have `words` in them, an id or a key; the oldest first."""
        named = cast(_JOB.spec, Text).contains(words, autoescape=True)
        query = self._select(kind=kind).where(named).order_by(_JOB.id)
        return [JOBS.read(row) for row in self._connection.execute(query)]

    def leave_tombstone(self, id: UUID) -> None:
        """Forget what a job that has ended was told and told; when it ran and what it cost stays.

        Raises:
            NotFound: there is none, or it is another organization's.
            StillInUse: it has not ended.
        """
        row = self._connection.execute(self._select(id=id).with_for_update()).first()
        job: Job = self._there(None if row is None else JOBS.read(row), id)
        if not job.status.is_final:
            raise StillInUse("The job has not ended.")
        error = job.error and replace(job.error, message="Deleted.", hint=None)
        change(self._connection, id, spec={}, progress=None, checkpoint_key=None, error=error)
        events = update(EVENTS.table).where(EVENTS.table.columns.job_id == id)
        self._connection.execute(events.values(data={}))
        last = events.where(EVENTS.table.columns.is_final)
        self._connection.execute(last.values(data={"status": job.status.value}))

    def attempts(self, id: UUID) -> list[JobAttempt]:
        """Who worked on the job, and when: the first attempt first."""
        columns = ATTEMPTS.table.columns
        mine = columns.organization_id == self._scope.organization_id
        query = select(ATTEMPTS.table).where(mine, columns.job_id == id).order_by(columns.number)
        return [ATTEMPTS.read(row) for row in self._connection.execute(query)]
