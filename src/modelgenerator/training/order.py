"""Which pictures each step sees.

In: the plan and the randomness.  Out: for every epoch its batches of visits.  A visit has a number
that only epoch, picture and repeat decide: what is drawn for it does not depend on its batch.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from modelgenerator.datasets.buckets import Size
from modelgenerator.training.plan import TrainingPlan
from modelgenerator.training.randomness import Purpose, Randomness


@dataclass(frozen=True, slots=True)
class Visit:
    """One picture, seen once."""

    picture: int
    number: int | str


def steps(plan: TrainingPlan, randomness: Randomness, epoch: int) -> list[list[list[Visit]]]:
    """The batches of `epoch` (from 0), together those whose gradients make one optimizer step.

    The last step may have fewer: no gradient is kept for the next epoch.
    """
    found, size = batches(plan, randomness, epoch), plan.gradient_accumulation
    return [found[start : start + size] for start in range(0, len(found), size)]


def batches(plan: TrainingPlan, randomness: Randomness, epoch: int) -> list[list[Visit]]:
    """The batches of `epoch` (from 0), each of one bucket, in the order in which they are seen."""
    found = [batch for bucket in _buckets(plan) for batch in _of(bucket, plan, randomness, epoch)]
    order = randomness.permutation(Purpose.ORDER, f"{epoch} batches", len(found))
    return [found[index] for index in order]


def _buckets(plan: TrainingPlan) -> list[Size]:
    return sorted({picture.bucket for picture in plan.pictures})


def _of(
    bucket: Size, plan: TrainingPlan, randomness: Randomness, epoch: int
) -> Iterator[list[Visit]]:
    count = len(plan.pictures)
    visits = [
        Visit(index, (epoch * count + index) * plan.repeats + repeat)
        for index, picture in enumerate(plan.pictures)
        if picture.bucket == bucket
        for repeat in range(plan.repeats)
    ]
    order = randomness.permutation(Purpose.ORDER, f"{epoch} {bucket}", len(visits))
    for start in range(0, len(visits), plan.batch_size):
        yield [visits[index] for index in order[start : start + plan.batch_size]]
