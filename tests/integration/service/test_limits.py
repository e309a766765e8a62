"""How much one may ask for: requests of a key, and work that waits for an organization."""

from pathlib import Path
from uuid import uuid4

import pytest
from tests.flows import flow, step, transform
from tests.remembered import an_organization
from tests.serving import Serving, serving
from tests.working import a_dataset, claim, work

from modelgenerator.service.errors import QueueFull
from modelgenerator.service.operations import flows, inferences, runs
from modelgenerator.service.operations.callers import Caller
from modelgenerator.service.operations.carrying_on import carry_on
from modelgenerator.service.operations.inferences import InferenceRequest
from modelgenerator.service.records.flows import RunStatus
from modelgenerator.service.records.jobs import JobKind
from modelgenerator.service.records.organizations import Role

DRAW = {"baseModel": "creatures", "images": [{"prompt": "a fox"}]}
PACK = step("Zipper", "packer", sources=["made"])
TRAIN = {"baseModel": "creatures", "captionPrefix": "lvff", "epochs": 1}


@pytest.fixture
def short(tmp_path: Path):
    """A service where two may wait."""
    with serving(tmp_path, queued_jobs=2) as it:
        yield it


def test_a_key_makes_so_much_in_a_minute_and_reads_on(tmp_path: Path):
    with serving(tmp_path, requests_per_minute=3) as here:
        member = here.as_role(Role.MEMBER)
        made = [member.post("/v1/datasets").status_code for _ in range(3)]
        refused = member.post("/v1/datasets")
        assert (made, refused.status_code) == ([201] * 3, 429)
        assert refused.json()["code"] == "rateLimited"
        assert 0 < int(refused.headers["retry-after"]) <= 60
        assert member.get("/v1/trainings").status_code == 200
        assert here.http.post("/v1/datasets").status_code == 201, "another key"
        here.clock.advance(60)
        assert member.post("/v1/datasets").status_code == 201


def test_who_is_not_let_in_uses_up_nobodys_requests(tmp_path: Path):
    with serving(tmp_path, requests_per_minute=1) as here:
        statuses = [here.with_key("mg_wrong").post("/v1/datasets").status_code for _ in range(3)]
        assert statuses == [401] * 3
        assert here.http.post("/v1/datasets").status_code == 201


def test_no_more_waits_than_may(short: Serving):
    dataset = str(a_dataset(short))
    headers = {"Idempotency-Key": uuid4().hex}
    first = short.http.post("/v1/inferences", json=DRAW, headers=headers)
    train = {"datasetId": dataset, "settings": TRAIN}
    assert short.http.post("/v1/trainings", json=train).status_code == 202
    saved = flows.create_flow(short.service, short.owner, flow(transform({"number": 7}), PACK))
    run = f"/v1/flows/{saved.flow.id}/runs"
    held = short.http.get("/v1/organization").json()["held"]
    for address, body in (
        ("/v1/inferences", DRAW),
        ("/v1/trainings", train),
        (run, {"input": {"photos": dataset, "scenes": ["sea"]}}),
    ):
        refused = short.http.post(address, json=body)
        assert (refused.status_code, refused.json()["code"]) == (429, "queueFull"), refused.text
        assert refused.json()["hint"]
        assert int(refused.headers["retry-after"]) > 0
    assert short.http.get("/v1/organization").json()["held"] == held
    again = short.http.post("/v1/inferences", json=DRAW, headers=headers)
    assert again.json()["id"] == first.json()["id"], "it was accepted before"
    claim(short)
    assert short.http.post("/v1/inferences", json=DRAW).status_code == 202


def test_a_full_queue_is_one_organizations_own(short: Serving):
    request = InferenceRequest(base_model="creatures", images=DRAW["images"])
    for _ in range(2):
        inferences.create_inference(short.service, short.owner, request)
    with pytest.raises(QueueFull):
        inferences.create_inference(short.service, short.owner, request)
    other_id = an_organization(short.service.database, short.clock, balance=1_000_000)
    other = Caller(organization_id=other_id, role=Role.MEMBER)
    assert inferences.create_inference(short.service, other, request)


def test_a_run_that_was_let_in_goes_on_while_the_queue_is_full(short: Serving):
    draws = step("ImageGenerator", "made", baseModel="creatures", images=DRAW["images"])
    saved = flows.create_flow(short.service, short.owner, flow(draws))
    given = {"photos": str(a_dataset(short)), "scenes": ["sea"]}
    run_id = runs.start_run(short.service, short.owner, saved.flow.id, given)
    request = InferenceRequest(base_model="creatures", images=DRAW["images"])
    inferences.create_inference(short.service, short.owner, request)
    with pytest.raises(QueueFull):
        inferences.create_inference(short.service, short.owner, request)
    carry_on(short.service)
    for _ in range(2):  # the run's pictures, and the others
        work(short, JobKind.GENERATE)
    carry_on(short.service)
    seen = runs.read_run(short.service, short.owner, run_id)
    assert seen.run.status is RunStatus.SUCCEEDED
