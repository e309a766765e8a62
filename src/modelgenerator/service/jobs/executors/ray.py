"""Runs jobs on the machines of a Ray cluster.

In: assignments.  Out: messages, as they come from far away.  Ray itself is spoken to by a child of
this process (`ray_driver`): Ray ends whoever is connected to a cluster that is lost, and a server
goes on answering.  While there is no cluster there are no slots, and it is looked for again.
"""

import importlib.util
import logging
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from subprocess import TimeoutExpired

from modelgenerator.errors import InvalidSettings
from modelgenerator.service.config import ServiceConfig
from modelgenerator.service.jobs.executors.child import Child, needed
from modelgenerator.service.jobs.executors.cluster_slots import (
    drawing_places,
    needs_of,
    slots_of_cluster,
    with_loaded,
)
from modelgenerator.service.jobs.executors.executor import Slot
from modelgenerator.service.jobs.executors.ray_runner import version
from modelgenerator.service.jobs.executors.ray_words import (
    NOTHING_LOADED,
    Begin,
    Begun,
    Came,
    Cluster,
    Held,
    Kill,
    Loaded,
    Lost,
    Terms,
    WordOfDriver,
    WordOfServer,
)
from modelgenerator.service.jobs.executors.slots import LIGHT
from modelgenerator.service.jobs.messages import (
    Assignment,
    End,
    Message,
    Phase,
    PhaseBegun,
    Stop,
    Stopped,
    without_secrets,
)
from modelgenerator.service.operations.devices import gpu_kinds
from modelgenerator.service.records.jobs import JobKind
from modelgenerator.service.records.servers import DrawingPlace, Machine

IDLE_SECONDS = 300.0
PATIENCE = 60.0
"""Seconds after which a runner without a driver, and a driver without a word, is given up."""
CLOSE_SECONDS = 15.0
GATHER_FROM, GATHER_TO = 30.0, 900.0
"""Seconds between which nothing else begins while a job waits for several GPUs of one machine."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds before the cluster is looked for again."""
_DRIVER = "modelgenerator.service.jobs.executors.ray_driver"
_NAMES = (
    *("HF_TOKEN", "HF_ENDPOINT", "HF_HUB_OFFLINE"),
    *("MODELGENERATOR_CAPTIONER_KEY", "MODELGENERATOR_CAPTIONER_MODEL"),
    "MODELGENERATOR_CAPTIONER_URL",
)

_WAITS = PhaseBegun(Phase.WAITING_FOR_MACHINE)

_LOG = logging.getLogger(__name__)


