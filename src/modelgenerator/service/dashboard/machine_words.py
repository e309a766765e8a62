"""Machines in words: what there is, and how much of it is free.

In: machines as operations see them.  Out: short texts.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from modelgenerator.service.operations.cluster import SeenMachine
from modelgenerator.service.operations.overview import Machines
from modelgenerator.service.records.servers import Machine

MOST_MARKS = 16
"""GPUs of one machine that are shown one by one."""
MOST_CARDS = 12
"""Machines that all have a card of their own; of more, only those that work have one."""


@dataclass(frozen=True, slots=True)
class Line:
    """All machines in one figure."""

    name: str
    value: str
    more: str = ""


def line_of(machines: Machines) -> Line:
    """What works here, and how much of it is free."""
    there, count = machines.there, len(machines.there)
    if not there:
        return Line("Machines", "none", "jobs wait until there is one")
    gpus = sum(machine.gpus for machine in there) if machines.uses_gpus else 0
    if not gpus:
        name = there[0].name if count == 1 else f"{count} machines"
        jobs = "1 job" if machines.running == 1 else f"{machines.running:,} jobs"
        return Line(name, jobs if machines.running else "free")
    busy = min(machines.gpus_busy, gpus)
    value = "busy" if busy == gpus else f"{gpus - busy} of {gpus} free" if busy else "free"
    return Line(gpus_in_words(there), value, "" if count == 1 else f"on {count} machines")


def gpus_in_words(machines: Iterable[Machine]) -> str:
    """`2 × L4, 1 × A100`."""  # noqa: RUF002
    counts: Counter[str] = Counter()
    for machine in machines:
        counts[machine.gpu_kind or "GPU"] += machine.gpus
    return ", ".join(f"{count} × {kind}" for kind, count in counts.items() if count)  # noqa: RUF001


def facts_of(machine: Machine) -> str:
    """`16 CPUs, 64 GB`."""
    facts = [f"{machine.cpus} CPU{'' if machine.cpus == 1 else 's'}"]
    facts += [_gigabytes(machine.memory)] if machine.memory else []
    return ", ".join(facts)


def gpu_facts_of(seen: SeenMachine) -> str:
    """`2 × L4 with 24 GB each: 1 busy`."""  # noqa: RUF002
    machine = seen.machine
    memory = f" with {_gigabytes(machine.gpu_memory)}" if machine.gpu_memory else ""
    each = " each" if memory and machine.gpus > 1 else ""
    busy = marks_of(seen).count(True)
    how = "busy" if busy == machine.gpus else f"{busy} busy" if busy else "free"
    return f"{gpus_in_words([machine])}{memory}{each}: {how}"


def marks_of(seen: SeenMachine) -> list[bool]:
    """Of each of its GPUs, whether a job has it."""
    busy = min(seen.busy.gpus, seen.machine.gpus)
    return [number < busy for number in range(seen.machine.gpus)]


def cards_of(machines: Sequence[SeenMachine]) -> tuple[list[SeenMachine], list[SeenMachine]]:
    """Those that are shown one by one, and those that are only named because they are free."""
    if len(machines) <= MOST_CARDS:
        return list(machines), []
    free = [one for one in machines if one.is_there and not one.busy.count]
    return [one for one in machines if one not in free], free


def _gigabytes(byte_count: int) -> str:
    return f"{byte_count / 10**9:.0f} GB"
