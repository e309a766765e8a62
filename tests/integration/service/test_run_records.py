"""What the database is asked of flows and runs, on each kind of database."""

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.flows import TRAINER, flow, transform
from tests.remembered import a_flow_run, an_organization, queued
from tests.serving import serving
from tests.working import a_dataset, fail, work

from modelgenerator.service.operations import flows, runs
from modelgenerator.service.operations.carrying_on import carry_on
from modelgenerator.service.operations.deletions import delete_dataset
from modelgenerator.service.operations.run_events import run_events_after
from modelgenerator.service.records.datasets import Dataset, Origin
from modelgenerator.service.records.flows import (
    RunEventName,
    RunStatus,
    StepResult,
)
from modelgenerator.service.records.ids import new_id

EMBEDDED = {"baseModel": "modelgenerator/creatures", "epochs": 1}
TRAIN = {**TRAINER, "parameters": {"datasetId": "$.input.photos", "settings": EMBEDDED}}


@pytest.fixture
def run(database, organization_id, clock):
    """A run that waits for its first step."""
    return a_flow_run(database, organization_id, clock)


def a_step(run, clock, **changes):
    step = StepResult(
        id=new_id(clock()),
        organization_id=run.organization_id,
        run_id=run.id,
        step_id="a",
        position=1,
        type="Zipper",
        status=RunStatus.RUNNING,
        parameters={},
        attempt=1,
        result=None,
        error=None,
        job_id=None,
        created_at=clock(),
    )
    return replace(step, **changes)


def test_a_run_is_ready_while_no_step_of_it_has_a_job(database, run, clock):
    job = queued(database, run.organization_id, clock)
    step = a_step(run, clock)
    with database.transaction() as transaction:
        mine = transaction.of(run.organization_id)
        assert transaction.ready_runs(limit=5) == [run]
        mine.step_results.add(step)
        assert transaction.ready_runs(limit=5) == [run], "it was being begun"
        mine.step_results.replace(replace(step, job_id=job.id))
        assert transaction.ready_runs(limit=5) == []
        done = replace(step, job_id=job.id, status=RunStatus.SUCCEEDED)
        mine.step_results.replace(done)
        assert transaction.ready_runs(limit=5) == [run]
        for status in (RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED):
            mine.flow_runs.replace(replace(run, status=status))
            assert transaction.ready_runs(limit=5) == []


def test_events_of_a_run_are_numbered_without_gaps(database, run, clock):
    with database.transaction() as transaction:
        events = transaction.of(run.organization_id).run_events
        for name in (RunEventName.QUEUED, RunEventName.STEP_STARTED, RunEventName.FINISHED):
            error = {"error": {"code": "c", "message": "words"}}
            events.tell(run.id, name, error if name is RunEventName.FINISHED else {}, clock())
        found = events.from_number(run.id, 2, limit=10)
        assert [(it.sequence, it.name) for it in found] == [
            (2, RunEventName.STEP_STARTED),
            (3, RunEventName.FINISHED),
        ]
        events.forget_errors(run.id)
        assert events.from_number(run.id, 3, limit=1)[0].data == {}
    other = an_organization(database, clock)
    with database.reading() as transaction:
        assert transaction.of(other).run_events.from_number(run.id, 1, limit=10) == []
        assert transaction.of(run.organization_id).flow_runs.get(run.id).event_count == 3


def test_a_slug_is_taken_in_all_organizations(database, run):
    with database.reading() as transaction:
        assert transaction.slug_is_taken("mine")
        assert not transaction.slug_is_taken("mine", but_by=run.flow_id)
        assert not transaction.slug_is_taken("yours")


def test_uploads_are_found_when_their_time_is_over(database, organization_id, clock):
    now = clock()
    waiting = Dataset(
        id=new_id(now),
        organization_id=organization_id,
        origin=Origin.FLOW,
        created_at=now,
        expires_at=now,
    )
    taken = replace(waiting, id=new_id(clock()), expires_at=None)
    with database.transaction() as transaction:
        for dataset in (waiting, taken):
            transaction.of(organization_id).datasets.add(dataset)
        assert transaction.expired_datasets(now - timedelta(microseconds=1)) == []
        assert transaction.expired_datasets(now) == [waiting]


def a_run(here):
    saved = flows.create_flow(
        here.service, here.owner, flow(TRAIN, transform({"a": "$.input.name"}))
    )
    dataset_id = a_dataset(here)
    asked = {"photos": str(dataset_id), "scenes": ["sea"], "name": "somebody"}
    return runs.start_run(here.service, here.owner, saved.flow.id, asked), dataset_id


def test_two_servers_that_carry_on_one_run_begin_its_step_once(url, tmp_path):
    with serving(tmp_path, database_url=url) as here:
        run_id, _ = a_run(here)
        both = threading.Barrier(2)

        def server():
            both.wait()
            carry_on(here.service)

        threads = [threading.Thread(target=server) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        carry_on(here.service)
        with here.service.database.reading() as transaction:
            mine = transaction.of(here.organization_id)
            assert mine.trainings.count() == 1
            assert mine.jobs.count() == 1
        work(here)
        carry_on(here.service)
        carry_on(here.service)
        seen = runs.read_run(here.service, here.owner, run_id)
        assert seen.run.status is RunStatus.SUCCEEDED
        names = [event.name for event in run_events_after(here.service, here.owner, run_id, 0)]
        assert names.count("stepStarted") == 2


@pytest.mark.parametrize("how", ["succeeded", "failed"])
def test_what_a_person_told_a_run_goes_with_his_pictures(tmp_path, how):
    with serving(tmp_path) as here:
        run_id, dataset_id = a_run(here)
        carry_on(here.service)
        if how == "succeeded":
            work(here)
            carry_on(here.service)
            carry_on(here.service)
        else:
            from tests.working import claim

            fail(here, claim(here))
        delete_dataset(here.service, here.owner, dataset_id)
        seen = runs.read_run(here.service, here.owner, run_id)
        assert seen.run.status.value == how
        assert seen.run.input == {}
        told = run_events_after(here.service, here.owner, run_id, 0)
        for kept in (seen, told):
            assert "somebody" not in repr(kept)
            assert "It diverged" not in repr(kept)
        if how == "failed":
            runs.resume_run(here.service, here.owner, run_id)
            carry_on(here.service)
            again = runs.read_run(here.service, here.owner, run_id)
            assert again.run.status is RunStatus.FAILED
