"""Phases, plans and curves as the page of a training shows them."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from modelgenerator.service.config import PriceList
from modelgenerator.service.dashboard.training_views import (
    CurveFacts,
    facts_of,
    grid_of,
    how_far,
    in_words,
    phases_of,
)
from modelgenerator.service.operations.training_status import Sample
from modelgenerator.service.records.jobs import Job, JobKind, JobStatus

NOW = datetime(2026, 1, 1, tzinfo=UTC)
JOB = Job(
    id=UUID(int=1),
    organization_id=UUID(int=2),
    kind=JobKind.TRAIN,
    target_id=UUID(int=3),
    spec={},
    prices=PriceList(),
    estimate=0,
    created_at=NOW,
)


def states(job: Job, **plan: object) -> list[str]:
    return [phase.state for phase in phases_of(job, plan)]


def test_what_lies_behind_is_past_and_the_rest_ahead() -> None:
    encoding = replace(JOB, status=JobStatus.RUNNING, phase="encoding", started_at=NOW)
    assert states(encoding, sampleEvery=1) == ["past"] * 3 + ["now"] + ["ahead"] * 4
    assert len(states(encoding)) == 7, "without samples there is no phase for them"
    assert states(JOB) == ["now"] + ["ahead"] * 6


@pytest.mark.parametrize("status", [JobStatus.FAILED, JobStatus.CANCELLED])
def test_what_ended_early_stopped_where_it_was(status: JobStatus) -> None:
    ended = replace(JOB, status=status, phase="training", started_at=NOW)
    assert states(ended) == ["past"] * 4 + ["stopped"] + ["ahead"] * 2
    assert states(replace(JOB, status=JobStatus.CANCELLED))[0] == "stopped"


def test_all_of_what_succeeded_is_past() -> None:
    assert set(states(replace(JOB, status=JobStatus.SUCCEEDED, phase="saving"))) == {"past"}


def test_a_job_that_told_nothing_is_at_its_beginning() -> None:
    far = how_far(JOB, {"totalSteps": 10, "epochs": 2})
    assert (far.step, far.total_steps, far.part, far.seconds_left) == (0, 10, 0.0, None)


def test_a_curve_in_numbers_passes_over_what_is_not_finite() -> None:
    values = [(1, 0.9), (2, 0.1), (3, 0.4), (4, 0.6), (5, None)]
    assert facts_of(values, steps_per_epoch=2) == CurveFacts(0.6, 0.1, 0.5)
    assert facts_of([(1, None)], steps_per_epoch=2) == CurveFacts(None, None, None)


def test_samples_stand_by_prompt_and_epoch_with_gaps() -> None:
    def sample(epoch: int, prompt: str, url: str = "") -> Sample:
        return Sample(epoch=epoch, prompt=prompt, url=url, created_at=NOW)

    grid = grid_of([sample(2, "a"), sample(2, "b"), sample(4, "a"), sample(4, "a", "later")])
    assert grid.epochs == (2, 4)
    assert [row.prompt for row in grid.rows] == ["a", "b"]
    assert grid.rows[0].samples[1] == sample(4, "a", "later")
    assert grid.rows[1].samples[1] is None


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "not given"),
        (True, "yes"),
        (0.00010000001, "0.0001"),
        ((), "none"),
        ({"decouple": True}, "decouple yes"),
        (["a", "b"], "a, b"),
    ],
)
def test_values_are_said_in_words(value: object, words: str) -> None:
    assert in_words(value) == words
