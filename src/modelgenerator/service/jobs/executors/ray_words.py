"""What the server, its driver of a Ray cluster, and the runners on the machines say to each other.

    server --(Terms, Begin | Stop | Kill)--> driver --(Terms, Assignment)--> runner
    server <--(Cluster | Loaded | Begun | Came | Lost)-- driver <--(Opened, Heard)-- runner

All of it is data, which can be pickled; none of it knows Ray.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from modelgenerator.service.config import ServiceConfig
from modelgenerator.service.jobs.executors.nearby import held_during
from modelgenerator.service.jobs.messages import Assignment, Message, Said, Stop
from modelgenerator.service.records.holds import Holds
from modelgenerator.service.records.servers import Machine


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What all jobs of a server have in common; never a part of what Ray keeps of an actor."""

    config: ServiceConfig
    """Without what is secret: see `messages.without_secrets`."""
    environment: Mapping[str, str]
    """What opens the storage and the hub, as the server has it."""
    checkpoint_seconds: float
    idle_seconds: float
    """After which a warm runner is given back to the cluster."""
    patience: float
    """Seconds without a word from the driver after which a runner ends itself."""
    version: str
    """Of this program; another one on a machine may understand other words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a job asks of a machine."""

    cpus: int = 1
    gpus: int = 0
    gpu_kinds: tuple[str, ...] = ()
    """Any of these; none: whichever there is."""
    memory: int = 0
    """Bytes of the machine's own."""


@dataclass(frozen=True, slots=True)
class Begin:
    """Run it, wherever there is room."""

    assignment: Assignment
    needs: Needs


@dataclass(frozen=True, slots=True)
class Kill:
    """End the attempt of this name now; nothing more is said of it."""

    name: str


@dataclass(frozen=True, slots=True)
class Cluster:
    """What there is altogether; said every second, so that silence means something."""

    cpus: int
    gpus: int
    machines: tuple[Machine, ...] = ()


@dataclass(frozen=True, slots=True)
class Begun:
    """An attempt is on a machine."""

    name: str
    machine: str


@dataclass(frozen=True, slots=True)
class Held:
    """What a runner that draws has loaded."""

    gpu_kinds: tuple[str, ...]
    """That it was asked for with: it gets work that asks for the same."""
    holds: Holds


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the runners have loaded that draw pictures; said when it changes."""

    idle: Sequence[Held]
    """Of those that wait for work, the one that drew last first."""
    busy: Sequence[Held]
    """Of those that work."""

    def begun(self, assignment: Assignment, held: Held) -> "Loaded":
        """After `assignment` was given to a runner that has `held`; the driver will say it."""
        idle = list(self.idle)
        if held in idle:
            idle.remove(held)
        soon = Held(held.gpu_kinds, held_during(assignment, held.holds))
        return Loaded(idle, [*self.busy, soon])


NOTHING_LOADED = Loaded((), ())


@dataclass(frozen=True, slots=True)
class Came:
    """What an attempt said."""

    name: str
    messages: Sequence[Message]


@dataclass(frozen=True, slots=True)
class Lost:
    """An attempt says nothing more; `how` follows "the process"."""

    name: str
    how: str
    last_lines: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Opened:
    """A runner is ready."""

    machine: str
    """Its address."""
    folder: str
    """On that machine, to be removed when the runner is gone."""
    node: str = ""
    """That machine in Ray's words."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What a runner's child said since it was asked last, and how it died where it did."""

    messages: Sequence[Said]
    how: str | None = None
    last_lines: Sequence[str] = ()


WordOfServer = Begin | Stop | Kill
WordOfDriver = Cluster | Loaded | Begun | Came | Lost
