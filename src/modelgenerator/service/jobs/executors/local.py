"""Runs jobs in child processes of this machine: one for each slot, kept warm between jobs.

In: assignments.  Out: messages over a pipe.
"""

import os
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from modelgenerator.service.config import ServiceConfig
from modelgenerator.service.jobs.executors.child import BODIES, Child, needed
from modelgenerator.service.jobs.executors.executor import Slot
from modelgenerator.service.jobs.executors.machines import this_machine
from modelgenerator.service.jobs.executors.nearby import aware, held_during
from modelgenerator.service.jobs.messages import (
    Assignment,
    End,
    Message,
    Place,
    Stop,
    without_object_generator,
    without_secrets,
)
from modelgenerator.service.operations.devices import Gpu
from modelgenerator.service.records.holds import NOTHING, Holds
from modelgenerator.service.records.jobs import JobKind
from modelgenerator.service.records.servers import DrawingPlace, Machine

_OLD_SECONDS = 7 * 24 * 3600


class LocalExecutor:
    """Children are started when the first job for their slot comes."""

    def __init__(
        self,
        config: ServiceConfig,
        slots: Sequence[Slot],
        *,
        gpus: Sequence[Gpu] = (),
        checkpoint_seconds: float | None = None,
    ) -> None:
        self._config = config
        self._slots = tuple(slots)
        self._machine = this_machine(gpus)
        self._place = Place(
            config=without_secrets(config),
            running=config.data_dir.absolute() / "running",
            checkpoint_seconds=config.checkpoint_seconds
            if checkpoint_seconds is None
            else checkpoint_seconds,
        )
        self._warm: dict[str, _Warm] = {}
        _forget_old(self._place.running)

    def machines(self) -> Sequence[Machine]:
        """This one."""
        return [self._machine]

    def slots(self) -> Sequence[Slot]:
        """All that there are."""
        return self._slots

    def free_slots(self) -> Sequence[Slot]:
        """All whose child waits, or is not there."""
        slots = [replace(slot, holds=self._held(slot)) for slot in self._slots]
        busy = [slot for slot in slots if self._is_busy(slot)]
        return aware([slot for slot in slots if slot not in busy], busy)

    def drawing(self) -> Sequence[DrawingPlace]:
        """The children that have something loaded."""
        return [
            DrawingPlace(
                gpus=slot.gpus,
                gpu_memory=slot.gpu_memory,
                holds=holds,
                is_free=not self._is_busy(slot),
            )
            for slot in self._slots
            if (holds := self._held(slot)) != NOTHING
        ]

    def start(self, slot: Slot, assignment: Assignment) -> "LocalJob":
        """In the slot's child, which is started if it is not there."""
        held = self._held(slot)
        child = self._child_of(slot)
        folder = self._place.folder_of(assignment)
        job = LocalJob(child, assignment, folder, self._machine.name, held)
        self._warm[slot.name] = _Warm(child, job)
        child.forget_words()
        child.send(assignment)
        return job

    def _child_of(self, slot: Slot) -> Child:
        warm = self._warm.get(slot.name)
        if warm is not None and warm.is_there:
            return warm.child
        if warm is not None:
            warm.child.kill()
        return Child(BODIES, _environment(os.environ, slot), self._place_of(slot))

    def close(self) -> None:
        """End all children, whatever they do."""
        while self._warm:
            self._warm.popitem()[1].child.kill()

    def _held(self, slot: Slot) -> Holds:
        """What its child has loaded, or is about to."""
        warm = self._warm.get(slot.name)
        return warm.job.holds if warm is not None and warm.is_there else NOTHING

    def _is_busy(self, slot: Slot) -> bool:
        warm = self._warm.get(slot.name)
        return warm is not None and warm.job.is_alive

    def _place_of(self, slot: Slot) -> Place:
        """The key of the language model is for those who ask it."""
        if JobKind.GENERATE_OBJECTS in slot.kinds:
            return self._place
        return replace(self._place, config=without_object_generator(self._place.config))


class LocalJob:
    """One assignment in a child."""

    def __init__(
        self,
        child: Child,
        assignment: Assignment,
        folder: Path,
        machine: str,
        held: Holds = NOTHING,
    ) -> None:
        """`held` is what the child had loaded before."""
        self._child, self._assignment, self._folder = child, assignment, folder
        self.machine = machine
        self._has_ended = False
        self.holds = held_during(assignment, held)
        """What the child has loaded, as far as it said so."""

    def messages(self) -> Sequence[Message]:
        """What came since this was asked last."""
        if self._has_ended:
            return ()
        came: list[Message] = []
        while (message := self._child.heard()) is not None:
            if isinstance(message, Holds):
                self.holds = message
                continue
            came.append(message)
            if isinstance(message, End):
                self._has_ended = True
                break
        return came

    def ask_to_stop(self) -> None:
        """Soon."""
        self._child.send(Stop(self._assignment.name))

    def kill(self) -> None:
        """Now, and the child with it."""
        self._has_ended, self.holds = True, NOTHING
        self._child.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def is_alive(self) -> bool:
        """Whether more may come."""
        return not self._has_ended and self._child.is_alive

    @property
    def process_id(self) -> int:
        """The child's."""
        return self._child.process.pid

    def how_it_died(self) -> tuple[str, Sequence[str]]:
        """By which signal, or with which exit code."""
        return self._child.how_it_died(), self._child.last_lines()


@dataclass
class _Warm:
    """A child, and the job that it has or had last."""

    child: Child
    job: LocalJob

    @property
    def is_there(self) -> bool:
        """Whether the process lives; one may die while it waits, and nobody hears of that."""
        return self.child.process.poll() is None


def _environment(ours: Mapping[str, str], slot: Slot) -> dict[str, str]:
    """What the child of a slot needs of our variables."""
    kept = needed(ours)
    if slot.gpu_index is not None:
        kept["CUDA_VISIBLE_DEVICES"] = _visible(ours, slot.gpu_index)
    elif slot.gpus == 0:
        kept["CUDA_VISIBLE_DEVICES"] = ""
    return kept


def _visible(ours: Mapping[str, str], index: int) -> str:
    """The name of a GPU for a child, where this process may see only some of them."""
    seen = [name for name in ours.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return seen[index] if index < len(seen) else str(index)


def _forget_old(running: Path) -> None:
    """What attempts left whose server was killed; one that runs writes into its folder."""
    oldest = time.time() - _OLD_SECONDS
    for folder in running.glob("*"):
        with suppress(OSError):
            if folder.stat().st_mtime < oldest:
                shutil.rmtree(folder)
