"""What is one organization's is, for another, not there: over every address that there is."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from tests.household import FLOW, Household, a_household, neighbours
from tests.serving import Serving, serving
from tests.uploaded import a_dataset

from modelgenerator.service.api.routes import ROUTERS

BODIES: dict[tuple[str, str], Any] = {
    ("PATCH", "/v1/subjects/{id}"): {"name": "Theirs"},
    ("PUT", "/v1/datasets/{id}/captions"): {"template": True},
    ("PATCH", "/v1/datasets/{id}/images/{image_id}"): {"caption": "theirs"},
    ("PATCH", "/v1/training-templates/{id}"): {"name": "Theirs"},
    ("POST", "/v1/training-templates/{id}/versions"): {"settings": {"epochs": 3}},
    ("PATCH", "/v1/trainings/{id}"): {"name": "Theirs"},
    ("PATCH", "/v1/inference-packs/{id}"): {"name": "Theirs"},
    ("PUT", "/v1/flows/{flow_id}"): {"definition": FLOW},
    ("POST", "/v1/flows/{flow_id}/runs"): {"input": {}},
    ("PATCH", "/v1/members/{id}"): {"role": "viewer"},
    ("PATCH", "/v1/webhooks/{id}"): {"eventTypes": []},
}
FILES = {
    ("POST", "/v1/datasets/{id}/images"): "files",
    ("POST", "/v1/flows/{flow_id}/uploads"): "files",
    ("PUT", "/v1/datasets/{id}/images/{image_id}/mask"): "file",
}
NOBODYS = ("/v1/public/", "/v1/base-models/", "/v1/schemas/")
"""Open to everybody who knows a link, and tried in tests of their own; or no organization's."""


def _routes() -> Iterator[tuple[str, str]]:
    for router in ROUTERS:
        for route in router.routes:
            path: str = getattr(route, "path", "")
            if "{" in path and path.startswith("/v1/") and not path.startswith(NOBODYS):
                for method in sorted(getattr(route, "methods", ())):
                    yield method, path


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("service")) as it:
        yield it


@pytest.fixture(scope="module")
def household(here: Serving) -> Household:
    return a_household(here)


@pytest.fixture(scope="module")
def others(here: Serving) -> TestClient:
    return neighbours(here)


def _ask(http: TestClient, method: str, path: str, address: str) -> Any:
    if field := FILES.get((method, path)):
        return http.request(method, address, files={field: ("a.png", b"no picture")})
    return http.request(method, address, json=BODIES.get((method, path)))


@pytest.mark.parametrize(("method", "path"), list(_routes()))
def test_anothers_id_is_not_there(
    here: Serving, household: Household, others: TestClient, method: str, path: str
):
    address = household.address(path)
    assert "{" not in address
    answer = _ask(others, method, path, address)
    assert answer.status_code == 404, answer.text
    assert answer.json()["code"] == "notFound"
    if method == "GET" and not path.endswith("/events"):
        assert _ask(here.http, method, path, address).status_code == 200


@pytest.mark.parametrize(
    "address",
    [
        *("/v1/subjects", "/v1/training-templates", "/v1/trainings", "/v1/inferences"),
        *("/v1/inference-packs", "/v1/flows", "/v1/runs", "/v1/webhooks"),
    ],
)
def test_lists_show_ones_own_alone(household: Household, others: TestClient, address: str):
    assert household.ids[address]
    assert others.get(address).json()["items"] == []


@pytest.mark.parametrize(
    ("address", "name", "whose", "rest"),
    [
        ("/v1/trainings", "datasetId", "/v1/datasets", {"settings": {"baseModel": "creatures"}}),
        ("/v1/inferences", "trainingId", "/v1/trainings", {"images": [{"prompt": "a"}]}),
        ("/v1/inferences", "inferencePackId", "/v1/inference-packs", {"baseModel": "creatures"}),
    ],
)
def test_anothers_id_in_a_body_is_not_there_either(
    household: Household, others: TestClient, address: str, name: str, whose: str, rest: Any
):
    answer = others.post(address, json={name: household.ids[whose], **rest})
    assert answer.status_code == 404, answer.text


def test_a_template_of_another_organization_is_not_there(
    here: Serving, household: Household, others: TestClient
):
    theirs = UUID(others.get("/v1/organization").json()["id"])
    dataset = str(a_dataset(here, organization_id=theirs))
    body = {"datasetId": dataset, "trainingSettingsId": household.ids["/v1/training-templates"]}
    assert others.post("/v1/trainings", json=body).status_code == 404


def test_without_a_key_nothing_but_what_is_public_answers(here: Serving, household: Household):
    nobody = here.with_key(None)
    for method, path in _routes():
        answer = _ask(nobody, method, path, household.address(path))
        assert answer.status_code == 401, (method, path, answer.text)
    assert nobody.get("/v1/base-models/creatures").status_code == 401
