"""The whole way over HTTP with real jobs: planned, trained, downloaded, drawn, paid, deleted."""

import time

import pytest
from tests.serving import serving
from tests.uploaded import SETTINGS, a_dataset

from modelgenerator.service.jobs.dispatcher import Dispatcher
from modelgenerator.service.jobs.executors.choice import executor_for


@pytest.fixture
def it(tmp_path):
    with serving(tmp_path) as it:
        dispatcher = Dispatcher(it.service, executor_for(it.service))
        dispatcher.start()
        yield it
        dispatcher.stop()


def ended(it, address):
    """What is told there when it is over."""
    while True:
        told = it.http.get(address).json()
        if told["status"] not in ("queued", "running"):
            return told
        time.sleep(0.2)


@pytest.mark.slow
def test_a_subject_is_taught_and_drawn(it):
    written = {**SETTINGS, "networkDim": 4, "sampleEvery": 2, "samplePrompts": ["lvff"]}
    body = {"datasetId": str(a_dataset(it)), "settings": written}
    asked = it.http.post("/v1/trainings", json=body).json()
    address = f"/v1/trainings/{asked['id']}"
    training = ended(it, address)
    assert (training["status"], training["error"]) == ("succeeded", None)
    assert training["finalCost"] >= training["progress"]["usedMs"] > 0
    assert training["model"]["layouts"] == ["kohya", "diffusers"]
    for layout in training["model"]["layouts"]:
        lora = it.http.get(f"{address}/model?layout={layout}")
        assert len(lora.content) > 100_000
        assert layout in lora.headers["Content-Disposition"]
    (sample,) = it.http.get(f"{address}/samples").json()
    assert it.http.get(sample["url"]).content.startswith(b"\x89PNG")
    log = [line["text"] for line in it.http.get(f"{address}/logs").json()["lines"]]
    assert "10 steps, 5 an epoch, 5 pictures, fp32." in log

    again = it.http.post("/v1/trainings?dryRun=true", json=body).json()["estimate"]
    assert again["certainty"] == "measured"

    images = [{"prompt": "lvff in the snow", "steps": 2, "count": 2, "format": "jpeg"}]
    wished = {"images": images, "trainingId": asked["id"]}
    drawn = it.http.post("/v1/inferences", json=wished).json()
    inference = ended(it, f"/v1/inferences/{drawn['id']}")
    assert (inference["status"], inference["finalCost"]) == ("succeeded", 40_000)
    assert [picture["seed"] for picture in inference["pictures"]] == [
        image["seed"] for image in drawn["images"]
    ]
    url = inference["pictures"][0]["url"]
    assert it.http.get(url).content.startswith(b"\xff\xd8")

    spent = 100_000_000 - training["finalCost"] - 40_000
    money = it.http.get("/v1/organization").json()
    assert (money["balance"], money["held"]) == (spent, 0)
    assert it.http.delete(address).json()["completedAt"] is not None
    assert it.http.get(sample["url"]).status_code == 404
