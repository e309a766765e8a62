import pytest

from modelgenerator.service.records.jobs import JobKind
from modelgenerator.service.records.priorities import (
    Priority,
    highest_below,
    number_of,
    priority_of,
)


@pytest.mark.parametrize("kind", JobKind)
@pytest.mark.parametrize("priority", Priority)
def test_what_was_said_is_known_from_the_number(priority, kind):
    assert priority_of(number_of(priority, kind)) is priority


def test_a_higher_priority_goes_before_every_kind_of_a_lower_one():
    for lower, higher in ((Priority.LOW, Priority.NORMAL), (Priority.NORMAL, Priority.HIGH)):
        most = max(number_of(lower, kind) for kind in JobKind)
        assert most < min(number_of(higher, kind) for kind in JobKind)


@pytest.mark.parametrize("kind", JobKind)
def test_what_makes_room_is_of_a_lower_priority(kind):
    below = highest_below(number_of(Priority.NORMAL, kind))
    numbers = {one: number_of(one, JobKind.TRAIN) for one in Priority}
    assert numbers[Priority.LOW] <= below < numbers[Priority.NORMAL]
