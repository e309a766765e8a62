from dataclasses import replace

import pytest
from tests.machines import GIGABYTE, a_machine

from modelgenerator.service.dashboard.machine_words import (
    MOST_CARDS,
    Line,
    cards_of,
    facts_of,
    gpu_facts_of,
    line_of,
    marks_of,
)
from modelgenerator.service.operations.cluster import Busy, SeenMachine
from modelgenerator.service.operations.overview import Machines

A100 = replace(a_machine("c", 1), gpu_kind="A100", gpu_memory=80 * GIGABYTE)


def machines(*there, running: int = 0, busy: int = 0, uses_gpus: bool = True) -> Machines:
    return Machines(there=there, running=running, gpus_busy=busy, uses_gpus=uses_gpus)


@pytest.mark.parametrize(
    ("machines", "line"),
    [
        (machines(), Line("Machines", "none", "jobs wait until there is one")),
        (machines(a_machine("a", 0)), Line("a", "free")),
        (machines(a_machine("a", 0), running=1), Line("a", "1 job")),
        (
            machines(a_machine("a", 0), a_machine("b", 0), running=3),
            Line("2 machines", "3 jobs"),
        ),
        (machines(a_machine("a")), Line("2 × L4", "free")),  # noqa: RUF001
        (machines(a_machine("a"), busy=1), Line("2 × L4", "1 of 2 free")),  # noqa: RUF001
        (machines(a_machine("a"), busy=3), Line("2 × L4", "busy")),  # noqa: RUF001
        (
            machines(a_machine("a"), a_machine("b"), A100, busy=2),
            Line("4 × L4, 1 × A100", "3 of 5 free", "on 3 machines"),  # noqa: RUF001
        ),
        (
            machines(a_machine("a"), running=2, uses_gpus=False),
            Line("a", "2 jobs"),
        ),
    ],
)
def test_all_machines_are_one_line(machines, line):
    assert line_of(machines) == line


def seen(machine, gpus: int = 0, **busy: int) -> SeenMachine:
    return SeenMachine(machine=machine, is_there=True, busy=Busy(gpus=gpus, **busy))


def test_a_machine_says_what_it_has():
    assert facts_of(a_machine("a")) == "16 CPUs, 64 GB"
    assert facts_of(replace(a_machine("a"), cpus=1, memory=0)) == "1 CPU"


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (seen(a_machine("a")), "2 × L4 with 24 GB each: free"),  # noqa: RUF001
        (seen(a_machine("a"), gpus=1), "2 × L4 with 24 GB each: 1 busy"),  # noqa: RUF001
        (seen(A100, gpus=3), "1 × A100 with 80 GB: busy"),  # noqa: RUF001
        (seen(replace(A100, gpu_kind=None, gpu_memory=0)), "1 × GPU: free"),  # noqa: RUF001
    ],
)
def test_its_gpus_are_free_or_busy(seen, words):
    assert gpu_facts_of(seen) == words


def test_each_gpu_has_a_mark():
    assert marks_of(seen(a_machine("a"), gpus=1)) == [True, False]
    assert marks_of(seen(a_machine("a"), gpus=5)) == [True, True]


def test_of_many_machines_those_that_are_free_are_named_alone():
    free = [seen(a_machine(str(number))) for number in range(MOST_CARDS)]
    assert cards_of(free) == (free, [])
    busy = seen(a_machine("busy"), others_count=1)
    assert cards_of([*free, busy]) == ([busy], free)
