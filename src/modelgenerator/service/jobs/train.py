"""A training as a job: the one place where the photo's story and the job's story meet.

In: a `TrainSpec`, the storage, a stop that may be asked for.  Out: messages, and files in the
storage below the attempt's own key: checkpoints, samples, LoRAs.  What is taught, and how, is the
library's; what becomes of the messages, the dispatcher's.
"""

import math
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TypeVar

from modelgenerator.content_cache import ContentCache
from modelgenerator.datasets.prepare import PreparedDataset
from modelgenerator.diffusion import hub
from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.notices import Notice
from modelgenerator.service.errors import StorageUnreachable
from modelgenerator.service.jobs.base_models import brought, loaded
from modelgenerator.service.jobs.bodies import Tools
from modelgenerator.service.jobs.checkpoints import Resumed, StoredCheckpoints
from modelgenerator.service.jobs.faults import failed, out_of_memory
from modelgenerator.service.jobs.messages import (
    Assignment,
    Failed,
    Message,
    Phase,
    PhaseBegun,
    Progressed,
    Stopped,
    Succeeded,
    Told,
    noticed,
)
from modelgenerator.service.jobs.preparing import prepared
from modelgenerator.service.jobs.trained_lora import stored_lora
from modelgenerator.service.jobs.training_messages import Telling
from modelgenerator.service.jobs.used_time import UsedTime
from modelgenerator.service.jobs.warm import WARM
from modelgenerator.service.operations.local_copies import dataset_room
from modelgenerator.service.records.job_specs import TrainSpec
from modelgenerator.settings import TrainingSettings
from modelgenerator.training.events import CheckpointSaved, Event, Finished, Started
from modelgenerator.training.out_of_memory import is_out_of_memory
from modelgenerator.training.parallel import together
from modelgenerator.training.plan import TrainingPlan
from modelgenerator.training.planning.processes import pictures_in_step
from modelgenerator.training.planning.resolve import resolve
from modelgenerator.training.teach import teach
from modelgenerator.training.this_machine import this_machine

Result = TypeVar("Result")
Teacher = Callable[..., Generator[Event, None, None]]
"""`teach`, but for the folder and what follows it."""
_RARELY = 20


def run(assignment: Assignment, tools: Tools) -> Generator[Message, None, None]:
    """One attempt at a training."""
    WARM.forget()
    training = _Training(assignment, tools)
    try:
        yield from training.steps()
    except Exception as error:  # noqa: BLE001  whatever it is, the job ends with it
        if is_out_of_memory(error):
            yield Failed(out_of_memory(training.doing), used_ms=training.used.ms)
        else:
            yield failed(error, used_ms=training.used.ms)


