"""The dispatcher between a real database and jobs that say what a test lets them say."""

from pathlib import Path

import pytest
from tests.dispatching import Dispatching, Timer, a_service
from tests.memory_executor import MemoryExecutor
from tests.remembered import SetClock

from modelgenerator.service.billing.ledger import Ledger
from modelgenerator.service.errors import StoreBusy
from modelgenerator.service.jobs.executors.executor import Slot
from modelgenerator.service.jobs.messages import (
    CheckpointStored,
    Failed,
    Message,
    Phase,
    PhaseBegun,
    PictureStored,
    Progressed,
    Stopped,
    Succeeded,
    Told,
)
from modelgenerator.service.operations.paying import payment_key
from modelgenerator.service.records.job_specs import DrawnPicture
from modelgenerator.service.records.jobs import Fault, Job, JobError, JobKind, JobStatus
from modelgenerator.service.records.money import EntryKind
from modelgenerator.service.records.servers import Machine, Places, Server
from modelgenerator.service.store.database import Database
from modelgenerator.service.store.servers import Servers

OURS = JobError(code="internalError", message="It broke.", fault=Fault.OURS)


@pytest.fixture
def here(database: Database, clock: SetClock, tmp_path: Path, ended: list[Job]) -> Dispatching:
    del ended
    return Dispatching(a_service(database, clock, tmp_path), clock, Timer(clock))


def checkpoint(step: int, *, used_ms: int = 1_000) -> CheckpointStored:
    return CheckpointStored(
        storage_key=f"k/{step}", sha256="0" * 64, byte_count=9, step=step, used_ms=used_ms
    )


def test_a_job_is_claimed_followed_and_ended(here, organization_id, ended):
    job, running = here.running(organization_id)
    assert here.job(job).status is JobStatus.RUNNING
    running.says(PhaseBegun(Phase.TRAINING), Told("steps", {"steps": [1], "losses": [0.5]}))
    running.says(Progressed({"step": 3, "totalSteps": 9}, used_ms=500))
    here.turn(1)
    now = here.job(job)
    assert now.phase == "training"
    assert now.progress == {"step": 3, "totalSteps": 9, "usedMs": 500}
    running.says(Succeeded({"steps": 9}, used_ms=900))
    here.turn()
    now = here.job(job)
    assert (now.status, now.used_ms) == (JobStatus.SUCCEEDED, 900)
    assert here.told(job) == ["queued", "started", "phase", "steps", "finished"]
    assert [one.id for one in ended] == [job.id]
    assert here.dispatcher.running == []


def test_what_came_at_once_is_kept_at_once_and_progress_that_is_replaced_is_not(
    here, organization_id, monkeypatch
):
    job, running = here.running(organization_id)
    transactions, begin = [], here.service.database.transaction
    monkeypatch.setattr(
        here.service.database, "transaction", lambda: transactions.append(1) or begin()
    )
    running.says(PhaseBegun(Phase.TRAINING))
    running.says(*(Progressed({"step": step}, used_ms=step) for step in range(1, 50)))
    running.says(Told("steps", {"steps": [1], "losses": [0.5]}), Progressed({"step": 50}))
    following, _ = here.dispatcher._followed[0]
    following.listen()
    assert len(transactions) == 1
    assert here.job(job).progress["step"] == 50
    assert here.told(job) == ["queued", "started", "phase", "steps"]


def test_a_freed_slot_takes_the_next_job_at_once(here, organization_id):
    here.running(organization_id)
    second = here.queued(organization_id)
    here.dispatcher.turn()
    assert len(here.executor.started) == 1
    here.executor.last.says(Succeeded({}))
    here.dispatcher.turn()
    assert here.executor.last.assignment.job_id == second.id


def test_each_slot_gets_what_it_can_run(here, organization_id):
    light = Slot(name="light", kinds=(JobKind.ZIP,))
    heavy = Slot(name="heavy", kinds=(JobKind.TRAIN,), gpus=1, gpu_memory=10)
    executor = MemoryExecutor(light, heavy)
    too_large = here.queued(organization_id, gpus=1, gpu_memory=11)
    training = here.queued(organization_id, gpus=1, gpu_memory=10)
    archive = here.queued(organization_id, kind=JobKind.ZIP)
    here.another(executor).turn(work_came=True)
    got = {job.slot.name: job.assignment.job_id for job in executor.started}
    assert got == {"light": archive.id, "heavy": training.id}
    assert here.job(too_large).status is JobStatus.QUEUED


