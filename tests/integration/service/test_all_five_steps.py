"""A flow with every type of step, through real bodies in real children and a real endpoint."""

import io
import json
import time
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
from tests import taught
from tests.serving import Serving, serving
from tests.vision_endpoint import says, serve_vision

from modelgenerator.service.app.background import Repeated
from modelgenerator.service.jobs.dispatcher import Dispatcher
from modelgenerator.service.jobs.executors.choice import executor_for
from modelgenerator.service.operations.carrying_on import carry_on

SECONDS = 150
FLOW: dict[str, Any] = {
    "title": "Portraits anywhere",
    "description": "Scenes are thought of, and drawn.",
    "input": {
        "type": "object",
        "required": ["photos"],
        "properties": {
            "photos": {"type": "string", "dataset": True, "min": 4, "max": 20},
            "place": {"type": "string", "default": "snow"},
        },
    },
    "steps": [
        {
            "id": "scenes",
            "type": "ObjectGenerator",
            "parameters": {
                "description": "Name a scene.",
                "schema": {
                    "type": "object",
                    "required": ["scene"],
                    "properties": {"scene": {"type": "string"}},
                },
                "input": "$.input.place",
                "amount": 2,
            },
        },
        {
            "id": "trainer",
            "type": "ModelGenerator",
            "parameters": {
                "datasetId": "$.input.photos",
                "settings": {"baseModel": taught.BASE, "captionPrefix": "lvff", "maxSteps": 8},
            },
        },
        {
            "id": "prompts",
            "type": "ObjectTransformer",
            "result": {
                "all": [["@Map($.results.scenes.list, i)", {"prompt": "$$.scene", "steps": 2}]]
            },
        },
        {
            "id": "pictures",
            "type": "ImageGenerator",
            "parameters": {
                "trainingId": "$.results.trainer.id",
                "images": [["@Map($.results.prompts.all)", {"@Extend": "$$", "seed": 5}]],
            },
        },
        {"id": "all", "type": "Zipper", "parameters": {"sources": ["pictures", "scenes"]}},
    ],
}


@pytest.fixture
def it(tmp_path) -> Iterator[Serving]:
    words = {"list": [{"scene": "lvff in the snow"}, {"scene": "lvff at night"}]}
    with (
        serve_vision(says(json.dumps(words))) as endpoint,
        serving(
            tmp_path, object_generator_endpoint=endpoint.url, object_generator_model="tiny"
        ) as it,
        Dispatcher(it.service, executor_for(it.service)),
        Repeated("runs", lambda: carry_on(it.service), seconds=0.1),
    ):
        yield it


@pytest.mark.slow
def test_a_flow_with_every_type_of_step_runs_and_is_paid(it: Serving):
    flow = it.http.post("/v1/flows", json={"definition": FLOW})
    assert flow.status_code == 201, flow.text
    dataset = it.http.post("/v1/datasets").json()["id"]
    photos = [("files", (name, content)) for name, content in taught.photo_files().items()]
    assert it.http.post(f"/v1/datasets/{dataset}/images", files=photos).status_code == 201
    begun = it.http.post(f"/v1/flows/{flow.json()['id']}/runs", json={"input": {"photos": dataset}})
    assert begun.status_code == 202, begun.text
    run = _ended(it, begun.json()["id"])
    assert run["status"] == "succeeded", json.dumps(run)
    results = {step["id"]: step["result"] for step in run["steps"]}
    assert [scene["scene"] for scene in results["scenes"]["list"]] == [
        "lvff in the snow",
        "lvff at night",
    ]
    assert [one["prompt"] for one in results["pictures"]["images"]] == [
        "lvff in the snow",
        "lvff at night",
    ]
    archive = zipfile.ZipFile(io.BytesIO(it.http.get(results["all"]["url"]).content))
    assert sorted(archive.namelist()) == ["img_0_0.jpg", "img_0_1.jpg", "scenes.json"]
    entries = it.http.get("/v1/organization/ledger").json()["items"]
    paid = {entry["kind"]: -entry["amount"] for entry in entries}
    assert paid["flowRun"] == 10_000
    assert paid["pictures"] == 40_000
    assert paid["objectTransformer"] == 10_000
    assert paid["training"] > 0
    assert paid["zipper"] > 10_000
    assert paid["objectGenerator"] > 0


def _ended(it: Serving, run: str) -> dict[str, Any]:
    give_up = time.monotonic() + SECONDS
    while True:
        now = it.http.get(f"/v1/runs/{run}").json()
        if now["status"] not in ("queued", "running"):
            return now
        assert time.monotonic() < give_up, now
        time.sleep(0.1)