@dataclass
class _Training:
    assignment: Assignment
    tools: Tools
    spec: TrainSpec = field(init=False)
    used: UsedTime = field(init=False)
    checkpoints: StoredCheckpoints = field(init=False)
    doing: str = "preparing the pictures"
    preparing_ms: int = 0
    """Of the used time, before the first step."""
    stored_at: float = -math.inf
    """On the clock of `time.monotonic`."""
    seconds_to_store: float = 0.0
    """Of the newest checkpoint."""
    is_without_checkpoint: bool = False
    """The newest could not be stored."""

    def __post_init__(self) -> None:
        self.spec = TrainSpec.from_json(self.assignment.spec)
        # who goes on from a checkpoint does not pay again for what led to it
        is_fresh = self.assignment.checkpoint_key is None
        self.used = UsedTime(self.assignment.used_ms, is_running=is_fresh)
        prefix = self.spec.storage_prefix
        self.checkpoints = StoredCheckpoints(self.tools.files, prefix, self.assignment)

    @property
    def key(self) -> str:
        """Below which this attempt, and no other, writes."""
        return f"{self.spec.storage_prefix}/attempts/{self.assignment.name}"

    @property
    def room(self) -> Path:
        spec = self.spec
        return dataset_room(self.tools.config.data_dir, spec.organization_id, spec.dataset_id)

    def steps(self) -> Generator[Message, None, None]:
        """All of it; ends early where a stop was asked for."""
        spec = self.spec
        settings = TrainingSettings.from_written(spec.settings)
        commit = spec.base_revision or ""
        pinned = commit if hub.COMMIT.fullmatch(commit) else None
        base_files = hub.look_at(spec.base_model, pinned=pinned)
        dataset = yield from self._unless_stopped(
            prepared(spec, settings, self.tools.files, self.room)
        )
        if dataset is None:
            return
        processes = yield from self._processes(settings)
        machine = this_machine(processes)
        plan = resolve(settings, dataset, base_files, machine, processes=processes)
        yield from _planned(plan)
        with self.used.free():
            teacher = yield from self._unless_stopped(_teacher(plan, dataset, base_files))
        if teacher is not None:
            yield from self._taught(plan, teacher, base_files)

    def _processes(self, settings: TrainingSettings) -> Generator[Message, None, int]:
        """One for each GPU that this attempt was given and that finds a picture in every step."""
        gpus, pictures = max(1, self.assignment.gpus), pictures_in_step(settings)
        if gpus > pictures:
            message = (
                f"{pictures} of {gpus} GPUs are used, because a step has no more pictures: raise "
                "batchSize or gradientAccumulation to use them all."
            )
            yield noticed(Notice("warning", "batchSize", message))
        return min(gpus, pictures)

    def _unless_stopped(
        self, steps: Generator[Message, None, Result]
    ) -> Generator[Message, None, Result | None]:
        """What `steps` return; None when a stop came between."""
        while True:
            if self.tools.stop.is_set():
                steps.close()
                yield Stopped(self.used.ms)
                return None
            try:
                message = next(steps)
            except StopIteration as end:
                return end.value
            if isinstance(message, Progressed):
                message = Progressed(message.progress, self.used.ms)
            yield message

    def _taught(
        self,
        plan: TrainingPlan,
        teacher: Teacher,
        base_files: BaseModelFiles,
    ) -> Generator[Message, None, None]:
        self.doing = (
            f"training {plan.resolution} x {plan.resolution} pictures in batches of "
            f"{plan.batch_size}"
        )
        folder = self.tools.folder
        resumed = yield from self.checkpoints.resume(folder, plan_digest=plan.digest)
        if resumed.checkpoint is None and self.assignment.checkpoint_key is not None:
            self.used.start_again(0)
        if resumed.checkpoint is not None:
            data = {"step": resumed.checkpoint.step, "totalSteps": plan.total_steps}
            yield Told("resumed", data)
        events = teacher(
            folder,
            cache=ContentCache(self.room / "encoded"),
            resume_from=resumed.checkpoint,
            checkpoint_seconds=self.tools.checkpoint_seconds,
        )
        telling = Telling(plan, self.tools.files, self.key)
        with closing(events):
            first = yield from self._first(events, plan)
            for event in chain([first], events):
                if isinstance(event, Started):
                    self._began_to_train(resumed)
                yield from telling.of(event, self.used.ms)
                if isinstance(event, CheckpointSaved):
                    yield from self._kept_now_and_then(telling)
                if isinstance(event, Finished):
                    yield from self._saved(event.lora_file, telling, base_files)
                    return
                if self.tools.stop.is_set():
                    break
        yield from telling.rest()
        yield from self._kept(telling)
        yield Stopped(self.used.ms)

    def _first(
        self, events: Iterator[Event], plan: TrainingPlan
    ) -> Generator[Message, None, Event]:
        """The first event, before which several processes load the base model, each its own."""
        if plan.processes > 1:
            with self.used.free():
                first = next(events)
            yield PhaseBegun(Phase.ENCODING)
        else:
            yield PhaseBegun(Phase.ENCODING)
            first = next(events)
        return first

    def _began_to_train(self, resumed: Resumed) -> None:
        if resumed.checkpoint is None:
            self.preparing_ms = self.used.ms
        else:
            self.used.start_again(resumed.used_ms)

    def _kept_now_and_then(self, telling: Telling) -> Iterator[Message]:
        """Storing takes a twentieth of the time at most, however slow the storage is."""
        if time.monotonic() - self.stored_at >= _RARELY * self.seconds_to_store:
            yield from self._kept(telling)

    def _kept(self, telling: Telling) -> Iterator[Message]:
        yield from telling.saving(self.checkpoints.byte_count(self.tools.folder))
        begun = time.monotonic()
        try:
            stored = self.checkpoints.store(self.tools.folder, self.used.ms)
        except StorageUnreachable as error:
            yield from self._went_on_without(error)
        else:
            self.is_without_checkpoint = False
            if stored is not None:
                yield stored
        self.stored_at = time.monotonic()
        self.seconds_to_store = self.stored_at - begun
        yield from telling.saved()

    def _went_on_without(self, error: StorageUnreachable) -> Iterator[Message]:
        """An hour of training does not end with a minute of the storage's; told once."""
        if not self.is_without_checkpoint:
            step = self.checkpoints.stored_step
            message = (
                f"A checkpoint could not be stored ({str(error).rstrip('.')}). The training goes "
                f"on; if this machine were lost now, it would go on from step {step} elsewhere."
            )
            yield noticed(Notice("warning", None, message))
        self.is_without_checkpoint = True

    def _saved(
        self, lora_file: Path, telling: Telling, base_files: BaseModelFiles
    ) -> Iterator[Message]:
        yield PhaseBegun(Phase.SAVING)
        result = stored_lora(
            lora_file,
            telling,
            name=self.spec.training_id.hex,
            base_revision=base_files.revision,
            steps=telling.plan.total_steps - self.checkpoints.first_step,
            preparing_ms=self.preparing_ms,
            machine=self.tools.gpu_kind or this_machine().kind_of_machine,
        )
        yield Succeeded(result.as_json(), used_ms=self.used.ms)


def _teacher(
    plan: TrainingPlan, dataset: PreparedDataset, base_files: BaseModelFiles
) -> Generator[Message, None, Teacher]:
    """This process, with the base model loaded; or several, each of which loads it."""
    if plan.processes == 1:
        base = yield from loaded(base_files, plan.compute_dtype)
        return partial(teach, plan, dataset, base)
    here = yield from brought(base_files)
    return partial(together.teach, plan, dataset, here)


def _planned(plan: TrainingPlan) -> Iterator[Message]:
    """What it resolved to on this machine."""
    for notice in plan.notices:
        yield noticed(notice)
    data = {
        "pictures": len(plan.pictures),
        "epochs": plan.epochs,
        "stepsPerEpoch": plan.steps_per_epoch,
        "totalSteps": plan.total_steps,
        "batchSize": plan.batch_size,
        "optimizer": plan.optimizer,
        "networkDim": plan.network_dim,
        "computeDtype": plan.compute_dtype,
        "processes": plan.processes,
        "memoryBytes": plan.memory_bytes,
        "seed": plan.seed,
    }
    yield Told("planned", data)