def test_places_that_are_alike_ask_the_queue_once(here, organization_id, monkeypatch):
    alike = [Slot(name=str(number), kinds=(JobKind.TRAIN,)) for number in range(50)]
    dispatcher = here.another(MemoryExecutor(*alike, Slot(name="light", kinds=(JobKind.ZIP,))))
    asked, claim = [], dispatcher._claimed
    monkeypatch.setattr(dispatcher, "_claimed", lambda offer: asked.append(offer) or claim(offer))
    here.queued(organization_id)
    dispatcher.turn(work_came=True)
    assert [offer.kinds for offer in asked] == [(JobKind.TRAIN,)] * 2 + [(JobKind.ZIP,)]


def test_a_sign_of_life_keeps_the_lease(here, organization_id):
    job, _ = here.running(organization_id)
    until = here.job(job).lease_until
    for _ in range(60):
        here.turn(1)
    assert here.job(job).lease_until > until
    assert here.job(job).attempt == 1


def test_a_server_that_slept_past_its_lease_loses_the_job_and_kills_its_process(
    here, organization_id, ended
):
    job, sleeper = here.running(organization_id)
    other = MemoryExecutor()
    here.timer.advance(31)
    another = here.another(other)
    another.turn(work_came=True)
    assert other.last.assignment.attempt == 2
    sleeper.says(checkpoint(50), Succeeded({}, used_ms=9))
    here.dispatcher.turn()
    assert sleeper.is_killed
    assert here.job(job).checkpoint_key is None
    here.timer.advance(1)
    other.last.says(Succeeded({}, used_ms=7))
    another.turn()
    assert (here.job(job).status, here.job(job).used_ms) == (JobStatus.SUCCEEDED, 7)
    assert len(ended) == 1


def test_a_silent_sleeper_finds_out_by_looking(here, organization_id):
    _, sleeper = here.running(organization_id)
    here.timer.advance(31)
    here.another(MemoryExecutor()).turn(work_came=True)
    here.turn()
    assert sleeper.is_killed


@pytest.mark.parametrize("said", [(), (PhaseBegun(Phase.TRAINING), checkpoint(3))])
def test_cancel_stops_within_a_second(here, organization_id, ended, said: tuple[Message, ...]):
    job, running = here.running(organization_id)
    running.says(*said)
    running.stops_with = (checkpoint(5, used_ms=2_000), Stopped(used_ms=2_000))
    here.turn(2)
    here.cancel(job)
    here.turn(1)
    here.turn()
    now = here.job(job)
    assert (now.status, now.used_ms) == (JobStatus.CANCELLED, 2_000)
    assert [one.id for one in ended] == [job.id]


def test_who_does_not_listen_is_killed_after_ten_seconds(here, organization_id, ended):
    job, running = here.running(organization_id)
    running.stops_with = None
    here.cancel(job)
    here.turn(1)
    assert running.is_asked_to_stop
    here.turn(9)
    assert not running.is_killed
    here.turn(2)
    here.turn()
    assert running.is_killed
    assert here.job(job).status is JobStatus.CANCELLED
    assert len(ended) == 1


def test_a_cancel_that_comes_too_late_finds_it_finished(here, organization_id, ended):
    job, running = here.running(organization_id)
    running.stops_with = (Succeeded({}, used_ms=3),)
    here.cancel(job)
    here.turn(1)
    here.turn()
    assert here.job(job).status is JobStatus.SUCCEEDED
    assert len(ended) == 1


def test_a_queued_job_that_is_cancelled_is_never_claimed(here, organization_id):
    job = here.queued(organization_id)
    here.cancel(job)
    here.dispatcher.turn(work_came=True)
    assert here.executor.started == []


def test_a_crash_goes_on_from_the_checkpoint_and_says_why(here, organization_id):
    job, running = here.running(organization_id)
    running.says(checkpoint(40, used_ms=800))
    here.turn(1)
    running.dies()
    here.turn()
    lost = next(event for event in here.events(job) if event.name == "attemptLost")
    assert lost.data["code"] == "workerCrashed"
    assert "SIGSEGV" in lost.data["message"]
    assert "Segmentation fault" in lost.data["message"]
    again = here.executor.last.assignment
    assert (again.attempt, again.checkpoint_key, again.used_ms) == (2, "k/40", 800)


def test_a_job_that_crashes_each_time_ends_and_the_queue_goes_on(here, organization_id, ended):
    job, _ = here.running(organization_id)
    for _ in range(3):
        here.executor.last.dies()
        here.turn()
    now = here.job(job)
    assert (now.status, now.attempt) == (JobStatus.FAILED, 3)
    assert now.error.code == "workerCrashed"
    assert now.error.fault is Fault.OURS
    assert len(ended) == 1
    assert here.running(organization_id)


def test_what_was_said_before_a_crash_counts(here, organization_id):
    job, running = here.running(organization_id)
    running.says(Succeeded({}, used_ms=1))
    running.dies()
    here.turn(1)
    assert here.job(job).status is JobStatus.SUCCEEDED


