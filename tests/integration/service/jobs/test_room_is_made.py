"""Who waits for whom: priorities, the limit of one organization, and trainings that make room."""

import threading
from datetime import timedelta
from pathlib import Path

import pytest
from tests.dispatching import Dispatching, Timer, a_service
from tests.memory_executor import MemoryExecutor
from tests.remembered import SetClock, a_job, an_organization

from modelgenerator.service.jobs.executors.executor import Slot
from modelgenerator.service.jobs.messages import (
    CheckpointStored,
    Phase,
    PhaseBegun,
    Stopped,
    Succeeded,
)
from modelgenerator.service.records.jobs import Job, JobKind, JobStatus
from modelgenerator.service.records.priorities import Priority, number_of
from modelgenerator.service.store.database import Database
from modelgenerator.service.store.job_queue import Offer

LOW, NORMAL, HIGH = (number_of(one, JobKind.TRAIN) for one in Priority)
PICTURES = {"kind": JobKind.GENERATE, "priority": number_of(Priority.NORMAL, JobKind.GENERATE)}
WAITED = 60
LEASE = timedelta(seconds=30)
CHECKPOINT = CheckpointStored(
    storage_key="k/7", sha256="0" * 64, byte_count=9, step=7, used_ms=1_000
)


@pytest.fixture
def here(database: Database, clock: SetClock, tmp_path: Path, ended: list[Job]) -> Dispatching:
    del ended
    return Dispatching(a_service(database, clock, tmp_path), clock, Timer(clock))


