"""Servers of one deployment, and the machines on which each of them runs jobs."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from modelgenerator.service.records.holds import Holds

GONE_AFTER = timedelta(seconds=20)
"""A server that was not seen for so long is gone, or cannot reach the database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Something that jobs run on."""

    name: str
    cpus: int
    gpus: int = 0
    gpu_kind: str | None = None
    """As its maker or Ray calls it: `L4`."""
    gpu_memory: int = 0
    """Bytes of each; 0: nobody knows."""
    memory: int = 0
    """Bytes of its own; 0: nobody knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Places of one kind: how many jobs of it run at once."""

    kinds: tuple[str, ...]
    """Of jobs."""
    count: int
    gpus: int = 0
    gpu_memory: int = 0
    """Bytes on each."""
    gpu_memory_above: int = -1
    """Only jobs that need more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawingPlace:
    """A place that draws pictures and has something loaded for it."""

    gpus: int = 0
    gpu_memory: int = 0
    """Bytes on each."""
    holds: Holds
    is_free: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A `modelgenerator serve` that takes jobs."""

    id: str
    """The owner of its leases."""
    host: str
    version: str
    executor: str
    machines: tuple[Machine, ...]
    """None while there is no cluster."""
    places: tuple[Places, ...]
    started_at: datetime
    seen_at: datetime
    drawing: tuple[DrawingPlace, ...] = ()
