"""How many jobs run and wait, and which go before which, on every kind of database."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from tests.machines import GIGABYTE, HEAVY
from tests.remembered import SetClock, an_organization, queued

from modelgenerator.service.operations.waiting import can_run
from modelgenerator.service.records.holds import NOTHING, Holds
from modelgenerator.service.records.jobs import Job, JobKind, JobStatus
from modelgenerator.service.records.servers import Places
from modelgenerator.service.store.database import Database
from modelgenerator.service.store.job_counts import JobCount
from modelgenerator.service.store.job_queue import Offer

ANYWHERE = (Places(kinds=HEAVY, count=1), Places(kinds=("zip", "generateObjects"), count=1))
LARGE = Offer(owner="w", kinds=list(JobKind), gpus=8, gpu_memory=80 * GIGABYTE)


@pytest.fixture
def other(database: Database, clock: SetClock) -> UUID:
    return an_organization(database, clock)


def claimed(database: Database, clock: SetClock, offer: Offer = LARGE) -> Job:
    with database.transaction() as transaction:
        job = transaction.jobs.claim(offer, clock(), timedelta(minutes=1))
    assert job is not None
    return job


def line(database: Database, clock: SetClock, *jobs: Job, places=ANYWHERE) -> list[int | None]:
    """How many go before each."""
    with database.reading() as transaction:
        before = transaction.jobs.before([job.id for job in jobs], places, clock())
    return [before.get(job.id) for job in jobs]


def test_what_runs_and_waits_is_counted_for_whom_it_is_and_where(
    database, organization_id, other, clock
):
    queued(database, organization_id, clock, gpus=2)
    first = claimed(database, clock)
    with database.transaction() as transaction:
        transaction.jobs.record(first.lease, [], clock(), phase="training", machine="gpu-1")
    for owner in (organization_id, other, other):
        queued(database, owner, clock, gpus=1)
    with database.reading() as transaction:
        counts = transaction.of(organization_id).jobs.counts()
    ours = JobCount(
        status=JobStatus.QUEUED,
        kind=JobKind.TRAIN,
        machine=None,
        phase=None,
        is_own=True,
        jobs=1,
        gpus=1,
    )
    running = {"status": JobStatus.RUNNING, "machine": "gpu-1", "phase": "training", "gpus": 2}
    expected = [ours, replace(ours, is_own=False, jobs=2, gpus=2), replace(ours, **running)]
    assert sorted(counts, key=str) == sorted(expected, key=str)


def test_the_line_is_the_order_of_claims(database, organization_id, other, clock):
    """Whatever runs and waits: who is told that so many go before him is claimed after so many."""
    jobs = [
        queued(database, owner, clock, priority=priority, kind=kind)
        for owner, priority, kind in (
            (organization_id, 0, JobKind.TRAIN),
            (organization_id, 0, JobKind.TRAIN),
            (organization_id, 10, JobKind.GENERATE),
            (organization_id, 0, JobKind.TRAIN),
            (other, 0, JobKind.TRAIN),
            (other, 0, JobKind.GENERATE),
            (other, 10, JobKind.TRAIN),
            (other, 0, JobKind.TRAIN),
            (other, -5, JobKind.TRAIN),
        )
    ]
    for _ in range(2):  # something runs already
        gone = claimed(database, clock).id
        jobs = [job for job in jobs if job.id != gone]
    told = line(database, clock, *jobs)
    order = [claimed(database, clock).id for _ in jobs]
    assert [order.index(job.id) for job in jobs] == told


def test_only_what_can_take_its_place_goes_before_a_job(database, organization_id, other, clock):
    queued(database, other, clock, kind=JobKind.ZIP)
    third = an_organization(database, clock)
    queued(database, third, clock, not_before=clock() + timedelta(seconds=30))
    queued(database, other, clock, gpus=1)
    queued(database, other, clock, gpu_memory=GIGABYTE)
    ours = queued(database, organization_id, clock)
    light = queued(database, organization_id, clock, kind=JobKind.ZIP)
    assert line(database, clock, ours, light) == [0, 1]
    gpu = Places(kinds=HEAVY, count=1, gpus=1, gpu_memory=GIGABYTE)
    assert line(database, clock, ours, places=(gpu,)) == [1]
    clock.advance(60)
    assert line(database, clock, ours, places=(gpu,)) == [2]


def test_what_an_organization_may_not_have_running_besides_is_last(
    database, organization_id, other, clock
):
    queued(database, other, clock)
    claimed(database, clock)
    jobs = [queued(database, owner, clock) for owner in (other, organization_id, organization_id)]
    with database.reading() as transaction:
        ids = [job.id for job in jobs]
        before = transaction.jobs.before(ids, ANYWHERE, clock(), most_of_one=1)
    assert [before[id] for id in ids] == [1, 0, 2]


def test_what_no_place_can_run_has_no_place_in_the_line(database, organization_id, clock):
    ours = queued(database, organization_id, clock, gpus=1)
    assert line(database, clock, ours) == [None]
    assert line(database, clock, ours, places=()) == [None]


def test_a_place_for_what_needs_more_is_for_nothing_smaller(database, organization_id, clock):
    small = queued(database, organization_id, clock, gpus=1, gpu_memory=24 * GIGABYTE)
    large = queued(database, organization_id, clock, gpus=1, gpu_memory=25 * GIGABYTE)
    above = 24 * GIGABYTE
    place = Places(kinds=HEAVY, count=1, gpus=1, gpu_memory=80 * GIGABYTE, gpu_memory_above=above)
    assert line(database, clock, small, large, places=(place,)) == [None, 0]
    assert [can_run(place, job) for job in (small, large)] == [False, True]
    for_larger = replace(LARGE, gpu_memory_above=above)
    for holds in (NOTHING, Holds(base_models=frozenset({"flux"}))):
        with database.transaction() as transaction:
            offer = replace(for_larger, holds=holds)
            job = transaction.jobs.claim(offer, clock(), timedelta(minutes=1))
        assert (job and job.id) == (large.id if holds is NOTHING else None)
    assert claimed(database, clock).id == small.id
