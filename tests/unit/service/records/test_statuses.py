import itertools

import pytest
from tests.remembered import SetClock, a_job

from modelgenerator.service.records.flows import (
    NEXT_RUN_STATUSES,
    FlowRun,
    RunStatus,
    StepResult,
)
from modelgenerator.service.records.ids import new_id
from modelgenerator.service.records.jobs import NEXT_STATUSES, JobStatus
from modelgenerator.service.records.webhooks import NEXT_DELIVERY_STATUSES, DeliveryStatus

CLOCK = SetClock()


@pytest.mark.parametrize(
    ("table", "statuses"),
    [
        (NEXT_STATUSES, JobStatus),
        (NEXT_RUN_STATUSES, RunStatus),
        (NEXT_DELIVERY_STATUSES, DeliveryStatus),
    ],
)
def test_every_status_says_what_may_follow(table, statuses):
    assert set(table) == set(statuses)
    assert set().union(*table.values()) <= set(statuses)


@pytest.mark.parametrize(("old", "new"), list(itertools.product(JobStatus, JobStatus)))
def test_a_job_makes_only_the_listed_moves(old, new):
    job = a_job(new_id(CLOCK()), CLOCK, status=old)
    if new in NEXT_STATUSES[old]:
        assert job.moved_to(new).status is new
    else:
        with pytest.raises(ValueError, match="cannot become"):
            job.moved_to(new)


@pytest.mark.parametrize(("old", "new"), list(itertools.product(RunStatus, RunStatus)))
@pytest.mark.parametrize("make", ["run", "step"])
def test_a_run_and_its_steps_make_only_the_listed_moves(make, old, new):
    moved = {"run": a_run, "step": a_step}[make](old)
    if new not in NEXT_RUN_STATUSES[old]:
        with pytest.raises(ValueError, match="cannot become"):
            moved.moved_to(new, CLOCK())
        return
    after = moved.moved_to(new, CLOCK())
    assert after.status is new
    assert (after.finished_at is None) == (new in (RunStatus.QUEUED, RunStatus.RUNNING))


def test_a_final_job_is_one_that_nothing_follows():
    final = {status for status in JobStatus if status.is_final}
    assert final == {JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED}


def a_run(status):
    return FlowRun(
        id=new_id(CLOCK()),
        organization_id=new_id(CLOCK()),
        flow_id=new_id(CLOCK()),
        version_id=new_id(CLOCK()),
        is_public=False,
        input={},
        dataset_ids=(),
        status=status,
        error=None,
        created_at=CLOCK(),
    )


def a_step(status):
    return StepResult(
        id=new_id(CLOCK()),
        organization_id=new_id(CLOCK()),
        run_id=new_id(CLOCK()),
        step_id="trainer",
        position=0,
        attempt=1,
        type="ModelGenerator",
        status=status,
        parameters={},
        result=None,
        error=None,
        job_id=None,
        created_at=CLOCK(),
    )