class RayExecutor:
    """As many jobs as there is room for in the cluster, and one that waits."""

    def __init__(
        self,
        config: ServiceConfig,
        *,
        patience: float = PATIENCE,
    ) -> None:
        """
        Raises:
            InvalidSettings: Ray is not installed, or no other machine can see the storage.
        """
        _refuse(config)
        self._config = config
        self._terms = Terms(
            config=without_secrets(config),
            environment=for_machines(os.environ),
            checkpoint_seconds=config.checkpoint_seconds,
            idle_seconds=IDLE_SECONDS,
            patience=patience,
            version=version(),
        )
        self._jobs: dict[str, RayJob] = {}
        self._cluster: Cluster | None = None
        self._loaded = NOTHING_LOADED
        self._pause = FIRST_PAUSE
        self._again_at = self._heard_at = time.monotonic()
        self._driver: Child | None = self._connected()

    def machines(self) -> Sequence[Machine]:
        """None while there is no cluster."""
        if self._cluster is None:
            return ()
        memory = {kind.name: kind.memory for kind in gpu_kinds(self._config)}
        usual = memory.get(None, 0)  # Ray does not know it
        return [
            replace(machine, gpu_memory=memory.get(machine.gpu_kind, usual) if machine.gpus else 0)
            for machine in self._cluster.machines
        ]

    def slots(self) -> Sequence[Slot]:
        """None while there is no cluster."""
        return () if self._cluster is None else slots_of_cluster(self._cluster, self._config)

    def free_slots(self) -> Sequence[Slot]:
        """None while there is no cluster."""
        self.listen()
        if self._driver is None and time.monotonic() >= self._again_at:
            self._driver = self._connected()
        busy = {job.slot.name for job in self._jobs.values()}
        free = [slot for slot in self.slots() if slot.name not in busy]
        if self._gathers_gpus():
            free = [slot for slot in free if slot.kinds == LIGHT]
        return with_loaded(free, self.slots(), self._loaded)

    def drawing(self) -> Sequence[DrawingPlace]:
        """This server's runners that have something loaded; none while they get no work."""
        return () if self._gathers_gpus() else drawing_places(self.slots(), self._loaded)

    def start(self, slot: Slot, assignment: Assignment) -> "RayJob":
        """Wherever there is room, now or later."""
        job = self._jobs[assignment.name] = RayJob(self, slot, assignment)
        if self._driver is None or self._cluster is None:
            job.lose("was not begun, as there is no Ray cluster now")
        else:
            if assignment.kind is JobKind.GENERATE:
                self._loaded = self._loaded.begun(assignment, Held(slot.gpu_kinds, slot.holds))
            self._driver.send(Begin(assignment, needs_of(assignment, slot, self._cluster)))
        return job

    def close(self) -> None:
        """End everything that runs, and leave nothing of it on any machine."""
        driver, cluster = self._driver, self._cluster
        self._driver = self._cluster = None
        if driver is None:
            return
        driver.close_pipe()
        if cluster is not None:
            with suppress(TimeoutExpired):
                driver.process.wait(CLOSE_SECONDS)
        driver.kill()

    def _gathers_gpus(self) -> bool:
        """Whether a job has waited long for several GPUs of a machine that is there: nothing else
        begins then, as they would never be free together."""
        return any(
            GATHER_FROM < job.waiting_seconds < GATHER_TO and self._could_have(job)
            for job in self._jobs.values()
            if job.gpus > 1
        )

    def _could_have(self, job: "RayJob") -> bool:
        kinds = job.slot.gpu_kinds
        return any(
            machine.gpus >= job.gpus and (not kinds or machine.gpu_kind in kinds)
            for machine in self.machines()
        )

    # --- for its jobs

    def send(self, word: WordOfServer) -> None:
        """To the driver, if there is one."""
        if self._driver is not None:
            self._driver.send(word)

    def forget(self, name: str) -> None:
        """The attempt of this name is over."""
        self._jobs.pop(name, None)

    def listen(self) -> None:
        """Give every job what came for it."""
        if self._driver is None:
            return
        while (word := self._driver.heard()) is not None:
            self._heard_at = time.monotonic()
            self._take(word)
        if not self._driver.is_alive:
            self._lose_cluster(self._driver, f"its driver {self._driver.how_it_died()}")
        elif time.monotonic() - self._heard_at > self._terms.patience:
            self._lose_cluster(self._driver, "its driver does not answer")

    # ---

    def _connected(self) -> Child:
        """A driver that tries; whether it can is heard."""
        ours = {name: value for name, value in os.environ.items() if name.startswith("RAY_")}
        self._heard_at = time.monotonic()
        return Child(_DRIVER, needed(os.environ) | ours, self._terms)

    def _take(self, word: WordOfDriver) -> None:
        if isinstance(word, Cluster):
            if self._cluster is None:
                self._say_what_there_is(word)
            self._cluster, self._pause = word, FIRST_PAUSE
        elif isinstance(word, Loaded):
            self._loaded = word
        elif (job := self._jobs.get(word.name)) is not None:
            match word:
                case Begun():
                    job.machine = word.machine
                case Came():
                    job.hear(word.messages)
                case Lost():
                    job.lose(word.how, word.last_lines)

    def _say_what_there_is(self, cluster: Cluster) -> None:
        address = self._config.ray_address
        _LOG.info("Ray at %s: %d CPUs, %d GPUs", address, cluster.cpus, cluster.gpus)
        if cluster.gpus and not gpu_kinds(self._config):
            _LOG.warning(
                "The GPUs of the cluster are not used: say in MODELGENERATOR_CLUSTER_GPU_GIGABYTES "
                "how much memory each of them has, or in MODELGENERATOR_CLUSTER_GPUS each kind."
            )

    def _lose_cluster(self, driver: Child, why: str) -> None:
        """Jobs that run go back into the queue, and the cluster is looked for again."""
        said = " | ".join(driver.last_lines()[-3:])
        driver.kill()
        self._driver = self._cluster = None
        self._loaded = NOTHING_LOADED
        for job in list(self._jobs.values()):
            job.lose_cluster()
        self._again_at = time.monotonic() + self._pause
        _LOG.warning(
            "There is no Ray at %s: %s. It is looked for again in %.0f seconds. %s",
            self._config.ray_address,
            why,
            self._pause,
            said,
        )
        self._pause = min(2 * self._pause, LONGEST_PAUSE)