def test_a_failure_is_told_as_it_is(here, organization_id, ended):
    job, running = here.running(organization_id)
    running.says(Failed(OURS, used_ms=400))
    here.turn(1)
    now = here.job(job)
    assert (now.status, now.error, now.used_ms) == (JobStatus.FAILED, OURS, 400)
    assert len(ended) == 1


def test_what_may_pass_is_tried_again_a_little_later(here, organization_id):
    job, running = here.running(organization_id)
    running.says(Failed(OURS, may_pass=True))
    here.turn(1)
    assert here.job(job).status is JobStatus.QUEUED
    here.turn(5)
    assert len(here.executor.started) == 1
    here.turn(6)
    assert here.executor.last.assignment.attempt == 2


def test_the_servers_clock_bounds_what_is_paid(here, organization_id):
    job, running = here.running(organization_id)
    here.timer.advance(2)
    running.says(Succeeded({}, used_ms=20_000))
    here.turn()
    assert here.job(job).used_ms == 2_000


def test_a_clock_that_is_set_back_takes_no_job_and_pays_no_second(here, organization_id, ended):
    """Leases and standstill are watched by a clock that nobody sets."""
    job, running = here.running(organization_id, hold=60_000)
    here.turn(15)
    here.clock.advance(-3_600)
    another = here.another(MemoryExecutor())
    for step in range(1, 61):
        running.says(PhaseBegun(Phase.TRAINING), Progressed({"step": step}, used_ms=step * 1_000))
        here.turn(1)
        another.turn()
    assert (here.job(job).status, here.job(job).attempt) == (JobStatus.RUNNING, 1)
    running.says(Succeeded({}, used_ms=61_000))
    here.turn(1)
    now = here.job(job)
    assert (now.status, now.used_ms) == (JobStatus.SUCCEEDED, 61_000)
    assert now.finished_at < now.started_at
    assert len(ended) == 1


def test_more_money_is_held_before_it_is_used_up(here, organization_id):
    job, running = here.running(organization_id, hold=60_000)
    running.says(Progressed({"step": 1}, used_ms=55_000))
    here.turn(55)
    with here.service.database.reading() as transaction:
        accounts = transaction.of(organization_id).accounts
        assert Ledger(accounts, here.clock()).held(payment_key(job)) == 65_000 + 60_000
    assert not running.is_asked_to_stop


def test_without_money_it_keeps_a_checkpoint_and_stops(here, organization_id, ended):
    job, running = here.running(organization_id, hold=990_000)
    used_ms = 985_000
    running.stops_with = (checkpoint(5, used_ms=used_ms), Stopped(used_ms=used_ms))
    running.says(Progressed({"step": 1}, used_ms=used_ms))
    here.turn(985)
    here.turn()
    now = here.job(job)
    assert (now.status, now.checkpoint_key, now.used_ms) == (JobStatus.FAILED, "k/5", used_ms)
    assert now.error.code == "insufficientFunds"
    assert now.error.fault is Fault.THEIRS
    assert "Insufficient Funds" in now.error.message
    assert len(ended) == 1


def test_where_nothing_is_held_nothing_is_asked(here, organization_id):
    _, running = here.running(organization_id)
    running.says(Progressed({"step": 1}, used_ms=10_000_000))
    here.turn(10_000)
    assert not running.is_asked_to_stop


def test_what_stands_still_is_killed_and_tried_once_more(here, organization_id, ended):
    job, running = here.running(organization_id)
    for attempt in (1, 2):
        running = here.executor.last
        running.says(PhaseBegun(Phase.TRAINING))
        for step in range(1, 6):
            running.says(Progressed({"step": step}))
            here.turn(1)
        here.turn(119)
        assert not running.is_killed
        here.turn(3)
        assert running.is_killed
        assert running.assignment.attempt == attempt
        here.turn()
    now = here.job(job)
    assert now.status is JobStatus.FAILED
    assert now.error.code == "stalled"
    assert len(ended) == 1


def test_a_drain_hands_everything_back(here, organization_id):
    job, running = here.running(organization_id)
    running.stops_with = (checkpoint(9), Stopped(used_ms=1_000))
    here.timer.advance(2)
    waiting = here.queued(organization_id)
    here.dispatcher.drain()
    here.turn()
    now = here.job(job)
    assert (now.status, now.checkpoint_key, now.lost_attempts) == (JobStatus.QUEUED, "k/9", 0)
    assert here.told(job)[-1] == "handedBack"
    here.turn(2)
    assert here.job(waiting).status is JobStatus.QUEUED
    other = MemoryExecutor()
    here.another(other).turn(work_came=True)
    assert other.last.assignment.checkpoint_key == "k/9"


