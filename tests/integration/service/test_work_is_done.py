"""From a request to what a person takes away, through real bodies in real children."""

import io
import time
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image
from safetensors.numpy import load
from tests import taught
from tests.serving import Serving, serving

from modelgenerator.service.jobs.dispatcher import Dispatcher
from modelgenerator.service.jobs.executors.choice import executor_for

SECONDS = 120


@pytest.fixture
def it(tmp_path) -> Iterator[Serving]:
    with serving(tmp_path) as it, Dispatcher(it.service, executor_for(it.service)):
        yield it


def ended(it: Serving, address: str) -> dict[str, Any]:
    """What is there once the work is over."""
    give_up = time.monotonic() + SECONDS
    while True:
        now = it.http.get(address).json()
        if now["status"] not in ("queued", "running"):
            return now
        assert time.monotonic() < give_up, now
        time.sleep(0.05)


def posted(it: Serving, address: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = it.http.post(address, json=body)
    assert answer.status_code in (201, 202), answer.text
    return answer.json()


@pytest.mark.slow
def test_photos_go_in_a_model_and_pictures_come_out_and_are_paid_once(it):
    subject = posted(
        it, "/v1/subjects", {"name": "Lvff", "kind": "animal", "className": "creature"}
    )
    dataset = f"/v1/datasets/{subject['datasetId']}"
    photos = [
        ("files", (name, content, "image/png")) for name, content in taught.photo_files().items()
    ]
    sent = it.http.post(f"{dataset}/images", files=photos)
    assert sent.status_code == 201, sent.text
    settings = {
        "baseModel": taught.BASE,
        "captionPrefix": taught.SUBJECT,
        "maxSteps": 30,
        "networkDim": 4,
        "sampleEvery": 3,
        "samplePrompts": ["lvff"],
    }
    training = posted(
        it, "/v1/trainings", {"datasetId": subject["datasetId"], "settings": settings}
    )
    address = f"/v1/trainings/{training['id']}"
    trained = ended(it, address)
    assert trained["status"] == "succeeded", trained
    assert trained["finalCost"] > 0
    lines = [line["text"] for line in it.http.get(f"{address}/logs").json()["lines"]]
    assert "Phase: training." in lines
    assert any(line.startswith("Step 30: loss") for line in lines)
    samples = it.http.get(f"{address}/samples").json()
    assert [sample["epoch"] for sample in samples] == [3]
    model = it.http.get(f"{address}/model", params={"layout": "kohya"})
    assert any(name.startswith("lora_unet") for name in load(model.content))
    other = it.http.get(f"{address}/model", params={"layout": "diffusers"})
    assert any(name.startswith("unet.") for name in load(other.content))

    images = [{"prompt": "lvff in the snow", "steps": 4, "count": 2, "format": "jpeg"}]
    drawing = posted(it, "/v1/inferences", {"trainingId": training["id"], "images": images})
    drawn = ended(it, f"/v1/inferences/{drawing['id']}")
    assert drawn["status"] == "succeeded", drawn
    contents = [it.http.get(image["url"]).content for image in drawn["pictures"]]
    assert len(set(contents)) == 2
    for content in contents:
        with Image.open(io.BytesIO(content)) as picture:
            assert picture.format == "JPEG"
    entries = it.http.get("/v1/organization/ledger").json()["items"]
    kinds = sorted(entry["kind"] for entry in entries)
    assert kinds == ["credit", "pictures", "training"]