def wait(here: Dispatching, seconds: int = WAITED + 6) -> None:
    """In steps in which leases are held."""
    for _ in range(seconds // 3):
        here.turn(3)


def test_a_training_makes_room_for_a_higher_priority_and_goes_on_from_its_checkpoint(
    here, organization_id
):
    lesser, running = here.running(organization_id, priority=NORMAL)
    running.stops_with = (CHECKPOINT, Stopped(used_ms=1_000))
    urgent = here.queued(organization_id, priority=HIGH)
    wait(here, WAITED - 6)
    assert not running.is_asked_to_stop, "it has not waited long enough"
    wait(here, 12)
    assert here.executor.last.assignment.job_id == urgent.id
    assert (here.job(lesser).status, here.job(lesser).used_ms) == (JobStatus.QUEUED, 1_000)
    assert here.job(lesser).lost_attempts == 0
    assert here.told(lesser) == ["queued", "started", "makesRoom", "checkpointSaved", "handedBack"]
    here.executor.last.says(Succeeded({}))
    wait(here, 3)
    again = here.executor.last.assignment
    assert (again.job_id, again.checkpoint_key, again.attempt) == (lesser.id, "k/7", 2)
    assert here.job(lesser).makes_room_for is None


@pytest.mark.parametrize(
    ("running", "waiting"), [(NORMAL, NORMAL), (HIGH, HIGH), (HIGH, NORMAL), (LOW, LOW)]
)
def test_nobody_makes_room_for_work_that_is_not_more_urgent(
    here, organization_id, running, waiting
):
    _, job = here.running(organization_id, priority=running)
    here.queued(organization_id, priority=waiting)
    wait(here)
    assert not job.is_asked_to_stop


def test_pictures_wait_for_a_training_of_their_own_priority(here, organization_id):
    _, job = here.running(organization_id, priority=NORMAL)
    here.queued(organization_id, **PICTURES)
    wait(here)
    assert not job.is_asked_to_stop


def test_a_low_training_makes_room_for_everyday_work(here, organization_id):
    _, job = here.running(organization_id, priority=LOW)
    pictures = here.queued(organization_id, **PICTURES)
    wait(here)
    assert here.executor.last.assignment.job_id == pictures.id
    assert job.is_asked_to_stop


def test_one_training_is_asked_and_it_is_the_least_urgent_that_began_last(here, organization_id):
    executor = MemoryExecutor(*(Slot(name=str(n), kinds=tuple(JobKind)) for n in range(3)))
    other = here.another(executor)
    for priority in (NORMAL, LOW, LOW):
        here.queued(organization_id, priority=priority)
        other.turn(work_came=True)
        here.timer.advance(1)
    for job in executor.started:
        job.stops_with = None  # they do not listen yet
    here.queued(organization_id, priority=HIGH)
    for _ in range(40):
        here.timer.advance(3)
        other.turn()
    assert [job.is_asked_to_stop for job in executor.started] == [False, False, True]


def test_the_next_training_is_asked_only_after_as_long_again(here, organization_id):
    executor = MemoryExecutor(*(Slot(name=str(n), kinds=tuple(JobKind)) for n in range(2)))
    other = here.another(executor)
    for _ in range(2):
        here.queued(organization_id, priority=LOW)
        other.turn(work_came=True)
    for _ in range(3):
        here.queued(organization_id, priority=HIGH)
    asked = []
    for _ in range((2 * WAITED + 30) // 3):
        here.timer.advance(3)
        other.turn()
        asked.append(sum(job.is_asked_to_stop for job in executor.started))
    assert asked.index(2) - asked.index(1) >= WAITED // 3


def test_who_cannot_be_helped_keeps_nobody_else_waiting(here, organization_id):
    small = Slot(name="small", kinds=(JobKind.TRAIN,), gpus=1, gpu_memory=24)
    large = Slot(name="large", kinds=(JobKind.TRAIN,), gpus=1, gpu_memory=80)
    executor = MemoryExecutor(small, large)
    other = here.another(executor)
    here.queued(organization_id, priority=HIGH, gpus=1, gpu_memory=40)
    here.queued(organization_id, priority=LOW, gpus=1, gpu_memory=10)
    other.turn(work_came=True)
    here.queued(organization_id, priority=HIGH, gpus=1, gpu_memory=40)
    here.queued(organization_id, priority=HIGH, gpus=1, gpu_memory=10)
    for _ in range(30):
        here.timer.advance(3)
        other.turn()
    asked = {job.slot.name: job.is_asked_to_stop for job in executor.started[:2]}
    assert asked == {"small": True, "large": False}


def test_a_place_that_is_too_small_is_not_asked_for(here, organization_id):
    small = Slot(name="small", kinds=(JobKind.TRAIN,), gpus=1, gpu_memory=24)
    large = Slot(name="large", kinds=(JobKind.TRAIN,), gpus=1, gpu_memory=80)
    executor = MemoryExecutor(large, small)
    other = here.another(executor)
    for _ in range(2):
        here.queued(organization_id, priority=LOW, gpus=1, gpu_memory=10)
        other.turn(work_came=True)
        here.timer.advance(1)
    here.queued(organization_id, priority=HIGH, gpus=1, gpu_memory=40)
    for _ in range(30):
        here.timer.advance(3)
        other.turn()
    asked = {job.slot.name: job.is_asked_to_stop for job in executor.started[:2]}
    assert asked == {"large": True, "small": False}


def test_a_training_on_another_server_makes_room_too(here, organization_id):
    _, running = here.running(organization_id, priority=LOW)
    other = here.another(MemoryExecutor(Slot(name="no room", kinds=())))
    here.queued(organization_id, priority=HIGH)
    for _ in range(30):  # only the other one looks who waits
        here.timer.advance(3)
        other.turn()
        here.dispatcher._sweep._next = here.timer.seconds + 5
        here.dispatcher.turn()
    assert running.is_asked_to_stop


def test_work_that_has_no_machine_of_a_cluster_yet_is_made_room_for(here, organization_id):
    slots = [Slot(name=str(number), kinds=tuple(JobKind)) for number in range(2)]
    executor = MemoryExecutor(*slots)
    other = here.another(executor)
    here.queued(organization_id, priority=LOW)
    other.turn(work_came=True)
    here.queued(organization_id, priority=HIGH)
    other.turn(work_came=True)
    lesser, urgent = executor.started
    urgent.says(PhaseBegun(Phase.WAITING_FOR_MACHINE))
    for _ in range(30):
        here.timer.advance(3)
        other.turn()
    assert (lesser.is_asked_to_stop, urgent.is_asked_to_stop) == (True, False)
    again = executor.last  # the place was not what it waits for
    assert again.assignment.job_id == lesser.assignment.job_id
    for _ in range(60):
        here.timer.advance(3)
        other.turn()
    assert not again.is_asked_to_stop, "it is asked once"


def test_work_that_waits_for_a_kind_of_gpu_stops_nobody_on_another(here, organization_id):
    small = Slot(name="small", kinds=(JobKind.TRAIN,), gpus=1, gpu_memory=24)
    large = Slot(name="large", kinds=(JobKind.TRAIN,), gpus=1, gpu_memory=80)
    executor = MemoryExecutor(large, small)
    other = here.another(executor)
    for priority in (LOW, HIGH):
        here.queued(organization_id, priority=priority, gpus=1, gpu_memory=10)
        other.turn(work_came=True)
    lesser, urgent = executor.started
    assert (lesser.slot.name, urgent.slot.name) == ("large", "small")
    urgent.says(PhaseBegun(Phase.WAITING_FOR_MACHINE))
    for _ in range(60):
        here.timer.advance(3)
        other.turn()
    assert not lesser.is_asked_to_stop


def test_an_operator_may_want_no_training_to_be_stopped(
    database, clock, organization_id, tmp_path, ended
):
    del ended
    service = a_service(database, clock, tmp_path, preempt_seconds=0)
    here = Dispatching(service, clock, Timer(clock))
    _, running = here.running(organization_id, priority=LOW)
    here.queued(organization_id, priority=HIGH)
    wait(here, 300)
    assert not running.is_asked_to_stop


# --- the limit of one organization


def claim(database, clock, most, *, kinds=tuple(JobKind)):
    offer = Offer(owner="w", kinds=kinds, most_of_one=most)
    with database.transaction() as transaction:
        return transaction.jobs.claim(offer, clock(), LEASE)


def add(database, *jobs):
    with database.transaction() as transaction:
        for job in jobs:
            transaction.of(job.organization_id).jobs.add(job)


def test_an_organization_has_as_many_running_as_it_may(database, organization_id, clock):
    other_id = an_organization(database, clock)
    mine = [a_job(organization_id, clock, priority=HIGH) for _ in range(3)]
    archive = a_job(organization_id, clock, kind=JobKind.ZIP, priority=LOW)
    theirs = a_job(other_id, clock, priority=LOW)
    add(database, *mine, archive, theirs)
    took = [claim(database, clock, 2) for _ in range(4)]
    assert [job and job.id for job in took] == [mine[0].id, mine[1].id, theirs.id, None]
    assert claim(database, clock, 2, kinds=(JobKind.ZIP,)).id == archive.id
    with database.transaction() as transaction:
        transaction.jobs.finish(took[0].lease, JobStatus.SUCCEEDED, clock())
    assert claim(database, clock, 2).id == mine[2].id


def test_of_eight_servers_at_once_none_takes_more_than_there_may_be(
    database, organization_id, clock
):
    add(database, *(a_job(organization_id, clock) for _ in range(16)))
    got = []
    threads = [
        threading.Thread(target=lambda: got.append(claim(database, clock, 3))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    while (job := claim(database, clock, 3)) is not None:
        got.append(job)
    assert len({job.id for job in got if job is not None}) == 3


def test_who_has_as_many_as_it_may_stops_nobody(database, clock, organization_id, tmp_path, ended):
    del ended
    service = a_service(database, clock, tmp_path, running_jobs=1)
    here = Dispatching(service, clock, Timer(clock))
    slots = [Slot(name=str(number), kinds=tuple(JobKind)) for number in range(2)]
    executor = MemoryExecutor(*slots)
    other = here.another(executor)
    other_id = an_organization(database, clock)
    here.queued(organization_id, priority=HIGH)
    here.queued(other_id, priority=LOW)
    other.turn(work_came=True)
    here.queued(organization_id, priority=HIGH)
    for _ in range(30):
        here.timer.advance(3)
        other.turn()
    assert [job.is_asked_to_stop for job in executor.started] == [False, False]
