"""The job ledger: who does what is to be done, what it told, how it ended.

A worker holds a job by a `Lease`.  Every write of a worker names its attempt and is refused when a
later attempt has begun or the job has ended: a worker that slept changes nothing.  Times are the
server's; a worker's clock is never asked.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    ColumnElement,
    Connection,
    case,
    func,
    literal,
    select,
    type_coerce,
)

from modelgenerator.service.errors import LeaseLost
from modelgenerator.service.records.jobs import (
    WAITING_FOR_MACHINE,
    AttemptEnd,
    EventName,
    Fault,
    Job,
    JobError,
    JobStatus,
    Lease,
)
from modelgenerator.service.records.priorities import priority_of
from modelgenerator.service.records.servers import Places
from modelgenerator.service.records.trainings import JsonObject
from modelgenerator.service.store.job_changes import (
    NO_LEASE,
    Told,
    change,
    close_attempt,
    end,
    held_by,
    tell,
)
from modelgenerator.service.store.job_counts import jobs_before
from modelgenerator.service.store.job_queue import NO_LIMIT, Offer, claim
from modelgenerator.service.store.job_tables import JOBS
from modelgenerator.service.store.preemption import least_urgent, urgent

_JOB = JOBS.table.columns


class JobLedger:
    """The jobs of all organizations, for the dispatcher."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def claim(self, offer: Offer, now: datetime, lease: timedelta) -> Job | None:
        """The job that `offer` runs next, with a lease; none: there is nothing for it to do."""
        job = claim(self._connection, offer, now, lease)
        if job is None:
            return None
        started = Told(EventName.STARTED, {"attempt": job.attempt, "owner": offer.owner})
        return tell(self._connection, job.id, [started], now)

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
        told = Told(EventName.MAKES_ROOM, {"priority": priority_of(waiting.priority).value})
        return tell(self._connection, asked, [told], now, makes_room_for=waiting.id)

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
        job = change(self._connection, lease, lease_until=now + length)
        return job.cancel_requested_at is not None

    def record(
        self,
        lease: Lease,
        told: Sequence[Told],
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
        told_last = {"phase": phase, "machine": machine}
        changes: dict[str, Any] = {
            name: value for name, value in told_last.items() if value is not None
        }
        if progress is not None:
            changes["progress"] = _unless_it_goes_back(progress)
        if told:
            return tell(self._connection, lease, told, now, **changes)
        return change(self._connection, lease, **changes) if changes else self._held(lease)

    def save_checkpoint(
        self, lease: Lease, key: str, data: JsonObject, now: datetime, *, used_ms: int
    ) -> None:
        """The next attempt goes on from the file at `key`; earlier losses are forgiven.

        `used_ms` of work, in all attempts together, are kept in it.

        Raises:
            LeaseLost: another attempt has begun, or the job has ended.
        """
        told = [Told(EventName.CHECKPOINT_SAVED, data)]
        kept: dict[str, Any] = {"checkpoint_key": key, "lost_attempts": 0, "used_ms": used_ms}
        tell(self._connection, lease, told, now, **kept)

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
        used: dict[str, Any] = {} if used_ms is None else {"used_ms": used_ms}
        return end(self._connection, job, status, error, now, **used)

    def hand_back(
        self, lease: Lease, now: datetime, *, reason: str, not_before: datetime | None = None
    ) -> Job:
        """Put the job back into the queue; one that is to be cancelled ends instead.

        Raises:
            LeaseLost: another attempt has begun, or the job has ended.
        """
        job = self._held(lease)
        if job.cancel_requested_at is not None:
            return end(self._connection, job, JobStatus.CANCELLED, None, now)
        job.moved_to(JobStatus.QUEUED)
        close_attempt(self._connection, job, AttemptEnd.HANDED_BACK, now)
        told = [Told(EventName.HANDED_BACK, {"reason": reason})]
        return self._queue(job, told, now, not_before=not_before)

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
        told = [Told(EventName.ATTEMPT_LOST, data)]
        if job.cancel_requested_at is None and lost < most_lost:
            close_attempt(self._connection, job, AttemptEnd.LOST, now)
            return self._queue(job, told, now, lost_attempts=lost, not_before=not_before)
        tell(self._connection, job.id, told, now)
        if job.cancel_requested_at is not None:
            return end(self._connection, job, JobStatus.CANCELLED, None, now, AttemptEnd.LOST)
        last = error or _too_many_attempts(lost)
        return end(self._connection, job, JobStatus.FAILED, last, now, AttemptEnd.LOST)

    def _queue(self, job: Job, told: Sequence[Told], now: datetime, **changes: Any) -> Job:
        """It waits again."""
        waits: dict[str, Any] = {**NO_LEASE, **changes, "status": JobStatus.QUEUED}
        return tell(self._connection, job.id, told, now, **waits)

    def running(self, owner: str | None = None) -> Sequence[Job]:
        """The jobs that are running, or those of one worker, the oldest first."""
        query = select(JOBS.table).where(_JOB.status == JobStatus.RUNNING).order_by(_JOB.id)
        if owner is not None:
            query = query.where(_JOB.lease_owner == owner)
        return [JOBS.read(row) for row in self._connection.execute(query)]

    def _held(self, lease: Lease) -> Job:
        """The job, which nobody else changes until this transaction ends."""
        query = select(JOBS.table).where(held_by(lease)).with_for_update()
        row = self._connection.execute(query).first()
        if row is None:
            raise LeaseLost
        return JOBS.read(row)


def _unless_it_goes_back(progress: JsonObject) -> ColumnElement[Any]:
    """As the database decides it, in the statement that writes it: a step is a whole number."""
    step = progress.get("step", 0)
    assert isinstance(step, int), "steps are counted"
    known = type_coerce(_JOB.progress, JSON)["step"].as_integer()
    is_further = func.coalesce(known, 0) <= step
    return case((is_further, literal(progress, _JOB.progress.type)), else_=_JOB.progress)


def _too_many_attempts(lost: int) -> JobError:
    return JobError(
        code="tooManyAttempts",
        message=f"The job's worker stopped without a word {lost} times in a row.",
        fault=Fault.OURS,
        hint="Nothing was charged. Look into the server's log for what stopped it, then try again.",
    )
