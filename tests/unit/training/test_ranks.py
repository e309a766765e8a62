"""How the pictures of a step are divided."""

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelgenerator.training.ranks import parts

BATCHES = st.lists(st.integers(1, 6), min_size=1, max_size=8)


def step_of(sizes: list[int]) -> list[list[tuple[int, int]]]:
    return [[(batch, n) for n in range(size)] for batch, size in enumerate(sizes)]


@given(BATCHES, st.integers(1, 8))
def test_every_picture_is_learnt_from_once_and_no_batch_mixes(sizes: list[int], count: int):
    divided = parts(step_of(sizes), count)
    assert len(divided) == count
    every = [visit for part in divided for batch in part for visit in batch]
    assert sorted(every) == list(chain.from_iterable(step_of(sizes)))
    assert all(len({batch for batch, _ in one}) == 1 for part in divided for one in part)


@given(BATCHES, st.integers(1, 8))
def test_nobody_has_more_than_one_picture_more(sizes: list[int], count: int):
    loads = [sum(map(len, part)) for part in parts(step_of(sizes), count)]
    assert max(loads) - min(loads) <= 1


@pytest.mark.parametrize(
    ("sizes", "count", "loads"),
    [([4], 2, [2, 2]), ([5], 3, [2, 2, 1]), ([1, 1, 1], 2, [2, 1]), ([3, 3], 2, [3, 3])],
)
def test_what_is_left_over_goes_to_who_has_least(sizes: list[int], count: int, loads: list[int]):
    assert [sum(map(len, part)) for part in parts(step_of(sizes), count)] == loads


def test_one_process_has_it_all():
    assert parts(step_of([2, 3]), 1) == [step_of([2, 3])]
