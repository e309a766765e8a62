"""The job ledger: what is to be done, who does it, what it told, how it ended.

A worker holds a job by a `Lease`.  Every write of a worker names its attempt and is refused when a
later attempt has begun or the job has ended: a worker that slept changes nothing.  Times are the
server's; a worker's clock is never asked.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Text,
    and_,
    cast,
    insert,
    select,
    update,
)

from modelgenerator.service.errors import AlreadyFinished, LeaseLost, StillInUse
from modelgenerator.service.records.jobs import (
    WAITING_FOR_MACHINE,
    AttemptEnd,
    EventName,
    Fault,
    Job,
    JobAttempt,
    JobError,
    JobEvent,
    JobKind,
    JobStatus,
    Lease,
)
from modelgenerator.service.records.priorities import priority_of
from modelgenerator.service.records.servers import Places
from modelgenerator.service.records.trainings import JsonObject
from modelgenerator.service.store.job_counts import JobCount, count_unfinished, jobs_before
from modelgenerator.service.store.job_queue import NO_LIMIT, Offer, claim
from modelgenerator.service.store.job_tables import ATTEMPTS, EVENTS, JOBS
from modelgenerator.service.store.preemption import least_urgent, urgent
from modelgenerator.service.store.scoped import OrganizationScope, Unchanging

_JOB = JOBS.table.columns
_NO_LEASE: Mapping[str, Any] = {
    "lease_owner": None,
    "lease_until": None,
    "place_gpu_memory": None,
    "makes_room_for": None,
}


class OrganizationJobs(Unchanging[Job]):
    """The jobs of one organization: what a person may do with them."""

    def __init__(self, scope: OrganizationScope) -> None:
        super().__init__(scope, JOBS)

    def add(self, record: Job) -> None:
        """Put a new job into the queue."""
        assert (record.status, record.attempt) == (JobStatus.QUEUED, 0), "a new job waits"
        super().add(record)
        _tell(self._connection, record.id, EventName.QUEUED, {}, record.created_at)

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
        job = self.get_locked(id)
        if job.status.is_final:
            raise AlreadyFinished(f"This job has ended already: it {job.status.in_words}.")
        if job.status is JobStatus.QUEUED:
            return _end(self._connection, job, JobStatus.CANCELLED, None, now)
        if job.cancel_requested_at is None:
            job = _change(self._connection, id, cancel_requested_at=now)
            _tell(self._connection, id, EventName.CANCEL_REQUESTED, {}, now)
        return job

    def give_priority(self, id: UUID, number: int, now: datetime) -> Job:
        """Another place among those that wait; the same one changes nothing.

        Raises:
            NotFound: there is none, or it is another organization's.
            AlreadyFinished: it has ended.
        """
        job = self.get_locked(id)
        if job.status.is_final:
            raise AlreadyFinished(f"This job has ended already: it {job.status.in_words}.")
        if job.priority != number:
            job = _change(self._connection, id, priority=number)
            data: JsonObject = {"priority": priority_of(number).value}
            _tell(self._connection, id, EventName.PRIORITY_CHANGED, data, now)
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
        _change(self._connection, id, spec={}, progress=None, checkpoint_key=None, error=error)
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


@dataclass(frozen=True, slots=True)
class Told:
    """Something that a job's body tells; it becomes an event."""

    name: str
    data: JsonObject


