"""Settings under a name: checked when they are saved, and never changed for who took them."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from tests.remembered import a_job
from tests.serving import Serving, serving

from modelgenerator.service.records.datasets import Dataset, DatasetSnapshot, Origin
from modelgenerator.service.records.ids import new_id
from modelgenerator.service.records.organizations import Role
from modelgenerator.service.records.trainings import Training

ADDRESS = "/v1/training-templates"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("served")) as served:
        yield served


@pytest.fixture
def template(served: Serving) -> dict[str, Any]:
    body = {"name": "Portrait", "settings": {"epochs": 20}}
    return served.http.post(ADDRESS, json=body).json()


def test_a_template_keeps_what_was_written(served: Serving, template: dict[str, Any]) -> None:
    assert (template["name"], template["version"], template["timesUsed"]) == ("Portrait", 1, 0)
    assert template["settings"] == {"epochs": 20}
    assert served.http.get(f"{ADDRESS}/{template['id']}").json() == template
    assert served.http.get(ADDRESS).json()["items"][0] == template


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"lerningRate": 1}, "learningRate"),
        ({"epochs": 0}, "epochs"),
        ({"epochs": 1.5}, "epochs"),
        ({"epochs": "50"}, "epochs"),
        ({"epochs": True}, "epochs"),
    ],
)
def test_settings_that_no_training_could_take_are_refused_at_once(
    served: Serving, template: dict[str, Any], settings: dict[str, Any], says: str
) -> None:
    answer = served.http.post(ADDRESS, json={"name": "x", "settings": settings})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalidSettings")
    assert says in answer.json()["detail"]
    version = served.http.post(f"{ADDRESS}/{template['id']}/versions", json={"settings": settings})
    assert version.status_code == 422
    assert served.http.get(f"{ADDRESS}/{template['id']}").json() == template


def test_a_new_version_is_what_trainings_take_and_the_earlier_one_stays(
    served: Serving, template: dict[str, Any]
) -> None:
    address = f"{ADDRESS}/{template['id']}"
    saved = served.http.post(f"{address}/versions", json={"settings": {"epochs": 30}})
    assert saved.status_code == 201
    assert (saved.json()["version"], saved.json()["settings"]) == (2, {"epochs": 30})
    versions = served.http.get(f"{address}/versions").json()["items"]
    assert [(it["version"], it["settings"]) for it in versions] == [
        (2, {"epochs": 30}),
        (1, {"epochs": 20}),
    ]


def test_the_same_request_saves_once(served: Serving, template: dict[str, Any]) -> None:
    address = f"{ADDRESS}/{template['id']}/versions"
    headers = {"Idempotency-Key": uuid4().hex}
    for _ in range(2):
        saved = served.http.post(address, json={"settings": {"epochs": 30}}, headers=headers)
        assert saved.json()["version"] == 2
    body = {"name": "x", "settings": {}}
    headers = {"Idempotency-Key": uuid4().hex}
    made = [served.http.post(ADDRESS, json=body, headers=headers).json() for _ in range(2)]
    assert made[0] == made[1]


def test_a_template_is_renamed(served: Serving, template: dict[str, Any]) -> None:
    address = f"{ADDRESS}/{template['id']}"
    assert served.http.patch(address, json={"name": "Face"}).json()["name"] == "Face"
    assert served.http.patch(address, json={"name": ""}).status_code == 400


def test_a_template_that_is_deleted_is_not_found_and_harms_no_training(
    served: Serving, template: dict[str, Any]
) -> None:
    training = _trained_with(served, UUID(template["id"]))
    address = f"{ADDRESS}/{template['id']}"
    assert served.http.get(address).json()["timesUsed"] == 1
    assert served.http.delete(address).status_code == 204
    assert served.http.get(address).status_code == 404
    assert served.http.delete(address).status_code == 404
    assert served.http.get(f"{address}/versions").status_code == 404
    assert served.http.post(f"{address}/versions", json={"settings": {}}).status_code == 404
    assert served.http.patch(address, json={"name": "x"}).status_code == 404
    assert template["id"] not in [it["id"] for it in served.http.get(ADDRESS).json()["items"]]
    with served.service.database.reading() as transaction:
        assert transaction.of(served.organization_id).trainings.get(training.id) == training


def test_who_may_look_may_not_save(served: Serving, template: dict[str, Any]) -> None:
    viewer = served.as_role(Role.VIEWER)
    address = f"{ADDRESS}/{template['id']}"
    assert viewer.get(address).status_code == 200
    assert viewer.post(ADDRESS, json={"name": "x", "settings": {}}).status_code == 403
    assert viewer.post(f"{address}/versions", json={"settings": {}}).status_code == 403
    assert viewer.patch(address, json={"name": "x"}).status_code == 403
    assert viewer.delete(address).status_code == 403


def _trained_with(served: Serving, template_id: UUID) -> Training:
    now = served.clock()
    own: dict[str, Any] = {"organization_id": served.organization_id, "created_at": now}
    dataset = Dataset(id=new_id(now), origin=Origin.API, **own)
    snapshot = DatasetSnapshot(
        id=new_id(now), dataset_id=dataset.id, fingerprint="f", pictures=(), **own
    )
    job = a_job(served.organization_id, served.clock)
    with served.service.database.transaction() as transaction:
        store = transaction.of(served.organization_id)
        store.datasets.add(dataset)
        store.snapshots.add(snapshot)
        store.jobs.add(job)
        version = store.template_versions.newest(template_id)
        assert version is not None
        training = Training(
            id=new_id(now),
            name="t",
            origin=Origin.API,
            snapshot_id=snapshot.id,
            template_version_id=version.id,
            settings=version.settings,
            plan={},
            estimate={},
            notices=(),
            job_id=job.id,
            flow_run_id=None,
            **own,
        )
        store.trainings.add(training)
    return training
