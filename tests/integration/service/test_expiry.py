"""What time does, with a clock that is set."""

from uuid import UUID

import pytest
from tests.serving import serving
from tests.uploaded import SETTINGS, a_dataset, claimed, drawn, ended, trained

from modelgenerator.service.errors import StorageRefused
from modelgenerator.service.operations.expiry import sweep
from modelgenerator.service.operations.pictures import add_picture
from modelgenerator.service.operations.planning import TrainingRequest
from modelgenerator.service.operations.trainings import create_training
from modelgenerator.service.records.jobs import JobKind

DAY = 86_400


@pytest.fixture
def it(tmp_path):
    with serving(tmp_path) as it:
        yield it


@pytest.fixture
def training_id(it):
    request = TrainingRequest(dataset_id=a_dataset(it), settings=SETTINGS)
    id = create_training(it.service, it.owner, request)
    trained(it, claimed(it))
    return id


def draw(it, training_id, expect=202):
    body = {"images": [{"prompt": "lvff"}], "trainingId": str(training_id)}
    answer = it.http.post("/v1/inferences", json=body)
    assert answer.status_code == expect, answer.text
    return answer.json()


def stored(it, training_id: UUID):
    prefix = f"organizations/{it.organization_id.hex}/trainings/{training_id.hex}"
    return sorted(key.rpartition("/")[2] for key in it.service.files.keys(prefix))


def test_weights_go_when_their_time_has_come_and_not_before(it, training_id):
    it.clock.advance(30 * DAY - 60)
    sweep(it.service)
    assert "lora.safetensors" in stored(it, training_id)
    it.clock.advance(120)
    sweep(it.service)
    assert stored(it, training_id) == ["sample.png"]
    shown = it.http.get(f"/v1/trainings/{training_id}").json()
    assert shown["status"] == "succeeded"
    assert shown["model"]["deletedAt"] is not None
    sweep(it.service)


def test_what_has_expired_is_gone_with_its_date_even_before_it_is_swept(it, training_id):
    it.clock.advance(31 * DAY)
    problem = draw(it, training_id, 410)
    assert problem["code"] == "modelExpired"
    assert "2026-12-25 at 12:00 UTC" in problem["detail"]
    answer = it.http.get(f"/v1/trainings/{training_id}/model")
    assert (answer.status_code, answer.json()["code"]) == (410, "modelExpired")


def test_a_longer_life_keeps_the_weights(it, training_id):
    body = {"expiresAt": "2027-06-01T00:00:00Z"}
    it.http.patch(f"/v1/trainings/{training_id}", json=body)
    it.clock.advance(31 * DAY)
    sweep(it.service)
    assert "lora.safetensors" in stored(it, training_id)
    draw(it, training_id)


def test_a_generation_that_was_accepted_finishes_with_its_file(it, training_id):
    it.clock.advance(30 * DAY - 60)
    draw(it, training_id)
    it.clock.advance(120)
    sweep(it.service)
    assert "lora.safetensors" in stored(it, training_id)
    job = claimed(it, JobKind.GENERATE)
    sweep(it.service)
    assert "lora.safetensors" in stored(it, training_id)
    with it.service.database.transaction() as transaction:
        add_picture(transaction.of(it.organization_id), job, drawn(it, job, 0), it.clock())
    ended(it, job)
    sweep(it.service)
    assert stored(it, training_id) == ["sample.png"]


def test_keys_of_requests_are_forgotten_after_a_day(it):
    def post():
        headers = {"Idempotency-Key": "k"}
        return it.http.post("/v1/organization/credits", json={"amount": 1}, headers=headers).json()[
            "id"
        ]

    first = post()
    it.clock.advance(DAY - 60)
    sweep(it.service)
    assert post() == first
    it.clock.advance(120)
    sweep(it.service)
    assert post() != first


@pytest.mark.parametrize("refused", ["delete", "forget_partial"])
def test_what_the_storage_refuses_keeps_nothing_else_from_being_done(
    it, training_id, monkeypatch, refused
):
    done = []

    def refuses(*_):
        raise StorageRefused

    files = type(it.service.files)
    monkeypatch.setattr(files, "forget_partial", lambda *_: done.append("partial"))
    monkeypatch.setattr(files, refused, refuses)
    monkeypatch.setattr(type(it.service.database), "forget_deleted", lambda _: done.append("rows"))
    it.clock.advance(31 * DAY)
    with pytest.raises(StorageRefused):
        sweep(it.service)
    if refused == "delete":
        assert done == ["partial", "rows"]
    else:
        assert stored(it, training_id) == ["sample.png"]
        assert done == ["rows"]
