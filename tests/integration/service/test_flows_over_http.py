"""Flows, runs and public pages as programs and visitors ask for them."""

import json
from pathlib import Path
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient
from tests.flows import DRAWER, TRAINER, flow, step, transform
from tests.serving import Serving, serving
from tests.working import a_dataset, amounts, claim, fail, png, work

from modelgenerator.service.operations.carrying_on import carry_on
from modelgenerator.service.operations.expiry import sweep
from modelgenerator.service.records.jobs import JobKind
from modelgenerator.service.records.organizations import Role

EMBEDDED = {"baseModel": "modelgenerator/creatures", "epochs": 1}
TRAIN = {**TRAINER, "parameters": {"datasetId": "$.input.photos", "settings": EMBEDDED}}


@pytest.fixture
def here(tmp_path: Path):
    with serving(tmp_path) as it:
        yield it


def saved(here: Serving, definition) -> dict:
    answer = here.http.post("/v1/flows", json={"definition": definition})
    assert answer.status_code == 201, answer.text
    return answer.json()


def events(http: TestClient, address: str, **headers: str) -> list[tuple[str, str, dict]]:
    """Id, name and data of each event until the stream ends."""
    found, current = [], {}
    with http.stream("GET", address, headers=headers) as answer:
        for line in answer.iter_lines():
            name, _, value = line.partition(": ")
            if line and name:
                current[name] = value
            elif current:
                data = json.loads(current["data"])
                found.append((current.get("id"), current["event"], data))
                current = {}
    return found


def test_a_flow_is_saved_read_changed_and_taken_away(here: Serving):
    made = saved(here, flow())
    assert (made["slug"], made["version"], made["definition"]) == ("portraits", 1, flow())
    assert made["estimate"]["run"] == 10_000
    address = f"/v1/flows/{made['id']}"
    assert here.http.get(address).json() == made
    changed = here.http.put(address, json={"definition": flow(title="Better")}).json()
    assert (changed["title"], changed["version"]) == ("Better", 2)
    listed = here.http.get("/v1/flows", params={"slug": "portraits"}).json()
    assert [each["id"] for each in listed["items"]] == [made["id"]]
    versions = here.http.get(f"{address}/versions").json()
    assert [each["number"] for each in versions["items"]] == [2, 1]
    assert here.http.delete(address).status_code == 204
    assert here.http.get(address).status_code == 404


def test_faults_come_all_at_once_with_their_places(here: Serving):
    text = "{title: 'T', description: 'D',\n steps: [{id: 'a', type: 'Zip'}, {id: 'a'}]}"
    answer = here.http.post("/v1/flows", json={"definition": text})
    problem = answer.json()
    assert answer.status_code == 422
    assert problem["code"] == "invalidFlow"
    assert {"pointer", "code", "message", "hint", "line", "column"} == set(problem["faults"][0])
    assert [fault["code"] for fault in problem["faults"]] == [
        "unknownStepType",
        "missingValue",
        "duplicateStepId",
    ]
    checked = here.http.post("/v1/flows/check", json={"definition": text}).json()
    assert checked["faults"] == problem["faults"]
    assert here.http.get("/v1/flows").json()["items"] == []


