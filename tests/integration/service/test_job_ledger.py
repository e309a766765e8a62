"""What a worker may do with a job, and what becomes of it without one."""

from datetime import timedelta

import pytest
from sqlalchemy import insert
from tests.remembered import a_job, an_organization, queued

from modelgenerator.service.errors import AlreadyFinished, LeaseLost
from modelgenerator.service.records.jobs import (
    WAITING_FOR_MACHINE,
    AttemptEnd,
    Fault,
    JobError,
    JobKind,
    JobStatus,
    Lease,
)
from modelgenerator.service.store.job_changes import Told
from modelgenerator.service.store.job_queue import Offer
from modelgenerator.service.store.job_tables import JOBS

LEASE = timedelta(seconds=30)
LOST = JobError(code="stalled", message="No step for a while.", fault=Fault.OURS)


def claim(database, clock, owner="w1", **offer):
    asked = Offer(owner=owner, kinds=list(JobKind), **offer)
    with database.transaction() as transaction:
        return transaction.jobs.claim(asked, clock(), LEASE)


def lapse(database, clock, *, most_lost=3):
    clock.advance(31)
    with database.transaction() as transaction:
        return transaction.jobs.requeue_lapsed(clock(), most_lost=most_lost)


def names(database, job):
    with database.reading() as transaction:
        events = transaction.of(job.organization_id).jobs.events_after(job.id, 0)
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert [event.is_final for event in events[:-1]] == [False] * (len(events) - 1)
    return [event.name for event in events]


def now_is(database, job):
    with database.reading() as transaction:
        return transaction.of(job.organization_id).jobs.get(job.id)


def test_a_claimed_job_runs_in_its_first_attempt(database, organization_id, clock):
    job = queued(database, organization_id, clock)
    claimed = claim(database, clock)
    assert claimed.id == job.id
    assert (claimed.status, claimed.attempt) == (JobStatus.RUNNING, 1)
    assert claimed.lease == Lease(job_id=job.id, attempt=1, owner="w1")
    assert claimed.lease_until == claimed.started_at + LEASE
    assert claim(database, clock) is None
    assert names(database, job) == ["queued", "started"]


def test_higher_priority_goes_first_then_age(database, organization_id, clock):
    made = [queued(database, organization_id, clock, priority=it) for it in (0, 5, 5)]
    assert [claim(database, clock).id for _ in made] == [made[1].id, made[2].id, made[0].id]


def test_organizations_take_turns_whoever_queued_more(database, organization_id, clock):
    other_id = an_organization(database, clock)
    many = [queued(database, organization_id, clock) for _ in range(3)]
    few = [queued(database, other_id, clock) for _ in range(2)]
    order = [claim(database, clock).id for _ in range(5)]
    assert order == [many[0].id, few[0].id, many[1].id, few[1].id, many[2].id]


def test_ten_thousand_that_wait_starve_nobody(database, organization_id, clock):
    many = [a_job(organization_id, clock) for _ in range(10_000)]
    with database.changing_tables() as connection:
        connection.execute(insert(JOBS.table), [JOBS.row(job) for job in many])
    other_id = an_organization(database, clock)
    few = [queued(database, other_id, clock) for _ in range(2)]
    picture = queued(database, organization_id, clock, kind=JobKind.GENERATE, priority=10)
    order = [claim(database, clock).id for _ in range(6)]
    expected = [picture, few[0], many[0], few[1], many[1], many[2]]
    assert order == [job.id for job in expected]


@pytest.mark.parametrize(
    ("needs", "offer", "fits"),
    [
        ({"gpus": 1}, {}, False),
        ({"gpus": 1}, {"gpus": 1}, True),
        ({"gpus": 1, "gpu_memory": 24 << 30}, {"gpus": 1, "gpu_memory": 8 << 30}, False),
        ({"gpus": 1, "gpu_memory": 24 << 30}, {"gpus": 2, "gpu_memory": 24 << 30}, True),
        ({}, {"gpus": 8}, True),
    ],
)
def test_a_worker_gets_what_it_can_run(database, organization_id, clock, needs, offer, fits):
    queued(database, organization_id, clock, **needs)
    assert (claim(database, clock, **offer) is not None) == fits


def test_a_worker_gets_the_kinds_it_asks_for(database, organization_id, clock):
    queued(database, organization_id, clock, kind=JobKind.ZIP)
    asked = Offer(owner="w", kinds=[JobKind.TRAIN, JobKind.GENERATE])
    with database.transaction() as transaction:
        assert transaction.jobs.claim(asked, clock(), LEASE) is None


def test_a_job_waits_until_its_time(database, organization_id, clock):
    queued(database, organization_id, clock, not_before=clock() + timedelta(seconds=5))
    assert claim(database, clock) is None
    clock.advance(5)
    assert claim(database, clock) is not None


