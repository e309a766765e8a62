"""Two servers carry the same run on, one a moment behind: what it saw is not so any more."""

from pathlib import Path

import pytest
from tests.flows import flow, transform
from tests.serving import Serving, serving
from tests.working import a_dataset

from modelgenerator.flows.engine import RunState, StepToRun, next_step
from modelgenerator.service.operations import carrying_on, flows, runs
from modelgenerator.service.operations.carrying_on import carry_on
from modelgenerator.service.records.flows import FlowRun, RunStatus

PACK_ONE = {"id": "packer", "type": "Zipper", "parameters": {"sources": ["made"]}}
DRAW = {
    "id": "drawer",
    "type": "ImageGenerator",
    "parameters": {"baseModel": "modelgenerator/creatures", "images": [{"prompt": "a creature"}]},
}


@pytest.fixture
def here(tmp_path: Path):
    with serving(tmp_path) as it:
        yield it


def listed(here: Serving, *steps) -> FlowRun:
    """A run as the server that comes late has it in its list."""
    saved = flows.create_flow(here.service, here.owner, flow(*steps))
    asked = {"photos": str(a_dataset(here)), "scenes": ["sea"]}
    runs.start_run(here.service, here.owner, saved.flow.id, asked)
    return ready(here)


def ready(here: Serving) -> FlowRun:
    with here.service.database.reading() as transaction:
        (run,) = transaction.ready_runs(limit=10)
    return run


def jobs(here: Serving) -> int:
    with here.service.database.reading() as transaction:
        return len(transaction.of(here.owner.organization_id).jobs.all())


def status(here: Serving, run: FlowRun):
    found = runs.read_run(here.service, here.owner, run.id)
    return found.run.status, [each.step.status for each in found.steps]


def test_a_step_that_another_server_has_begun_gets_no_second_job(here: Serving):
    run = listed(here, transform({"a": 1}), PACK_ONE)
    while jobs(here) == 0:
        carry_on(here.service)
    carrying_on._go_on(here.service, run)
    assert jobs(here) == 1
    assert status(here, run) == (RunStatus.RUNNING, [RunStatus.SUCCEEDED, RunStatus.RUNNING])


def test_a_run_that_another_server_has_ended_stays_as_it_is(here: Serving):
    run = listed(here, transform({"a": 1}))
    while status(here, run)[0] is not RunStatus.SUCCEEDED:
        carry_on(here.service)
    carrying_on._go_on(here.service, run)
    assert status(here, run) == (RunStatus.SUCCEEDED, [RunStatus.SUCCEEDED])


def test_a_step_that_another_server_is_just_beginning_is_its_own(here: Serving):
    run = listed(here, transform({"a": 1}), DRAW)
    while len(status(here, run)[1]) == 0:
        carry_on(here.service)
    late = carrying_on._look(here.service, ready(here))
    results = {step.step_id: step.result for step in late.steps}
    following = next_step(late.flow, RunState(late.run.input, results))
    assert isinstance(following, StepToRun)
    assert carrying_on._begin(here.service, late, following) is not None  # by the other one
    assert carrying_on._begin(here.service, late, following) is None
    carrying_on._refuse(here.service, late, following, ValueError("too late"))
    assert status(here, run) == (RunStatus.RUNNING, [RunStatus.SUCCEEDED, RunStatus.RUNNING])
    carry_on(here.service)
    assert jobs(here) == 1
