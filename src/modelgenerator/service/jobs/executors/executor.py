"""What the dispatcher asks of whoever runs the bodies of jobs: two small protocols.

In: an assignment, for a slot that is free.  Out: messages, as they come.  An executor knows neither
ledger nor money; it may lose everything at any time, and says so by `is_alive`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from modelgenerator.service.jobs.messages import Assignment, Message
from modelgenerator.service.records.holds import NOTHING, Holds
from modelgenerator.service.records.jobs import JobKind
from modelgenerator.service.records.servers import DrawingPlace, Machine


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A place in which one job runs at a time."""

    name: str
    kinds: tuple[JobKind, ...]
    gpus: int = 0
    gpu_memory: int = 0
    """Bytes on each of them."""
    gpu_memory_above: int = -1
    """It is for jobs that need more than this."""
    gpu_kinds: tuple[str, ...] = ()
    """Of a cluster, as Ray calls them; none: whichever there is."""
    gpu_index: int | None = None
    """Which of this machine's."""
    holds: Holds = NOTHING
    """What is loaded there now."""
    nearby: Holds = NOTHING
    """What is in other slots that run all that this one can: their base models, and the LoRAs of
    those that are free."""


class RunningJob(Protocol):
    """One assignment that was begun.  None of this waits."""

    def messages(self) -> Sequence[Message]:
        """What came since this was asked last, in order; nothing follows an `End`."""
        ...

    def ask_to_stop(self) -> None:
        """Let it keep what it has and end with `Stopped`; asking twice changes nothing."""
        ...

    def kill(self) -> None:
        """Now, whatever it does.  It says nothing more."""
        ...

    @property
    def machine(self) -> str | None:
        """The name of the machine that it runs on, as soon as that is known."""
        ...

    @property
    def is_alive(self) -> bool:
        """Whether more may come.  When not, and no `End` came, the attempt is lost."""
        ...

    def how_it_died(self) -> tuple[str, Sequence[str]]:
        """In words that follow "the process", and the last lines that it wrote for nobody."""
        ...


class Executor(Protocol):
    """Runs bodies; one thread uses it."""

    def machines(self) -> Sequence[Machine]:
        """On which jobs run; none while there are none."""
        ...

    def slots(self) -> Sequence[Slot]:
        """All that there are, those that are taken too."""
        ...

    def free_slots(self) -> Sequence[Slot]:
        """In the order in which they should be filled."""
        ...

    def drawing(self) -> Sequence[DrawingPlace]:
        """Whatever has something loaded for pictures, for other servers to know."""
        ...

    def start(self, slot: Slot, assignment: Assignment) -> RunningJob:
        """Begin, in a slot that is free."""
        ...

    def close(self) -> None:
        """End everything that runs."""
        ...
