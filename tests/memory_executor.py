"""An executor without processes: jobs say what a test lets them say.

It keeps the same promises as the one that runs children, so that the dispatcher is tried without
any; what a job was told and how it was ended can be read.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from modelgenerator.service.jobs.executors.executor import Slot
from modelgenerator.service.jobs.messages import (
    Assignment,
    End,
    Message,
    Stopped,
)
from modelgenerator.service.records.holds import NOTHING
from modelgenerator.service.records.jobs import JobKind
from modelgenerator.service.records.servers import DrawingPlace, Machine

ANY = Slot(name="any", kinds=tuple(JobKind))


@dataclass
class MemoryJob:
    """One assignment; a test speaks in its place."""

    slot: Slot
    assignment: Assignment
    machine: str | None = "memory"
    unheard: list[Message] = field(default_factory=list[Message])
    is_asked_to_stop: bool = False
    is_killed: bool = False
    is_alive: bool = True
    stops_with: Sequence[Message] | None = (Stopped(),)
    """What it says when it is asked to stop; None: it does not listen."""

    def says(self, *messages: Message) -> None:
        self.unheard += messages
        if any(isinstance(message, End) for message in messages):
            self.is_alive = False

    def dies(self) -> None:
        self.is_alive = False

    def messages(self) -> Sequence[Message]:
        said, self.unheard = self.unheard, []
        return () if self.is_killed else said

    def ask_to_stop(self) -> None:
        self.is_asked_to_stop = True
        if self.stops_with is not None and self.is_alive:
            self.says(*self.stops_with)

    def kill(self) -> None:
        self.is_killed, self.is_alive = True, False

    def how_it_died(self) -> tuple[str, Sequence[str]]:
        return "was ended by SIGSEGV", ["Fatal Python error: Segmentation fault"]


class MemoryExecutor:
    """Runs as many jobs as it has slots."""

    def __init__(self, *slots: Slot) -> None:
        self._slots = slots or (ANY,)
        self.started: list[MemoryJob] = []
        self.is_closed = False

    @property
    def last(self) -> MemoryJob:
        return self.started[-1]

    def machines(self) -> Sequence[Machine]:
        return [Machine(name="memory", cpus=1)]

    def slots(self) -> Sequence[Slot]:
        return self._slots

    def free_slots(self) -> Sequence[Slot]:
        busy = {job.slot.name for job in self.started if job.is_alive}
        return [slot for slot in self._slots if slot.name not in busy]

    def drawing(self) -> Sequence[DrawingPlace]:
        free = self.free_slots()
        return [
            DrawingPlace(
                gpus=slot.gpus,
                gpu_memory=slot.gpu_memory,
                holds=slot.holds,
                is_free=slot in free,
            )
            for slot in self._slots
            if slot.holds != NOTHING
        ]

    def start(self, slot: Slot, assignment: Assignment) -> MemoryJob:
        self.started.append(MemoryJob(slot, assignment))
        return self.last

    def close(self) -> None:
        self.is_closed = True