def test_a_sign_of_life_keeps_the_job(database, organization_id, clock):
    job = queued(database, organization_id, clock)
    lease = claim(database, clock).lease
    for _ in range(3):
        clock.advance(20)
        with database.transaction() as transaction:
            assert transaction.jobs.heartbeat(lease, clock(), LEASE) is False
            assert transaction.jobs.requeue_lapsed(clock(), most_lost=3) == []
    assert now_is(database, job).status is JobStatus.RUNNING


def test_a_job_without_one_goes_to_the_next(database, organization_id, clock):
    job = queued(database, organization_id, clock)
    claim(database, clock)
    (back,) = lapse(database, clock)
    assert (back.status, back.lease_owner, back.lost_attempts) == (JobStatus.QUEUED, None, 1)
    again = claim(database, clock, "w2")
    assert (again.id, again.attempt) == (job.id, 2)
    assert names(database, job) == ["queued", "started", "attemptLost", "started"]


@pytest.mark.parametrize("owner", ["w2", "w1"], ids=["another", "the same again"])
def test_who_slept_changes_nothing(database, organization_id, clock, owner):
    job = queued(database, organization_id, clock)
    old = claim(database, clock).lease
    lapse(database, clock)
    new = claim(database, clock, owner).lease
    before = now_is(database, job), names(database, job)
    for write in (
        lambda jobs: jobs.heartbeat(old, clock(), LEASE),
        lambda jobs: jobs.record(old, [Told("step", {})], clock(), progress={"step": 9}),
        lambda jobs: jobs.save_checkpoint(old, "key", {}, clock(), used_ms=1),
        lambda jobs: jobs.finish(old, JobStatus.SUCCEEDED, clock()),
        lambda jobs: jobs.hand_back(old, clock(), reason="drain"),
    ):
        with pytest.raises(LeaseLost), database.transaction() as transaction:
            write(transaction.jobs)
    assert (now_is(database, job), names(database, job)) == before
    with database.transaction() as transaction:
        transaction.jobs.finish(new, JobStatus.SUCCEEDED, clock())


def test_a_worker_may_write_after_its_lease_while_nobody_took_the_job(
    database, organization_id, clock
):
    queued(database, organization_id, clock)
    lease = claim(database, clock).lease
    clock.advance(600)
    with database.transaction() as transaction:
        transaction.jobs.heartbeat(lease, clock(), LEASE)
        assert transaction.jobs.requeue_lapsed(clock(), most_lost=3) == []


def test_a_job_that_kills_its_workers_fails(database, organization_id, clock):
    job = queued(database, organization_id, clock)
    for number in (1, 2, 3):
        assert claim(database, clock).attempt == number
        (after,) = lapse(database, clock)
    assert after.status is JobStatus.FAILED
    assert after.error.code == "tooManyAttempts"
    assert after.error.fault is Fault.OURS
    assert claim(database, clock) is None
    assert names(database, job)[-2:] == ["attemptLost", "finished"]


def test_a_worker_that_is_lost_while_the_job_waits_for_a_machine_does_not_count(
    database, organization_id, clock
):
    queued(database, organization_id, clock)
    for number in range(1, 8):
        lease = claim(database, clock).lease
        with database.transaction() as transaction:
            transaction.jobs.record(lease, [], clock(), phase=WAITING_FOR_MACHINE)
        (after,) = lapse(database, clock)
        assert (after.status, after.attempt) == (JobStatus.QUEUED, number)
        assert after.lost_attempts == 0


def test_a_job_that_gets_on_may_lose_more_workers(database, organization_id, clock):
    queued(database, organization_id, clock)
    for number in range(1, 8):
        lease = claim(database, clock).lease
        with database.transaction() as transaction:
            transaction.jobs.save_checkpoint(
                lease, f"c{number}", {"step": number}, clock(), used_ms=number
            )
        (after,) = lapse(database, clock)
        assert (after.status, after.lost_attempts) == (JobStatus.QUEUED, 1)
        assert after.checkpoint_key == f"c{number}"


def test_a_job_that_is_handed_back_is_not_held_against_it(database, organization_id, clock):
    job = queued(database, organization_id, clock)
    for _ in range(5):
        lease = claim(database, clock).lease
        with database.transaction() as transaction:
            back = transaction.jobs.hand_back(lease, clock(), reason="the server stops")
    assert (back.status, back.lost_attempts, back.attempt) == (JobStatus.QUEUED, 0, 5)
    with database.reading() as transaction:
        attempts = transaction.of(organization_id).jobs.attempts(job.id)
    assert [attempt.number for attempt in attempts] == [1, 2, 3, 4, 5]
    assert {attempt.end for attempt in attempts} == {AttemptEnd.HANDED_BACK}