class JobLedger:
    """The jobs of all organizations, for the dispatcher."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def claim(self, offer: Offer, now: datetime, lease: timedelta) -> Job | None:
        """The job that `offer` runs next, with a lease; none: there is nothing for it to do."""
        job = claim(self._connection, offer, now, lease)
        if job is not None:
            data = {"attempt": job.attempt, "owner": offer.owner}
            _tell(self._connection, job.id, EventName.STARTED, data, now)
        return job

    def make_room(self, now: datetime, waited: timedelta, *, most_of_one: int) -> Job | None:
        """Ask a training to make room for a job that has waited so long, the most urgent first.

        None where nothing does, or where nobody is less urgent; who was asked is told by the
        ledger, whichever server it runs on.
        """
        for waiting in urgent(self._connection, now, now - waited, most_of_one=most_of_one):
            if (asked := self.make_room_for(waiting, now)) is not None:
                return asked
        return None

    def make_room_for(self, waiting: Job, now: datetime) -> Job | None:
        """Ask a training that is less urgent than `waiting`; none where one was asked already."""
        asked = least_urgent(self._connection, waiting)
        if asked is None:
            return None
        job = _change(self._connection, asked, makes_room_for=waiting.id)
        data: JsonObject = {"priority": priority_of(waiting.priority).value}
        _tell(self._connection, asked, EventName.MAKES_ROOM, data, now)
        return job

    def before(
        self,
        ids: Iterable[UUID],
        places: Sequence[Places],
        now: datetime,
        *,
        most_of_one: int = NO_LIMIT,
    ) -> dict[UUID, int]:
        """How many jobs, of whoever, go before each of these; see `job_counts`."""
        return jobs_before(self._connection, ids, places, now, most_of_one=most_of_one)

    def room_is_made_for(self, ids: Iterable[UUID]) -> set[UUID]:
        """For which of these a training of a lower priority is about to end."""
        makes_room = _JOB.makes_room_for
        query = select(makes_room).where(
            _JOB.status == JobStatus.RUNNING, makes_room.in_(list(ids))
        )
        return {id for (id,) in self._connection.execute(query)}

    def heartbeat(self, lease: Lease, now: datetime, length: timedelta) -> bool:
        """Hold the job for `length` more; whether it is to be cancelled.

        Raises:
            LeaseLost: another attempt has begun, or the job has ended.
        """
        job = self._change_held(lease, lease_until=now + length)
        return job.cancel_requested_at is not None

    def record(
        self,
        lease: Lease,
        told: Iterable[Told],
        now: datetime,
        *,
        phase: str | None = None,
        progress: JsonObject | None = None,
        machine: str | None = None,
    ) -> Job:
        """Append events; phase, progress and machine, where they are given, replace the last ones.

        Progress whose `step` lies before the one that is known is not taken over: within an
        attempt nothing goes back.

        Raises:
            LeaseLost: another attempt has begun, or the job has ended.
        """
        job = self._held(lease)
        told_last = {"phase": phase, "machine": machine}
        changes: dict[str, Any] = {
            name: value for name, value in told_last.items() if value is not None
        }
        if progress is not None and _step(progress) >= _step(job.progress):
            changes["progress"] = progress
        if changes:
            _change(self._connection, job.id, **changes)
        for one in told:
            _tell(self._connection, job.id, one.name, one.data, now)
        return self._held(lease)

    def save_checkpoint(
        self, lease: Lease, key: str, data: JsonObject, now: datetime, *, used_ms: int
    ) -> None:
        """The next attempt goes on from the file at `key`; earlier losses are forgiven.

        `used_ms` of work, in all attempts together, are kept in it.

        Raises:
            LeaseLost: another attempt has begun, or the job has ended.
        """
        self._change_held(lease, checkpoint_key=key, lost_attempts=0, used_ms=used_ms)
        _tell(self._connection, lease.job_id, EventName.CHECKPOINT_SAVED, data, now)

    def finish(
        self,
        lease: Lease,
        status: JobStatus,
        now: datetime,
        *,
        error: JobError | None = None,
        used_ms: int | None = None,
    ) -> Job:
        """End the job, once and for all; `used_ms` of work were done in all attempts together.

        Raises:
            LeaseLost: another attempt has begun, or the job has ended.
        """
        assert status.is_final, "a job ends in a status that nothing follows"
        assert (error is not None) == (status is JobStatus.FAILED), "what failed says why"
        job = self._held(lease)
        if used_ms is not None:
            _change(self._connection, job.id, used_ms=used_ms)
        return _end(self._connection, job, status, error, now)

    def hand_back(
        self, lease: Lease, now: datetime, *, reason: str, not_before: datetime | None = None
    ) -> Job:
        """Put the job back into the queue; one that is to be cancelled ends instead.

        Raises:
            LeaseLost: another attempt has begun, or the job has ended.
        """
        job = self._held(lease)
        if job.cancel_requested_at is not None:
            return _end(self._connection, job, JobStatus.CANCELLED, None, now)
        job.moved_to(JobStatus.QUEUED)
        _close_attempt(self._connection, job, AttemptEnd.HANDED_BACK, now)
        _tell(self._connection, job.id, EventName.HANDED_BACK, {"reason": reason}, now)
        return _change(
            self._connection, job.id, status=JobStatus.QUEUED, not_before=not_before, **_NO_LEASE
        )

    def lose(
        self,
        lease: Lease,
        error: JobError,
        now: datetime,
        *,
        most_lost: int,
        not_before: datetime | None = None,
    ) -> Job:
        """The attempt came to nothing; the job waits again, or ends, as it is afterwards.

        As when its lease had lapsed: it fails with `error` when `most_lost` attempts in a row
        brought no new checkpoint.

        Raises:
            LeaseLost: another attempt has begun, or the job has ended.
        """
        return self._take_back(self._held(lease), now, most_lost, error, not_before)

    def requeue_lapsed(self, now: datetime, *, most_lost: int, limit: int = 100) -> list[Job]:
        """Take back the jobs whose workers gave no sign of life in time; as they are afterwards.

        They wait again, or end: cancelled if that was asked, failed when `most_lost` attempts in a
        row brought no new checkpoint.  One that had no machine yet had not begun, and does not
        count: what ended its worker was not the job.
        """
        lapsed = (
            select(JOBS.table)
            .where(_JOB.status == JobStatus.RUNNING, _JOB.lease_until <= now)
            .order_by(_JOB.lease_until)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        jobs = [JOBS.read(row) for row in self._connection.execute(lapsed).all()]
        return [self._take_back(job, now, most_lost) for job in jobs]

    def _take_back(
        self,
        job: Job,
        now: datetime,
        most_lost: int,
        error: JobError | None = None,
        not_before: datetime | None = None,
    ) -> Job:
        had_begun = error is not None or job.phase != WAITING_FOR_MACHINE
        lost = job.lost_attempts + had_begun
        data: dict[str, object] = {
            "attempt": job.attempt,
            "owner": job.lease_owner,
            "lostInARow": lost,
        }
        if error is not None:
            data |= {"code": error.code, "message": error.message}
        _tell(self._connection, job.id, EventName.ATTEMPT_LOST, data, now)
        if job.cancel_requested_at is not None:
            return _end(self._connection, job, JobStatus.CANCELLED, None, now, AttemptEnd.LOST)
        if lost >= most_lost:
            last = error or _too_many_attempts(lost)
            return _end(self._connection, job, JobStatus.FAILED, last, now, AttemptEnd.LOST)
        _close_attempt(self._connection, job, AttemptEnd.LOST, now)
        return _change(
            self._connection,
            job.id,
            status=JobStatus.QUEUED,
            lost_attempts=lost,
            not_before=not_before,
            **_NO_LEASE,
        )

    def running(self, owner: str | None = None) -> Sequence[Job]:
        """The jobs that are running, or those of one worker, the oldest first."""
        query = select(JOBS.table).where(_JOB.status == JobStatus.RUNNING).order_by(_JOB.id)
        if owner is not None:
            query = query.where(_JOB.lease_owner == owner)
        return [JOBS.read(row) for row in self._connection.execute(query)]

    def _held(self, lease: Lease) -> Job:
        """The job, which nobody else changes until this transaction ends."""
        query = select(JOBS.table).where(_held_by(lease)).with_for_update()
        row = self._connection.execute(query).first()
        if row is None:
            raise LeaseLost
        return JOBS.read(row)

    def _change_held(self, lease: Lease, **changes: Any) -> Job:
        changed = update(JOBS.table).where(_held_by(lease)).values(changes)
        row = self._connection.execute(changed.returning(JOBS.table)).first()
        if row is None:
            raise LeaseLost
        return JOBS.read(row)


def _held_by(lease: Lease) -> ColumnElement[bool]:
    """The fence: the job still runs, and in this attempt."""
    return and_(
        _JOB.id == lease.job_id,
        _JOB.status == JobStatus.RUNNING,
        _JOB.attempt == lease.attempt,
        _JOB.lease_owner == lease.owner,
    )


def _end(
    connection: Connection,
    job: Job,
    status: JobStatus,
    error: JobError | None,
    now: datetime,
    attempt_end: AttemptEnd = AttemptEnd.FINISHED,
) -> Job:
    """The one way in which a job ends; `job` is locked."""
    job.moved_to(status)
    if job.status is JobStatus.RUNNING:
        _close_attempt(connection, job, attempt_end, now)
    ended = _change(connection, job.id, status=status, error=error, finished_at=now, **_NO_LEASE)
    data: dict[str, object] = {"status": status.value}
    if error is not None:
        data |= {"code": error.code, "message": error.message, "hint": error.hint}
    _tell(connection, job.id, EventName.FINISHED, data, now, is_final=True)
    return ended


def _change(connection: Connection, id: UUID, **changes: Any) -> Job:
    changed = update(JOBS.table).where(_JOB.id == id).values(changes).returning(JOBS.table)
    return JOBS.read(connection.execute(changed).one())


def _close_attempt(connection: Connection, job: Job, end: AttemptEnd, now: datetime) -> None:
    columns = ATTEMPTS.table.columns
    this = (columns.job_id == job.id, columns.number == job.attempt)
    connection.execute(update(ATTEMPTS.table).where(*this).values(ended_at=now, end=end))


def _tell(
    connection: Connection,
    job_id: UUID,
    name: str,
    data: JsonObject,
    now: datetime,
    *,
    is_final: bool = False,
) -> None:
    """Append an event; counting in the job's own row leaves no gap and no number twice."""
    counted = (
        update(JOBS.table)
        .where(_JOB.id == job_id)
        .values(event_count=_JOB.event_count + 1)
        .returning(_JOB.event_count, _JOB.organization_id, _JOB.attempt)
    )
    sequence, organization_id, attempt = connection.execute(counted).one()
    event = JobEvent(
        job_id=job_id,
        organization_id=organization_id,
        sequence=sequence,
        attempt=attempt,
        name=str(name),
        data=data,
        created_at=now,
        is_final=is_final,
    )
    connection.execute(insert(EVENTS.table).values(EVENTS.row(event)))


def _step(progress: JsonObject | None) -> int:
    step = None if progress is None else progress.get("step")
    return step if isinstance(step, int) else 0


def _too_many_attempts(lost: int) -> JobError:
    return JobError(
        code="tooManyAttempts",
        message=f"The job's worker stopped without a word {lost} times in a row.",
        fault=Fault.OURS,
        hint="Nothing was charged. Look into the server's log for what stopped it, then try again.",
    )
