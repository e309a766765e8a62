"""What is told of a base model before anything is done with it."""

from pathlib import Path

import pytest
from tests.serving import Serving, serving
from tests.uploaded import a_dataset

from modelgenerator.service.records.organizations import Role


@pytest.fixture
def here(tmp_path: Path):
    with serving(tmp_path) as it:
        yield it


def test_a_base_model_says_which_settings_suit_it(here: Serving):
    read = here.as_role(Role.VIEWER).get("/v1/base-models/modelgenerator/creatures")
    base = read.json()
    assert read.status_code == 200, read.text
    assert (base["reference"], base["family"]) == (
        "modelgenerator/creatures",
        "stable-diffusion-1",
    )
    assert (base["nativeSize"], base["isHere"], base["repository"]) == (32, True, None)
    assert base["trainingSettings"]["networkDim"] == 16
    assert base["imageDefaults"] == {"width": 32, "height": 32, "steps": 20, "guidanceScale": 3.0}
    assert 0 < base["byteCount"] < 15_000_000


def test_recommended_settings_can_be_trained_with_as_they_are(here: Serving):
    base = here.http.get("/v1/base-models/creatures").json()
    body = {
        "datasetId": str(a_dataset(here)),
        "settings": {"baseModel": "creatures", **base["trainingSettings"]},
    }
    planned = here.http.post("/v1/trainings?dryRun=true", json=body)
    assert planned.status_code == 200, planned.text


def test_a_path_of_the_server_is_no_base_model_and_nothing_is_told_of_it(here: Serving):
    answer = here.http.get("/v1/base-models//etc/passwd")
    assert (answer.status_code, answer.json()["code"]) == (404, "noSuchBaseModel")


def test_a_hub_that_does_not_answer_is_said_with_what_was_probably_meant(
    here: Serving, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    answer = here.http.get("/v1/base-models/modelgenerator/creature")
    assert (answer.status_code, answer.json()["code"]) == (503, "hubUnreachable")
    assert answer.json()["detail"].endswith("Do you mean modelgenerator/creatures?")
