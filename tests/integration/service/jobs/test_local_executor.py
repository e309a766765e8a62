"""Jobs in real child processes, on the embedded base model, with a dispatcher turned by hand."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest
from tests import taught
from tests.dispatching import Dispatching, Timer, a_service
from tests.integration.test_workers_and_their_parent import is_running
from tests.remembered import SetClock, an_organization

from modelgenerator.service.config import ServiceConfig
from modelgenerator.service.jobs.bodies import Tools, body_of
from modelgenerator.service.jobs.dispatcher import Dispatcher
from modelgenerator.service.jobs.executors import local
from modelgenerator.service.jobs.executors.executor import RunningJob, Slot
from modelgenerator.service.jobs.executors.local import LocalExecutor, LocalJob
from modelgenerator.service.jobs.executors.slots import slots_of
from modelgenerator.service.jobs.messages import Assignment, Failed, Message, Succeeded
from modelgenerator.service.records.job_specs import TrainSpec, Written, ZipEntry, ZipSpec
from modelgenerator.service.records.jobs import Fault, Job, JobKind, JobStatus
from modelgenerator.service.store.database import Database
from modelgenerator.service.store.migrate import migrate

SECONDS = 120


class Here(Dispatching):
    """With children; time goes by itself."""

    def turn_until(self, happened: Callable[[], bool]) -> None:
        end = time.monotonic() + SECONDS
        while not happened():
            assert time.monotonic() < end, "it never happened"
            before = time.monotonic()
            time.sleep(0.02)
            self.turn(time.monotonic() - before)

    def has_told(self, job: Job, name: str, times: int = 1) -> Callable[[], bool]:
        return lambda: self.told(job).count(name) >= times

    def child_of(self, dispatcher: Dispatcher) -> LocalJob:
        ((following, _),) = dispatcher._followed
        assert isinstance(following.running, LocalJob)
        return following.running


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """What children do is the same on any."""
    opened = Database(f"sqlite:///{tmp_path}/test.sqlite")
    migrate(opened)
    yield opened
    opened.close()


@pytest.fixture
def organization_id(database: Database, clock: SetClock) -> UUID:
    return an_organization(database, clock, balance=1_000_000)


@pytest.fixture
def here(database: Database, clock: SetClock, tmp_path: Path) -> Iterator[Here]:
    service = a_service(database, clock, tmp_path)
    # a checkpoint after every step
    executor = LocalExecutor(service.config, slots_of((), None), checkpoint_seconds=0.0)
    yield Here(service, clock, Timer(clock), executor)
    executor.close()


@pytest.fixture
def spec(here: Here, organization_id: UUID):
    pictures = taught.pictures_in(here.service.files, organization_id)
    return taught.training(organization_id, pictures, maxSteps=40)


def steps_of(here: Here, job: Job, attempt: int) -> list[int]:
    return [
        step
        for event in here.events(job)
        if event.name == "steps" and event.attempt == attempt
        for step in event.data["steps"]
    ]


def trained_here(here: Here, spec: TrainSpec) -> bytes:
    """The LoRA that nobody interrupted, taught by this process."""
    folder = here.service.config.data_dir / "whole"
    folder.mkdir()
    tools = Tools(
        config=here.service.config,
        files=here.service.files,
        folder=folder,
        checkpoint_seconds=SECONDS,
    )
    elsewhere = spec.model_copy(update={"storage_prefix": "whole"})
    assignment = Assignment(
        job_id=UUID(int=1), attempt=1, kind=JobKind.TRAIN, spec=elsewhere.as_json()
    )
    *_, end = body_of(JobKind.TRAIN)(assignment, tools)
    assert isinstance(end, Succeeded), end
    return here.service.files.read(str(end.result["storageKey"]))


@pytest.mark.slow
def test_a_killed_training_goes_on_in_another_child_to_the_same_lora(here, organization_id, spec):
    whole = trained_here(here, spec)
    job = here.queued(organization_id, spec=spec.as_json())
    here.turn_until(here.has_told(job, "checkpointSaved", 4))
    os.kill(here.child_of(here.dispatcher).process_id, signal.SIGKILL)
    here.turn_until(lambda: here.job(job).status.is_final)
    now = here.job(job)
    assert (now.status, now.attempt) == (JobStatus.SUCCEEDED, 2), now.error
    events = {event.name: event.data for event in here.events(job)}
    assert "SIGKILL" in events["attemptLost"]["message"]
    assert events["resumed"]["step"] >= 4
    assert steps_of(here, job, 2) == list(range(events["resumed"]["step"] + 1, 41))
    assert 0 < now.used_ms < 60_000

    (lora,) = [key for key in here.service.files.keys("organizations") if ".kohya." in key]
    assert here.service.files.read(lora) == whole
    kept = [key for key in here.service.files.keys("organizations") if "checkpoint" in key]
    assert kept == []
    assert not any((here.service.config.data_dir / "running").iterdir())


@pytest.mark.slow
def test_a_training_is_cancelled_between_two_steps_and_its_child_lives(here, organization_id, spec):
    long = spec.model_copy(update={"settings": {**spec.settings, "maxSteps": 5_000}})
    job = here.queued(organization_id, spec=long.as_json())
    here.turn_until(here.has_told(job, "checkpointSaved", 3))
    child = here.child_of(here.dispatcher).process_id
    here.cancel(job)
    here.turn_until(lambda: here.job(job).status.is_final)
    now = here.job(job)
    assert now.status is JobStatus.CANCELLED
    assert now.used_ms > 0
    assert is_running(child)


@pytest.mark.slow
def test_the_second_picture_needs_no_loading_and_waits_for_no_training(here, organization_id, spec):
    long = spec.model_copy(update={"settings": {**spec.settings, "maxSteps": 5_000}})
    training = here.queued(organization_id, spec=long.as_json())
    here.turn_until(here.has_told(training, "phase"))
    phases: list[list[object]] = []
    for number in range(2):
        drawing = taught.drawing(organization_id, taught.picture(0, seed=number))
        job = here.queued_drawing(organization_id, spec=drawing.as_json())
        here.turn_until(lambda job=job: here.job(job).status.is_final)
        assert here.job(job).status is JobStatus.SUCCEEDED, here.job(job).error
        events = [event for event in here.events(job) if event.name == "phase"]
        phases.append([event.data["phase"] for event in events])
    assert phases == [["loadingBaseModel", "drawing"], ["drawing"]]
    assert here.job(training).status is JobStatus.RUNNING


@pytest.mark.slow
def test_a_child_that_slept_past_the_lease_changes_nothing_and_is_killed(
    here, organization_id, spec
):
    job = here.queued(organization_id, spec=spec.as_json())
    here.turn_until(here.has_told(job, "checkpointSaved", 3))
    sleeper = here.child_of(here.dispatcher).process_id
    os.kill(sleeper, signal.SIGSTOP)
    here.timer.advance(31)  # and nobody gives signs of life

    config = here.service.config
    others = LocalExecutor(config, slots_of((), None), checkpoint_seconds=0.0)
    another = here.another(others)
    try:
        end = time.monotonic() + SECONDS
        while not here.job(job).status.is_final:
            assert time.monotonic() < end, "it never happened"
            here.timer.advance(0.02)
            another.turn(work_came=True)
            time.sleep(0.02)
        attempts = here.job(job).attempt
        ended_with = here.job(job)
        os.kill(sleeper, signal.SIGCONT)
        here.turn(1)
        assert not is_running(sleeper)
    finally:
        others.close()
    assert attempts == 2
    assert here.job(job) == ended_with
    assert here.told(job).count("finished") == 1


@pytest.mark.slow
def test_a_drain_keeps_a_checkpoint_and_ends_the_children(here, organization_id, spec):
    long = spec.model_copy(update={"settings": {**spec.settings, "maxSteps": 5_000}})
    job = here.queued(organization_id, spec=long.as_json())
    here.turn_until(here.has_told(job, "checkpointSaved", 3))
    child = here.child_of(here.dispatcher).process_id
    here.dispatcher.start()
    here.dispatcher.stop()
    now = here.job(job)
    assert (now.status, now.lost_attempts) == (JobStatus.QUEUED, 0)
    assert now.checkpoint_key
    assert not is_running(child)


# --- children by themselves


class Alone:
    """An executor without a dispatcher."""

    def __init__(self, folder: Path, **config: object) -> None:
        self.config = ServiceConfig.model_validate({"data_dir": folder, **config})
        self.slot = Slot(name="light", kinds=(JobKind.ZIP,))
        self.executor = LocalExecutor(self.config, [self.slot])

    def start(self, spec: Written, number: int = 1) -> LocalJob:
        assignment = Assignment(
            job_id=UUID(int=number), attempt=1, kind=JobKind.ZIP, spec=spec.as_json()
        )
        return self.executor.start(self.slot, assignment)

    def all_of(self, job: RunningJob) -> list[Message]:
        said: list[Message] = []
        end = time.monotonic() + SECONDS
        while job.is_alive:
            assert time.monotonic() < end, "it never ended"
            said += job.messages()
            time.sleep(0.01)
        return said


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Alone]:
    made = Alone(tmp_path, secret_key="k" * 40, object_generator_key="o" * 20)
    yield made
    made.executor.close()


def archive(*entries: ZipEntry) -> ZipSpec:
    return ZipSpec(
        run_id=UUID(int=1),
        step_id="zip",
        organization_id=UUID(int=2),
        filename="result.zip",
        entries=entries or (ZipEntry(name="a.txt", text="a"),),
        storage_prefix="organizations/runs/zip",
    )


def test_a_child_is_kept_for_the_next_job(alone):
    first = alone.start(archive())
    assert alone.executor.free_slots() == []
    assert isinstance(alone.all_of(first)[-1], Succeeded)
    assert alone.executor.free_slots() == [alone.slot]
    second = alone.start(archive(), 2)
    assert isinstance(alone.all_of(second)[-1], Succeeded)
    assert first.process_id == second.process_id
    (machine,) = alone.executor.machines()
    assert first.machine == second.machine == machine.name
    assert list(alone.executor.slots()) == [alone.slot]


def test_a_body_that_fails_by_our_mistake_leaves_its_child_fit(alone):
    broken = Assignment(job_id=UUID(int=1), attempt=1, kind=JobKind.ZIP, spec={"no": "spec"})
    failed = alone.all_of(alone.executor.start(alone.slot, broken))[-1]
    assert isinstance(failed, Failed)
    assert (failed.error.code, failed.error.fault) == ("internalError", Fault.OURS)
    assert "ValidationError" in failed.trace
    assert isinstance(alone.all_of(alone.start(archive(), 2))[-1], Succeeded)


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
def test_a_child_that_dies_says_by_what_and_another_takes_its_place(alone, number: signal.Signals):
    job = alone.start(archive())
    alone.all_of(job)
    job = alone.start(archive(*[ZipEntry(name=f"{n}.txt", text="a") for n in range(2_000)]), 2)
    os.kill(job.process_id, number)
    said = alone.all_of(job)
    assert not any(isinstance(message, Succeeded) for message in said)
    how, _ = job.how_it_died()
    assert number.name in how
    assert isinstance(alone.all_of(alone.start(archive(), 3))[-1], Succeeded)


def test_a_child_gets_what_it_needs_and_no_secret(monkeypatch, alone):
    for name in ("DATABASE_URL", "MODELGENERATOR_SECRET_KEY", "MODELGENERATOR_DATABASE_URL"):
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("HF_TOKEN", "needed")
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    job = alone.start(archive())
    alone.all_of(job)
    content = Path(f"/proc/{job.process_id}/environ").read_bytes()
    variables = dict(one.split(b"=", 1) for one in content.split(b"\0") if one)
    assert b"secret" not in variables.values()
    assert variables[b"HF_TOKEN"] == b"needed"
    assert variables[b"OMP_WAIT_POLICY"] == b"PASSIVE"
    assert variables[b"CUDA_VISIBLE_DEVICES"] == b""


def test_only_who_asks_the_language_model_has_its_key(alone):
    place = alone.executor._place_of(alone.slot).config
    assert place.object_generator_key is None
    assert place.secret_key is None
    asks = Slot(name="asks", kinds=(JobKind.GENERATE_OBJECTS,))
    assert alone.executor._place_of(asks).config.object_generator_key is not None


def test_each_gpu_slot_sees_its_own_gpu():
    slot = Slot(name="gpu-1", kinds=(JobKind.TRAIN,), gpus=1, gpu_index=1)
    environment = local._environment
    assert environment({}, slot)["CUDA_VISIBLE_DEVICES"] == "1"
    assert environment({"CUDA_VISIBLE_DEVICES": "4,6"}, slot)["CUDA_VISIBLE_DEVICES"] == "6"


# a main program without `if __name__ == "__main__"`, as people write
PARENT = """
import sys, time
from pathlib import Path
from tests.integration.service.jobs.test_local_executor import Alone, archive

alone = Alone(Path(sys.argv[1]))
job = alone.start(archive())
alone.all_of(job)
print(job.process_id, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("is_stopped", [False, True])
def test_a_child_ends_with_its_parent_also_when_it_is_stopped(tmp_path: Path, is_stopped: bool):
    (tmp_path / "main.py").write_text(PARENT)
    parent = subprocess.Popen(
        [sys.executable, tmp_path / "main.py", tmp_path],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    if is_stopped:
        os.kill(child, signal.SIGSTOP)
    parent.kill()
    parent.communicate()
    while is_running(child):  # else the test's own limit ends it
        time.sleep(0.05)
