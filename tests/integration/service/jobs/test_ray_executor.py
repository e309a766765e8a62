"""Jobs on a Ray cluster of one machine, which is this one."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import psutil
import pytest
from tests import taught
from tests.clusters import Machines, needs_ray, ray_cluster
from tests.integration.service.jobs.test_local_executor import archive

from modelgenerator.errors import InvalidSettings
from modelgenerator.service.config import ServiceConfig
from modelgenerator.service.jobs.executors import ray as ray_executor
from modelgenerator.service.jobs.executors.executor import Slot
from modelgenerator.service.jobs.executors.ray import RayExecutor, RayJob, for_machines
from modelgenerator.service.jobs.messages import (
    Assignment,
    Failed,
    Message,
    Phase,
    PhaseBegun,
    Progressed,
    Stopped,
    Succeeded,
)
from modelgenerator.service.records.clock import system_clock
from modelgenerator.service.records.job_specs import TrainResult, Written, ZipEntry
from modelgenerator.service.records.jobs import Fault, JobKind
from modelgenerator.service.store.links import LinkSigner
from modelgenerator.service.store.opening import open_files

pytestmark = pytest.mark.slow
SECONDS = 60
ORGANIZATION = UUID(int=5)
ON_ITS_WAY = (PhaseBegun(Phase.WAITING_FOR_MACHINE), PhaseBegun(Phase.STARTING))
LONG = archive(*[ZipEntry(name=f"{number}.txt", text="a") for number in range(100_000)])


@pytest.fixture(scope="module")
def machines() -> Iterator[Machines]:
    with ray_cluster() as started:
        yield started


class Far:
    """An executor on the cluster, without a dispatcher."""

    def __init__(
        self, machines: Machines, folder: Path, patience: float = SECONDS, **config: object
    ) -> None:
        self.machines, self.storage = machines, folder / "storage"
        self.storage.mkdir()
        self.config = ServiceConfig.model_validate(
            {
                "data_dir": folder / "data",
                "storage_url": str(self.storage),
                "ray_address": machines.address,
                "secret_key": "k" * 40,
                "object_generator_key": "o" * 20,
                **config,
            }
        )
        self.executor = RayExecutor(self.config, patience=patience)

    def connected(self) -> None:
        self.until(lambda: bool(self.executor.free_slots()))

    def until(self, happened: Callable[[], bool]) -> None:
        end = time.monotonic() + SECONDS
        while not happened():
            assert time.monotonic() < end, "it never happened"
            time.sleep(0.02)

    def slot(self, kind: JobKind = JobKind.ZIP) -> Slot:
        return next(slot for slot in self.executor.free_slots() if kind in slot.kinds)

    def start(self, spec: Written, number: int = 1) -> RayJob:
        return self.executor.start(self.slot(), assignment_of(spec, number))

    def without_room(self) -> RayJob:
        """A job that has worked for 7 ms before, and is told to wait for a machine."""
        plenty = {"memoryBytes": 10**14}
        assignment = Assignment(
            job_id=UUID(int=9), attempt=1, kind=JobKind.TRAIN, spec=plenty, used_ms=7
        )
        job = self.executor.start(self.slot(JobKind.TRAIN), assignment)
        assert self.first_of(job) == [PhaseBegun(Phase.WAITING_FOR_MACHINE)]
        return job

    def all_of(self, job: RayJob) -> list[Message]:
        said: list[Message] = []
        end = time.monotonic() + SECONDS
        while job.is_alive:
            assert time.monotonic() < end, "it never ended"
            said += job.messages()
            time.sleep(0.01)
        return said

    def first_of(self, job: RayJob) -> list[Message]:
        said: list[Message] = []
        self.until(lambda: bool(said.extend(job.messages()) or said))
        return said

    def child_of(self, job: RayJob) -> psutil.Process:
        """That in which its body works, however long Ray took to place it."""
        while all(message in ON_ITS_WAY for message in self.first_of(job)):
            pass
        (child,) = self.children()
        return child

    def kinds_of_gpus(self) -> set[str | None]:
        """As the cluster tells them now."""
        self.executor.listen()
        return {machine.gpu_kind for machine in self.executor.machines()}

    def children(self) -> list[psutil.Process]:
        """Those that run bodies."""
        return [
            process
            for machine in self.machines.cluster.list_all_nodes()
            for process in self.machines.processes_of(machine)
            if "child_process import serve" in " ".join(process.cmdline())
        ]

    def folders(self) -> list[Path]:
        return [
            folder
            for folder in self.machines.folder.glob("modelgenerator-cluster-*/*")
            if folder.is_dir()
        ]


def assignment_of(spec: Written, number: int = 1) -> Assignment:
    return Assignment(job_id=UUID(int=number), attempt=1, kind=JobKind.ZIP, spec=spec.as_json())


@pytest.fixture
def far(machines: Machines, tmp_path: Path) -> Iterator[Far]:
    made = Far(machines, tmp_path)
    made.connected()
    yield made
    made.executor.close()
    assert made.folders() == []


def test_a_body_runs_elsewhere_and_what_it_says_comes_in_order(far):
    job = far.start(archive())
    assert job.slot not in far.executor.free_slots()
    said = far.all_of(job)
    (machine,) = far.executor.machines()
    assert (machine.cpus, machine.gpus, job.machine) == (2, 0, machine.name)
    assert machine.memory > 0
    kinds = [type(message) for message in said]  # where Ray takes seconds, the job waits first
    assert kinds[-4:] == [PhaseBegun, Progressed, PhaseBegun, Succeeded]
    files = open_files(far.config, LinkSigner([b"s" * 32]), system_clock)
    assert files.read(said[-1].result["storageKey"]).startswith(b"PK")
    assert job.slot in far.executor.free_slots()


def test_a_runner_is_kept_for_the_next_job_and_keeps_nothing_of_the_one_before(far):
    far.all_of(far.start(archive()))
    (child,) = far.children()
    (folder,) = far.folders()
    assert [path.name for path in folder.iterdir()] == ["tmp"]
    second = far.start(archive(), 2)
    far.all_of(second)
    assert far.children() == [child]
    assert second.machine == far.executor.machines()[0].name


def test_a_child_that_dies_while_it_waits_costs_no_attempt(far):
    far.all_of(far.start(archive()))
    (child,) = far.children()
    child.kill()
    far.until(lambda: far.folders() == [])
    assert isinstance(far.all_of(far.start(archive(), 2))[-1], Succeeded)


def test_a_body_that_fails_by_our_mistake_says_so(far):
    broken = Assignment(job_id=UUID(int=1), attempt=1, kind=JobKind.ZIP, spec={"no": "spec"})
    failed = far.all_of(far.executor.start(far.slot(), broken))[-1]
    assert isinstance(failed, Failed)
    assert (failed.error.code, failed.error.fault) == ("internalError", Fault.OURS)


def test_a_body_is_asked_to_stop(far):
    job = far.start(LONG)
    far.first_of(job)
    job.ask_to_stop()
    assert isinstance(far.all_of(job)[-1], Stopped)


def test_a_job_that_is_killed_is_gone_with_its_folder(far):
    job = far.start(LONG)
    child = far.child_of(job)
    job.kill()
    assert not job.is_alive
    assert list(job.messages()) == []
    far.until(lambda: not child.is_running() and far.folders() == [])


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
def test_a_body_that_crashes_is_told_with_the_signal(far, number: signal.Signals):
    job = far.start(LONG)
    child = far.child_of(job)
    child.send_signal(number)
    assert not any(isinstance(message, Succeeded) for message in far.all_of(job))
    how, _ = job.how_it_died()
    assert number.name in how
    assert "on the machine" in how
    assert isinstance(far.all_of(far.start(archive(), 2))[-1], Succeeded)


def test_a_runner_that_is_killed_is_a_lost_attempt_and_its_folder_goes(far):
    job = far.start(LONG)
    child = far.child_of(job)
    runner = child.parent()
    runner.kill()
    far.all_of(job)
    assert "was ended from outside" in job.how_it_died()[0]
    far.until(lambda: not child.is_running() and far.folders() == [])


def test_a_job_for_which_there_is_no_room_waits_and_can_be_cancelled(far):
    job = far.without_room()
    job.ask_to_stop()
    assert far.all_of(job) == [Stopped(7)]
    assert job.machine is None


def test_a_training_goes_to_a_kind_of_gpu_that_has_the_memory_and_ends_as_measured_there(
    machines, tmp_path
):
    kinds = {"L4": 24, "H100": 80}
    far = Far(machines, tmp_path, cluster_gpus=kinds)
    added = [
        machines.add(1, num_gpus=1, labels={"ray.io/accelerator-type": kind}) for kind in kinds
    ]
    try:
        far.until(lambda: far.kinds_of_gpus() >= kinds.keys())
        slot = Slot(name="large", kinds=(JobKind.TRAIN,), gpus=1, gpu_kinds=("H100",))
        files = open_files(far.config, LinkSigner([b"s" * 32]), system_clock)
        pictures = taught.pictures_in(files, ORGANIZATION)
        spec = taught.training(ORGANIZATION, pictures, maxSteps=2)
        asked = replace(assignment_of(spec), kind=JobKind.TRAIN, gpus=1)
        job = far.executor.start(slot, asked)
        end = far.all_of(job)[-1]
        assert isinstance(end, Succeeded)
        assert TrainResult.from_json(end.result).machine == "H100"
        (large,) = [it for it in far.executor.machines() if it.gpu_kind == "H100"]
        assert job.machine == large.name
    finally:
        far.executor.close()  # a machine that goes first leaves its folder
        for node in added:
            machines.cluster.remove_node(node, allow_graceful=False)


def test_a_child_far_away_gets_what_it_needs_and_no_secret(monkeypatch, machines, tmp_path):
    for name in ("DATABASE_URL", "MODELGENERATOR_SECRET_KEY", "MODELGENERATOR_DATABASE_URL"):
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "needed")
    far = Far(machines, tmp_path)
    try:
        far.connected()
        far.all_of(far.start(archive()))
        (child,) = far.children()
        variables = child.environ()
    finally:
        far.executor.close()
    assert "secret" not in variables.values()
    assert variables["AWS_SECRET_ACCESS_KEY"] == "needed"
    assert variables["OMP_WAIT_POLICY"] == "PASSIVE"
    assert variables["CUDA_VISIBLE_DEVICES"] == ""
    terms = far.executor._terms.config
    assert (terms.secret_key, terms.database_url) == (None, "none")


def test_places_on_the_servers_disk_are_not_told_to_other_machines():
    ours = {"AWS_REGION": "r", "AWS_CONFIG_FILE": "/f", "HF_TOKEN": "t", "HF_HOME": "/h"}
    assert for_machines(ours) == {"AWS_REGION": "r", "HF_TOKEN": "t"}


def test_jobs_are_lost_with_the_driver_and_the_cluster_is_found_again(far):
    job = far.start(LONG)
    child = far.child_of(job)
    os.kill(far.executor._driver.process.pid, signal.SIGKILL)
    far.all_of(job)
    assert "lost together with the Ray cluster" in job.how_it_died()[0]
    assert far.executor.free_slots() == []
    far.until(lambda: not child.is_running())  # Ray ends what a dead driver asked for
    far.connected()
    assert isinstance(far.all_of(far.start(archive(), 2))[-1], Succeeded)


def test_a_runner_that_nobody_asks_ends_itself_with_its_child_and_its_folder(machines, tmp_path):
    far = Far(machines, tmp_path, patience=10)
    try:
        far.connected()
        job = far.start(LONG)
        child = far.child_of(job)
        os.kill(far.executor._driver.process.pid, signal.SIGSTOP)
        far.until(lambda: not child.is_running() and far.folders() == [])
        far.all_of(job)
        assert "lost together with the Ray cluster" in job.how_it_died()[0]
    finally:
        far.executor.close()


def test_jobs_are_lost_with_the_head_and_the_executor_goes_on_looking_for_it(
    machines: Machines, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    """The last one here that has a cluster."""
    far = Far(machines, tmp_path, patience=10)
    try:
        far.connected()
        job = far.start(LONG)
        far.first_of(job)
        (child,) = far.children()
        waiting = far.without_room()
        machines.kill_head()
        far.all_of(job)
        assert "lost together with the Ray cluster" in job.how_it_died()[0]
        # one that had no machine has lost nothing
        assert far.all_of(waiting) == [Stopped(7)]
        assert far.executor.free_slots() == []
        assert "It is looked for again in 1 seconds" in caplog.text
        far.until(lambda: not child.is_running())
    finally:
        far.executor.close()


def test_a_cluster_that_is_not_there_leaves_a_server_without_slots(tmp_path):
    needs_ray()
    config = ServiceConfig(data_dir=tmp_path, storage_url=str(tmp_path), ray_address="127.0.0.2:1")
    executor = RayExecutor(config)
    assert (executor.free_slots(), executor.slots(), executor.machines()) == ([], (), ())
    job = executor.start(Slot(name="any", kinds=(JobKind.ZIP,)), assignment_of(archive()))
    assert not job.is_alive
    assert "no Ray cluster" in job.how_it_died()[0]
    executor.close()


def test_a_folder_of_this_machine_is_refused(tmp_path):
    needs_ray()
    with pytest.raises(InvalidSettings, match="Set STORAGE_URL to a bucket"):
        RayExecutor(ServiceConfig(data_dir=tmp_path))
    with pytest.raises(InvalidSettings, match="the whole path of a folder"):
        RayExecutor(ServiceConfig(data_dir=tmp_path, storage_url="files"))


def test_without_ray_it_is_said_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(ray_executor.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(InvalidSettings, match=r"pip install 'modelgenerator\[ray\]'"):
        RayExecutor(ServiceConfig(data_dir=tmp_path, storage_url="s3://bucket"))