class RayJob:
    """One assignment somewhere in the cluster."""

    def __init__(self, executor: RayExecutor, slot: Slot, assignment: Assignment) -> None:
        self._executor, self.slot, self.name = executor, slot, assignment.name
        self.gpus, self._used_ms = assignment.gpus, assignment.used_ms
        self._began = time.monotonic()
        self.machine: str | None = None
        self._waits = False
        self._unheard: list[Message] = []
        self._lost: Lost | None = None
        self._has_ended = False

    def messages(self) -> Sequence[Message]:
        """What came since this was asked last."""
        self._executor.listen()
        came, self._unheard = self._unheard, []
        if self._has_ended:
            return ()
        if came and isinstance(came[-1], End):
            self._end()
        return came

    def ask_to_stop(self) -> None:
        """Soon; at once where it waits for a machine."""
        self._executor.send(Stop(self.name))

    def kill(self) -> None:
        """Now."""
        self._end()
        self._executor.send(Kill(self.name))

    @property
    def waiting_seconds(self) -> float:
        """For which it has had no machine; 0 when it has one."""
        return 0.0 if self.machine is not None else time.monotonic() - self._began

    def hear(self, messages: Sequence[Message]) -> None:
        """What it says, or what is said of it."""
        self._unheard.extend(messages)
        self._waits = _WAITS in messages[-1:]

    def lose_cluster(self) -> None:
        """One that waited for a machine waits for another cluster; it has lost nothing."""
        if self._waits:
            self._unheard.append(Stopped(self._used_ms))
            self._executor.forget(self.name)
        else:
            self.lose("was lost together with the Ray cluster")

    def lose(self, how: str, last_lines: Sequence[str] = ()) -> None:
        """It says nothing more."""
        self._lost = Lost(self.name, how, last_lines)
        self._executor.forget(self.name)

    @property
    def is_alive(self) -> bool:
        """Whether more may come."""
        return not self._has_ended and (self._lost is None or bool(self._unheard))

    def how_it_died(self) -> tuple[str, Sequence[str]]:
        """In the words of its machine, or of who missed it."""
        if self._lost is None:
            return "does not answer", ()
        return self._lost.how, self._lost.last_lines

    def _end(self) -> None:
        self._has_ended = True
        self._executor.forget(self.name)


def for_machines(ours: Mapping[str, str]) -> dict[str, str]:
    """What opens the storage and the hub; not what names a place on this machine."""
    return {
        name: value
        for name, value in ours.items()
        if name in _NAMES or (name.startswith("AWS_") and not name.endswith("_FILE"))
    }


def _refuse(config: ServiceConfig) -> None:
    if importlib.util.find_spec("ray") is None:
        raise InvalidSettings(
            "MODELGENERATOR_EXECUTOR is ray, and Ray is not installed: "
            "pip install 'modelgenerator[ray]'."
        )
    url = config.storage_url
    is_shared = "storage_url" in config.model_fields_set
    if url.startswith("s3://"):
        return
    if not is_shared or not Path(url.removeprefix("file://")).is_absolute():
        raise InvalidSettings(
            "With MODELGENERATOR_EXECUTOR=ray other machines read and write the storage, and "
            f"{url} is a folder of this one. Set STORAGE_URL to a bucket (s3://BUCKET/PREFIX), or "
            "to the whole path of a folder that all machines share."
        )
