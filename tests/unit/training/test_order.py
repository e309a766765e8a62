from collections import Counter

import pytest
from tests.examples import dataset_of, plan_for

from modelgenerator.training.order import batches, steps
from modelgenerator.training.plan import TrainingPlan
from modelgenerator.training.randomness import Randomness

SIZES = [(512, 512)] * 5 + [(900, 400)] * 4 + [(400, 900)]


def plan(batch_size: int = 1, repeats: int = 1, **settings: object) -> TrainingPlan:
    written = {"epochs": 9, "batchSize": batch_size, "repeats": repeats, **settings}
    return plan_for(dataset_of(SIZES), **written)


@pytest.mark.parametrize("batch_size", range(1, 7))
@pytest.mark.parametrize("repeats", [1, 3])
def test_every_picture_is_seen_so_often_in_every_epoch(batch_size: int, repeats: int):
    planned = plan(batch_size, repeats)
    for epoch in range(2):
        seen = Counter(v.picture for b in batches(planned, Randomness(1), epoch) for v in b)
        assert seen == dict.fromkeys(range(len(SIZES)), repeats)


@pytest.mark.parametrize("batch_size", range(1, 7))
def test_there_are_as_many_batches_as_the_plan_says(batch_size: int):
    planned = plan(batch_size, repeats=2)
    found = batches(planned, Randomness(1), 0)
    assert len(found) == planned.steps_per_epoch
    assert all(1 <= len(batch) <= batch_size for batch in found)


@pytest.mark.parametrize("batch_size", range(2, 7))
def test_a_batch_never_mixes_buckets(batch_size: int):
    planned = plan(batch_size, repeats=2)
    for batch in batches(planned, Randomness(1), 0):
        assert len({planned.pictures[visit.picture].bucket for visit in batch}) == 1


def test_only_the_last_batch_of_a_bucket_is_short():
    planned = plan(batch_size=4)
    lengths = Counter[tuple[tuple[int, int], int]]()
    for batch in batches(planned, Randomness(1), 0):
        lengths[planned.pictures[batch[0].picture].bucket, len(batch)] += 1
    assert sorted(lengths.values()) == [1, 1, 1, 1]
    assert sorted(size for _, size in lengths) == [1, 1, 4, 4]


def test_every_epoch_has_an_order_of_its_own():
    orders = [
        [v.picture for batch in batches(plan(), Randomness(1), epoch) for v in batch]
        for epoch in range(4)
    ]
    assert len({tuple(order) for order in orders}) == 4


def test_the_buckets_of_an_epoch_are_mixed_with_each_other():
    planned = plan()
    buckets = [planned.pictures[b[0].picture].bucket for b in batches(planned, Randomness(1), 0)]
    assert buckets != sorted(buckets)


def test_the_same_seed_and_epoch_have_one_order():
    assert batches(plan(2), Randomness(1), 3) == batches(plan(2), Randomness(1), 3)
    assert batches(plan(2), Randomness(1), 3) != batches(plan(2), Randomness(2), 3)


def test_no_two_visits_of_a_training_have_one_number():
    planned = plan(3, repeats=3)
    numbers = [
        v.number for epoch in range(4) for b in batches(planned, Randomness(1), epoch) for v in b
    ]
    assert len(numbers) == len(set(numbers)) == 4 * 3 * len(SIZES)


def test_the_number_of_a_visit_does_not_depend_on_the_batch_size():
    def visits(batch_size: int) -> set[tuple[int, int | str]]:
        found = batches(plan(batch_size, repeats=2), Randomness(1), 2)
        return {(visit.picture, visit.number) for batch in found for visit in batch}

    assert visits(1) == visits(4)


@pytest.mark.parametrize("accumulation", [1, 2, 3, 4, 10, 11])
def test_the_steps_of_an_epoch_are_its_batches_in_groups(accumulation: int):
    planned = plan(gradientAccumulation=accumulation)
    groups = steps(planned, Randomness(1), 2)
    assert [batch for group in groups for batch in group] == batches(planned, Randomness(1), 2)
    assert len(groups) == planned.steps_per_epoch
    assert {len(group) for group in groups[:-1]} <= {accumulation}
    assert 1 <= len(groups[-1]) <= accumulation