def test_a_text_that_is_no_json5_is_told_where(here: Serving):
    answer = here.http.post("/v1/flows", json={"definition": "{title: 'T'"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalidFlow")


def test_what_does_not_fit_the_form_is_told_place_by_place(here: Serving):
    made = saved(here, flow())
    answer = here.http.post(f"/v1/flows/{made['id']}/runs", json={"input": {"scenes": [1]}})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalidFlowInput")
    assert {fault["pointer"] for fault in answer.json()["faults"]} == {"/photos", "/scenes/0"}


def test_pictures_are_uploaded_for_a_form_and_a_run_takes_them(here: Serving):
    made = saved(here, flow(TRAIN, DRAWER))
    upload = here.http.post(f"/v1/flows/{made['id']}/uploads")
    assert upload.status_code == 201
    dataset_id = upload.json()["datasetId"]
    files = [("files", (f"{shade}.png", png(shade, 256), "image/png")) for shade in range(4)]
    answer = here.http.post(f"/v1/datasets/{dataset_id}/images", files=files)
    assert answer.json()["accepted"] == 4, answer.text
    asked = {"input": {"photos": dataset_id, "scenes": ["sea"]}}
    started = here.http.post(f"/v1/flows/{made['id']}/runs", json=asked)
    assert started.status_code == 202, started.text
    run = started.json()
    assert (run["status"], run["steps"], run["cost"]) == ("queued", [], 10_000)
    carry_on(here.service)
    work(here, JobKind.TRAIN)
    carry_on(here.service)
    work(here, JobKind.GENERATE)
    carry_on(here.service)
    run = here.http.get(f"/v1/runs/{run['id']}").json()
    assert run["status"] == "succeeded"
    assert run["results"]["drawer"]["images"][0]["trainingId"] == run["results"]["trainer"]["id"]
    assert here.http.get(f"/v1/flows/{made['id']}/runs").json()["items"][0]["id"] == run["id"]
    assert here.http.get("/v1/runs", params={"status": "failed"}).json()["items"] == []
    here.clock.advance(2 * 24 * 3600)
    sweep(here.service)
    assert here.http.get(f"/v1/datasets/{dataset_id}").status_code == 200


def test_an_upload_that_no_run_takes_goes_in_a_day(here: Serving):
    made = saved(here, flow())
    dataset_id = here.http.post(f"/v1/flows/{made['id']}/uploads").json()["datasetId"]
    files = [("files", ("a.png", png(1, 256), "image/png"))]
    here.http.post(f"/v1/datasets/{dataset_id}/images", files=files)
    here.clock.advance(24 * 3600 - 60)
    sweep(here.service)
    assert here.http.get(f"/v1/datasets/{dataset_id}").status_code == 200
    here.clock.advance(61)
    asked = {"input": {"photos": dataset_id, "scenes": ["sea"]}}
    assert here.http.post(f"/v1/flows/{made['id']}/runs", json=asked).status_code in (404, 422)
    sweep(here.service)
    assert here.http.get(f"/v1/datasets/{dataset_id}").status_code == 404
    assert not [key for key in here.service.files.keys("organizations") if dataset_id in key]


def a_run(here: Serving, *steps) -> str:
    made = saved(here, flow(*steps))
    asked = {"input": {"photos": str(a_dataset(here)), "scenes": ["sea"]}}
    return here.http.post(f"/v1/flows/{made['id']}/runs", json=asked).json()["id"]


def test_a_run_is_watched_from_anywhere_in_it(here: Serving):
    run_id = a_run(here, TRAIN)
    carry_on(here.service)
    work(here)
    carry_on(here.service)
    address = f"/v1/runs/{run_id}/events"
    whole = events(here.http, address)
    assert [name for _, name, _ in whole] == [
        "queued",
        "stepStarted",
        "job.queued",
        "job.started",
        "job.finished",
        "stepFinished",
        "finished",
    ]
    for index, (id, _, _) in enumerate(whole[:-1]):
        assert events(here.http, address, **{"Last-Event-ID": id}) == whole[index + 1 :]
    assert events(here.http, address, **{"Last-Event-ID": whole[-1][0]}) == []
    assert here.http.get(f"/v1/runs/{uuid4()}/events").status_code == 404


def test_a_run_is_cancelled_and_a_failed_one_gone_on_with(here: Serving):
    run_id = a_run(here, TRAIN)
    carry_on(here.service)
    fail(here, claim(here))
    run = here.http.get(f"/v1/runs/{run_id}").json()
    assert (run["status"], run["error"]["stepId"]) == ("failed", "trainer")
    assert here.http.post(f"/v1/runs/{run_id}/resume").json()["status"] == "running"
    assert here.http.post(f"/v1/runs/{run_id}/resume").status_code == 409
    carry_on(here.service)
    assert here.http.post(f"/v1/runs/{run_id}/cancel").json()["status"] == "cancelled"
    assert here.http.post(f"/v1/runs/{run_id}/resume").status_code == 409


def test_the_same_request_again_starts_the_same_run(here: Serving):
    made = saved(here, flow(transform({})))
    asked = {"input": {"photos": str(a_dataset(here)), "scenes": ["sea"]}}
    address, headers = f"/v1/flows/{made['id']}/runs", {"Idempotency-Key": "again"}
    ids = {here.http.post(address, json=asked, headers=headers).json()["id"] for _ in range(2)}
    assert len(ids) == 1
    other = {"input": {**asked["input"], "scenes": ["snow"]}}
    assert here.http.post(address, json=other, headers=headers).status_code == 422


def test_who_may_look_starts_nothing_and_who_has_no_key_sees_nothing(here: Serving):
    made = saved(here, flow())
    viewer = here.as_role(Role.VIEWER)
    assert viewer.get(f"/v1/flows/{made['id']}").status_code == 200
    assert viewer.post(f"/v1/flows/{made['id']}/runs", json={}).status_code == 403
    assert viewer.delete(f"/v1/flows/{made['id']}").status_code == 403
    assert here.with_key(None).get(f"/v1/flows/{made['id']}").status_code == 401


# --- public pages

WIDGETS = {"drawer": "Images", "made": "Objects"}
"""How a page shows the results of these steps; of no others."""


def a_page(here: Serving, *steps, **fields) -> TestClient:
    """A public flow, and a visitor."""
    steps = steps or (TRAIN, DRAWER)
    shown = [
        {"type": kind, "sources": [id]}
        for id, kind in WIDGETS.items()
        if id in {each["id"] for each in steps}
    ]
    ui = {"results": {"widgets": shown}} if shown else {}
    saved(here, flow(*steps, public=True, ui=ui, **fields))
    return here.with_key(None)


def uploaded(visitor: TestClient, count: int = 4) -> str:
    files = [("files", (f"{shade}.png", png(shade, 256), "image/png")) for shade in range(count)]
    answer = visitor.post("/v1/public/flows/portraits/uploads", files=files)
    assert answer.status_code == 201, answer.text
    assert [each["status"] for each in answer.json()["files"]] == ["accepted"] * count
    return answer.json()["ticket"]


def begun(visitor: TestClient, **given):
    return visitor.post("/v1/public/flows/portraits/runs", json={"input": given})


def test_a_page_shows_the_form_and_nothing_of_store_and_steps(here: Serving):
    page = a_page(here).get("/v1/public/flows/portraits").json()
    assert page["input"]["required"] == ["photos", "scenes"]
    assert page["steps"][0] == {"id": "trainer", "type": "ModelGenerator"}
    assert "prompt" not in json.dumps(page)


def test_a_flow_that_is_not_public_has_no_page(here: Serving):
    saved(here, flow())
    visitor = here.with_key(None)
    assert visitor.get("/v1/public/flows/portraits").status_code == 404
    assert begun(visitor).status_code == 404
    assert visitor.post("/v1/public/flows/portraits/uploads").status_code == 404


def test_a_visitor_uploads_runs_watches_and_sees_what_the_flow_shows(here: Serving):
    visitor = a_page(here, TRAIN, DRAWER, transform({"said": "$.input.name"}))
    run = begun(visitor, photos=uploaded(visitor), scenes=["sea"])
    assert run.status_code == 202, run.text
    assert amounts(here) == [("flowRun", 280_000)]
    for kind in (JobKind.TRAIN, JobKind.GENERATE, None, None):
        carry_on(here.service)
        if kind:
            work(here, kind)
    address = f"/v1/public/flows/portraits/runs/{run.json()['ticket']}"
    seen = visitor.get(address).json()
    assert seen["status"] == "succeeded"
    assert set(seen["results"]) == {"drawer", "made"}
    (image,) = seen["results"]["drawer"]["images"]
    assert set(image) == {"url", "width", "height", "format"}
    assert visitor.get(image["url"]).status_code == 200
    told = events(visitor, f"{address}/events")
    assert told[-1][1] == "finished"
    assert not {"jobId", "owner", "error"} & {name for _, _, data in told for name in data}


def test_more_pictures_go_into_the_same_upload(here: Serving):
    visitor = a_page(here)
    ticket = uploaded(visitor, 2)
    assert begun(visitor, photos=ticket, scenes=["sea"]).status_code == 422
    files = [("files", (f"{shade}.png", png(shade, 256), "image/png")) for shade in (8, 9)]
    more = visitor.post(f"/v1/public/flows/portraits/uploads/{ticket}", files=files)
    assert more.json()["ticket"] == ticket
    assert begun(visitor, photos=ticket, scenes=["sea"]).status_code == 202


def test_an_upload_takes_no_more_pictures_than_the_form(here: Serving):
    visitor = a_page(here)
    ticket = uploaded(visitor, 20)
    files = [("files", ("more.png", png(99, 256), "image/png"))]
    more = visitor.post(f"/v1/public/flows/portraits/uploads/{ticket}", files=files)
    assert (more.status_code, more.json()["code"]) == (413, "tooLarge")


def test_a_visitor_cannot_use_what_he_did_not_upload(here: Serving):
    visitor = a_page(here)
    owners = str(a_dataset(here))
    assert begun(visitor, photos=owners, scenes=["sea"]).status_code == 422
    ticket = uploaded(visitor)
    forged = owners.replace("-", "") + ticket[32:]
    assert begun(visitor, photos=forged, scenes=["sea"]).status_code == 422
    assert amounts(here) == []


@pytest.mark.parametrize("steps", ["dataset", "training"])
def test_a_text_of_the_form_opens_no_record_of_the_owner(here: Serving, steps):
    by_text = {"datasetId": "$.input.note", "settings": EMBEDDED}
    drawer = step("ImageGenerator", "drawer", trainingId="$.input.note", images=[{"prompt": "x"}])
    kinds = {"dataset": {**TRAINER, "parameters": by_text}, "training": drawer}
    visitor = a_page(here, kinds[steps])
    owners = {"dataset": str(a_dataset(here)), "training": str(uuid4())}[steps]
    ticket = begun(visitor, photos=uploaded(visitor), scenes=["sea"], note=owners).json()["ticket"]
    carry_on(here.service)
    assert visitor.get(f"/v1/public/flows/portraits/runs/{ticket}").json()["status"] == "failed"
    assert claim(here) is None


def test_a_ticket_opens_one_thing_of_one_flow(here: Serving):
    visitor = a_page(here, transform({}))
    saved(here, flow(transform({}), public=True, slug="another"))
    upload = uploaded(visitor)
    run = begun(visitor, photos=upload, scenes=["sea"]).json()["ticket"]
    for wrong in (
        f"/v1/public/flows/another/runs/{run}",
        f"/v1/public/flows/portraits/runs/{upload}",
        f"/v1/public/flows/portraits/runs/{run[:-1]}x",
        f"/v1/public/flows/portraits/runs/{uuid4().hex}.{run.partition('.')[2]}",
        "/v1/public/flows/portraits/runs/nothing",
    ):
        assert visitor.get(wrong).status_code == 404, wrong
    here.clock.advance(31 * 24 * 3600)
    assert visitor.get(f"/v1/public/flows/portraits/runs/{run}").status_code == 404


def test_a_visitor_hears_that_it_failed_and_no_reasons(here: Serving):
    visitor = a_page(here, transform({"a": "$.input.free.secret_name"}))
    ticket = begun(visitor, photos=uploaded(visitor), scenes=["sea"], free={}).json()["ticket"]
    carry_on(here.service)
    address = f"/v1/public/flows/portraits/runs/{ticket}"
    assert visitor.get(address).json()["error"] == "This run failed."
    told = visitor.get(address).text + json.dumps(events(visitor, f"{address}/events"))
    assert "secret_name" not in told


def test_an_owner_without_money_is_told_as_that_and_no_amounts(tmp_path: Path):
    with serving(tmp_path, starting_balance="0.20") as here:
        visitor = a_page(here)
        answer = begun(visitor, photos=uploaded(visitor), scenes=["sea"])
        assert (answer.status_code, answer.json()["code"]) == (402, "flowStopped")
        assert "$" not in answer.text


def test_one_address_does_not_run_a_public_flow_without_end(here: Serving):
    visitor = a_page(here, transform({}))
    ticket = uploaded(visitor)
    answers = [begun(visitor, photos=ticket, scenes=["sea"]).status_code for _ in range(12)]
    assert answers == [202] * 10 + [429] * 2
    here.clock.advance(3_601)
    assert begun(visitor, photos=ticket, scenes=["sea"]).status_code == 202
