"""Curves of trainings that were interrupted, and of long ones."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from modelgenerator.service.operations.training_curves import Point, joined, thinned
from modelgenerator.service.records.jobs import JobEvent


def told(first: int, last: int, loss: float | None) -> JobEvent:
    steps = list(range(first, last + 1))
    return JobEvent(
        job_id=UUID(int=1),
        organization_id=UUID(int=2),
        sequence=first,
        attempt=1,
        name="steps",
        data={
            "steps": steps,
            "losses": [loss] * len(steps),
            "learningRates": [2.0] * len(steps),
            "d": [0.5] * len(steps),
        },
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def test_what_was_done_again_counts_as_it_was_done_last() -> None:
    points = joined([told(1, 4, 1.0), told(3, 5, 0.5)])
    assert [(it.step, it.loss) for it in points] == [
        (1, 1.0),
        (2, 1.0),
        (3, 0.5),
        (4, 0.5),
        (5, 0.5),
    ]


def test_the_learning_rate_is_the_one_that_takes_effect() -> None:
    assert joined([told(1, 1, 1.0)])[0].learning_rate == pytest.approx(1.0)


def test_a_loss_that_is_not_finite_is_a_gap() -> None:
    assert joined([told(1, 1, None)])[0].loss is None


def test_long_curves_are_means_that_leave_no_step_out() -> None:
    points = [Point(step, float(step), None) for step in range(1, 8)]
    assert list(thinned(points, 3)) == [
        Point(3, 2.0, None),
        Point(6, 5.0, None),
        Point(7, 7.0, None),
    ]
    assert list(thinned(points, 1)) == points


def test_an_event_that_was_deleted_has_no_points() -> None:
    assert joined([replace(told(1, 2, 1.0), data={})]) == []