@pytest.mark.parametrize(
    ("status", "error"),
    [(JobStatus.SUCCEEDED, None), (JobStatus.FAILED, LOST), (JobStatus.CANCELLED, None)],
)
def test_a_job_ends_once(database, organization_id, clock, status, error):
    job = queued(database, organization_id, clock)
    lease = claim(database, clock).lease
    with database.transaction() as transaction:
        ended = transaction.jobs.finish(lease, status, clock(), error=error)
    assert (ended.status, ended.error) == (status, error)
    assert (ended.lease_owner, ended.lease_until) == (None, None)
    assert ended.finished_at is not None
    with pytest.raises(LeaseLost), database.transaction() as transaction:
        transaction.jobs.finish(lease, JobStatus.SUCCEEDED, clock())
    assert names(database, job) == ["queued", "started", "finished"]
    assert lapse(database, clock) == []


def test_a_waiting_job_is_cancelled_at_once(database, organization_id, clock):
    job = queued(database, organization_id, clock)
    with database.transaction() as transaction:
        cancelled = transaction.of(organization_id).jobs.cancel(job.id, clock())
    assert cancelled.status is JobStatus.CANCELLED
    assert claim(database, clock) is None
    assert names(database, job) == ["queued", "finished"]


def test_a_running_job_is_told_by_its_next_sign_of_life(database, organization_id, clock):
    job = queued(database, organization_id, clock)
    lease = claim(database, clock).lease
    for _ in range(2):  # the second time changes nothing
        with database.transaction() as transaction:
            transaction.of(organization_id).jobs.cancel(job.id, clock())
    with database.transaction() as transaction:
        assert transaction.jobs.heartbeat(lease, clock(), LEASE) is True
        transaction.jobs.finish(lease, JobStatus.CANCELLED, clock())
    assert names(database, job) == ["queued", "started", "cancelRequested", "finished"]


@pytest.mark.parametrize("how", ["lost", "handed back"])
def test_a_job_that_is_to_be_cancelled_does_not_start_again(database, organization_id, clock, how):
    job = queued(database, organization_id, clock)
    lease = claim(database, clock).lease
    with database.transaction() as transaction:
        transaction.of(organization_id).jobs.cancel(job.id, clock())
    if how == "lost":
        lapse(database, clock)
    else:
        with database.transaction() as transaction:
            transaction.jobs.hand_back(lease, clock(), reason="drain")
    assert now_is(database, job).status is JobStatus.CANCELLED


def test_what_has_ended_is_not_cancelled(database, organization_id, clock):
    job = queued(database, organization_id, clock)
    with database.transaction() as transaction:
        transaction.of(organization_id).jobs.cancel(job.id, clock())
    with pytest.raises(AlreadyFinished), database.transaction() as transaction:
        transaction.of(organization_id).jobs.cancel(job.id, clock())


def test_progress_goes_on_and_never_back_within_an_attempt(database, organization_id, clock):
    job = queued(database, organization_id, clock)
    lease = claim(database, clock).lease
    for step in (5, 7, 6):
        with database.transaction() as transaction:
            told = [Told("stepFinished", {"step": step})]
            transaction.jobs.record(lease, told, clock(), phase="training", progress={"step": step})
    known = now_is(database, job)
    assert (known.phase, known.progress) == ("training", {"step": 7})
    lapse(database, clock)
    again = claim(database, clock)
    assert (again.phase, again.progress) == (None, None)


def test_who_reads_events_goes_on_after_the_last_he_knows(database, organization_id, clock):
    job = queued(database, organization_id, clock)
    lease = claim(database, clock).lease
    with database.transaction() as transaction:
        told = [Told("stepFinished", {"step": step}) for step in range(5)]
        transaction.jobs.record(lease, told, clock())
    with database.reading() as transaction:
        jobs = transaction.of(organization_id).jobs
        assert [it.sequence for it in jobs.events_after(job.id, 4)] == [5, 6, 7]
        assert [it.sequence for it in jobs.events_after(job.id, 0, limit=2)] == [1, 2]
        assert jobs.events_after(job.id, 7) == []


def test_a_loss_that_is_no_number_is_told_as_none(database, organization_id, clock):
    job = queued(database, organization_id, clock)
    lease = claim(database, clock).lease
    with database.transaction() as transaction:
        transaction.jobs.record(lease, [Told("step", {"loss": float("nan")})], clock())
    with database.reading() as transaction:
        (event,) = transaction.of(organization_id).jobs.events_after(job.id, 2)
    assert event.data == {"loss": None}


def test_a_worker_that_starts_again_finds_what_it_held(database, organization_id, clock):
    queued(database, organization_id, clock)
    queued(database, organization_id, clock)
    mine = claim(database, clock, "w1")
    claim(database, clock, "w2")
    with database.reading() as transaction:
        assert [job.id for job in transaction.jobs.running("w1")] == [mine.id]
        assert len(transaction.jobs.running()) == 2


def test_a_job_that_began_elsewhere_is_no_new_job(database, organization_id, clock):
    job = a_job(organization_id, clock, attempt=1)
    with pytest.raises(AssertionError), database.transaction() as transaction:
        transaction.of(organization_id).jobs.add(job)