def test_it_is_written_down_where_a_job_runs(here, organization_id):
    job, running = here.running(organization_id)
    assert here.job(job).machine is None
    running.machine = None
    running.says(PhaseBegun(Phase.WAITING_FOR_MACHINE))
    here.turn()
    assert here.job(job).machine is None
    running.machine = "gpu-1"
    running.says(PhaseBegun(Phase.STARTING))
    here.turn()
    assert here.job(job).machine == "gpu-1"
    running.dies()
    here.turn()
    here.turn(1)
    assert (here.job(job).attempt, here.job(job).machine) == (2, None)


def servers(here: Dispatching) -> list[Server]:
    with here.service.database.reading() as transaction:
        return list(transaction.servers.alive(here.clock()))


def test_a_server_tells_of_itself_while_it_lives(here, organization_id, monkeypatch):
    here.turn()
    (told,) = servers(here)
    assert (told.id, told.executor) == (here.dispatcher.owner, "local")
    assert told.machines == (Machine(name="memory", cpus=1),)
    assert told.places == (Places(kinds=tuple(map(str, JobKind)), count=1),)
    here.turn(6)
    (again,) = servers(here)
    assert (again.started_at, again.seen_at > told.seen_at) == (told.started_at, True)
    with monkeypatch.context() as patch:
        patch.setattr(Servers, "saw", busy)
        here.turn(6)
        _, running = here.running(organization_id)
        assert running.is_alive
    here.timer.advance(15)
    assert servers(here) == []
    here.turn()
    assert len(servers(here)) == 1


def busy(*_: object) -> None:
    raise StoreBusy


def test_a_thread_works_from_start_to_stop(here, organization_id):
    job = here.queued(organization_id)
    here.dispatcher.start()
    while not here.executor.started:
        pass
    here.executor.last.says(Progressed({"step": 1}))
    here.dispatcher.stop()
    assert here.executor.is_closed
    assert here.job(job).status is JobStatus.QUEUED
    assert here.job(job).progress == {"step": 1, "usedMs": 0}


def test_a_busy_database_loses_no_message(here, organization_id, monkeypatch):
    job, running = here.running(organization_id)
    running.says(Told("a", {}), Told("b", {}), Succeeded({}))
    with monkeypatch.context() as patch:

        def busy(*_):
            raise StoreBusy

        patch.setattr(type(here.service.database), "transaction", busy)
        here.turn()
        here.turn()
    here.turn()
    assert here.told(job) == ["queued", "started", "a", "b", "finished"]


def test_a_mistake_in_one_job_leaves_the_others_alone(here, organization_id):
    executor = MemoryExecutor(
        Slot(name="a", kinds=tuple(JobKind)), Slot(name="b", kinds=tuple(JobKind))
    )
    dispatcher = here.another(executor)
    first, second = here.queued(organization_id), here.queued(organization_id)
    dispatcher.turn(work_came=True)
    by_job = {one.assignment.job_id: one for one in executor.started}
    by_job[first.id].says(Told("a", {"not": object()}))  # nothing that JSON can say
    by_job[second.id].says(Succeeded({}))
    dispatcher.turn()
    assert by_job[first.id].is_killed
    assert here.job(second).status is JobStatus.SUCCEEDED
    assert here.job(first).lost_attempts == 1


def drawn(position: int) -> DrawnPicture:
    return DrawnPicture(
        position=position,
        storage_key=f"k/{position}.png",
        sha256="0" * 64,
        byte_count=3,
        width=32,
        height=32,
        seed=7,
        parameters={"prompt": "lvff"},
    )


def test_the_hold_is_still_there_when_the_end_is_followed_up(here, organization_id):
    """What settles it, does so under the same key."""
    job, running = here.running(organization_id, hold=60_000)
    running.says(Succeeded({}, used_ms=30_000))
    here.turn(30)
    with here.service.database.transaction() as transaction:
        ledger = Ledger(transaction.of(organization_id).accounts, here.clock())
        entry = ledger.settle(payment_key(job), EntryKind.TRAINING, 30_000, memo="30 seconds")
        assert entry.amount == -30_000


def test_pictures_are_written_down_as_they_come(here, organization_id):
    job = here.queued_drawing(organization_id)
    here.dispatcher.turn(work_came=True)
    here.executor.last.says(PictureStored(drawn(0)))
    here.turn(1)
    here.executor.last.dies()
    here.turn()
    again = here.executor.last
    assert again.assignment.drawn == {0}
    again.says(PictureStored(drawn(0)), PictureStored(drawn(1)), Succeeded({}))
    here.turn()
    with here.service.database.reading() as transaction:
        pictures = transaction.of(job.organization_id).generated_pictures.all()
    assert [picture.position for picture in pictures] == [0, 1]
    assert here.told(job).count("picture") == 3
