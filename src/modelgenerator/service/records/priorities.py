"""How urgent work is: what a person says of it, and the number by which waiting jobs are sorted."""

from collections.abc import Mapping
from enum import StrEnum

from modelgenerator.service.records.jobs import JobKind


class Priority(StrEnum):
    """What a person says."""

    LOW = "low"  # when nothing else wants the place
    NORMAL = "normal"
    HIGH = "high"  # a training of a lower one makes room for it

    @property
    def rank(self) -> int:
        """Higher goes first."""
        return _RANKS[self]


_RANKS: Mapping[Priority, int] = {Priority.LOW: -1, Priority.NORMAL: 0, Priority.HIGH: 1}
_APART = 100
"""Between two of them lies all that kinds of work add."""
_OF_KIND: Mapping[JobKind, int] = {
    JobKind.TRAIN: 0,
    JobKind.GENERATE: 10,
    JobKind.ZIP: 10,
    JobKind.GENERATE_OBJECTS: 10,
}
"""Seconds do not wait behind an hour where there is room for both."""


def number_of(priority: Priority, kind: JobKind) -> int:
    """What stands in the ledger."""
    return priority.rank * _APART + _OF_KIND[kind]


def priority_of(number: int) -> Priority:
    """What was said, from what stands in the ledger."""
    rank = (number + _APART // 2) // _APART
    return next(one for one in Priority if one.rank == max(-1, min(1, rank)))


def highest_below(number: int) -> int:
    """The largest number of the next lower priority: whose trainings make room."""
    return priority_of(number).rank * _APART - _APART // 2 - 1
