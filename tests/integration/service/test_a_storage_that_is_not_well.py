"""The service on a bucket: who sends, reads, trains and waits while the bucket is not well."""

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
from tests.bucket import make_bucket
from tests.faulty_bucket import Answers, FaultyBucket
from tests.sent_photos import images, png, send, statuses
from tests.serving import Serving, serving
from tests.uploaded import SETTINGS, a_dataset, claimed, trained

from modelgenerator.client.connection import Connection
from modelgenerator.service.errors import StorageUnreachable
from modelgenerator.service.operations.expiry import sweep
from modelgenerator.service.operations.planning import TrainingRequest
from modelgenerator.service.operations.trainings import create_training

DAY = 86_400


@pytest.fixture(scope="module")
def proxy(s3_endpoint: str) -> Iterator[FaultyBucket]:
    with FaultyBucket(s3_endpoint) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def served(proxy: FaultyBucket, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    name, folder = f"b-{uuid4().hex}", tmp_path_factory.mktemp("served")
    make_bucket(proxy.upstream, name)
    url = f"s3://{name}/files"
    with serving(folder, storage_url=url, storage_endpoint=proxy.address) as served:
        yield served


@pytest.fixture
def it(served: Serving, proxy: FaultyBucket) -> Iterator[Serving]:
    proxy.is_well()
    yield served
    proxy.is_well()


@pytest.fixture(scope="module")
def training_id(served: Serving) -> UUID:
    request = TrainingRequest(dataset_id=a_dataset(served), settings=SETTINGS)
    id = create_training(served.service, served.owner, request)
    trained(served, claimed(served))
    return id


def weights(it: Serving, training_id: UUID) -> list[str]:
    prefix = f"organizations/{it.organization_id.hex}/trainings/{training_id.hex}"
    return sorted(key.rpartition("/")[2] for key in it.service.files.keys(prefix))


def test_a_photo_that_cannot_be_stored_is_sent_again(it: Serving, proxy: FaultyBucket):
    subject = it.http.post("/v1/subjects", json={"name": "Luff"}).json()
    dataset = subject["datasetId"]
    assert statuses(send(it, dataset, ("before.png", png(41)))) == {"before.png": "accepted"}
    proxy.does(Answers(500), times=1_000)
    problem = send(it, dataset, ("before.png", png(41)), ("new.png", png(43)))
    assert (problem.status_code, problem.json()["code"]) == (503, "storageUnreachable")
    assert int(problem.headers["Retry-After"]) > 0
    assert "those that were kept are known" in problem.json()["hint"]
    proxy.is_well()
    assert [one["label"] for one in images(it, dataset)] == ["before.png"]
    again = send(it, dataset, ("before.png", png(41)), ("new.png", png(43)))
    assert statuses(again) == {"before.png": "duplicate", "new.png": "accepted"}
    pictures = f"organizations/{it.organization_id.hex}/datasets"
    assert len([*it.service.files.keys(pictures)]) == 2


def test_whether_the_storage_answers_is_told(it: Serving, proxy: FaultyBucket):
    assert it.http.get("/readyz").status_code == 200
    proxy.does(Answers(403, "AccessDenied"), times=1_000)
    problem = it.http.get("/readyz")
    assert problem.status_code == 503


def test_weights_come_from_the_bucket_itself(it: Serving, proxy: FaultyBucket, training_id: UUID):
    address = f"/v1/trainings/{training_id}/model"
    answer = it.http.get(address, follow_redirects=False)
    assert answer.status_code == 307
    link = answer.headers["Location"]
    assert link.startswith(proxy.address)
    assert "X-Amz-Expires=600" in link
    proxy.is_well()
    with httpx.Client() as anybody:
        got = anybody.get(link)
    assert got.content == b"kohya's"
    assert got.headers["Content-Disposition"].startswith("attachment; filename=")


def test_the_client_follows_to_the_bucket_and_leaves_its_key_at_home(
    it: Serving, proxy: FaultyBucket, training_id: UUID, tmp_path: Path
):
    """A storage refuses a signed link that comes with another authorization."""
    link = it.http.get(f"/v1/trainings/{training_id}/model", follow_redirects=False)
    connection = Connection("http://service.test", "mg_a-key-of-nobody")
    try:
        proxy.is_well()
        name = connection.save(link.headers["Location"], tmp_path / "lora")
    finally:
        connection.close()
    assert (tmp_path / "lora").read_bytes() == b"kohya's"
    assert name == "lora.safetensors"
    assert [(one.method, one.authorization) for one in proxy.came] == [("GET", None)]


def test_pages_may_show_pictures_of_the_bucket(it: Serving, proxy: FaultyBucket):
    policy = it.http.get("/sign-in").headers["Content-Security-Policy"]
    [pictures] = [part for part in policy.split(";") if part.strip().startswith("img-src")]
    assert proxy.address in pictures


def test_expired_weights_leave_the_bucket_when_it_answers_again(
    it: Serving, proxy: FaultyBucket, training_id: UUID
):
    assert weights(it, training_id) == ["diffusers.safetensors", "lora.safetensors", "sample.png"]
    it.clock.advance(31 * DAY)
    proxy.does(Answers(500), times=1_000, to=lambda one: one.method in ("DELETE", "POST"))
    with pytest.raises(StorageUnreachable):
        sweep(it.service)
    shown = it.http.get(f"/v1/trainings/{training_id}").json()
    assert shown["model"]["deletedAt"] is None  # nothing is said before it is so
    proxy.is_well()
    sweep(it.service)
    assert weights(it, training_id) == ["sample.png"]
    shown = it.http.get(f"/v1/trainings/{training_id}").json()
    assert shown["model"]["deletedAt"] is not None
