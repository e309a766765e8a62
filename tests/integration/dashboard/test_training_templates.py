"""Templates: written in the form, kept in versions, known by what was trained with them."""

import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient
from tests import uploaded
from tests.household import neighbours
from tests.pages import signed_in
from tests.serving import Serving, serving

from modelgenerator.service.records.organizations import Role


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("served")) as it:
        yield it


@pytest.fixture(scope="module")
def person(served: Serving) -> TestClient:
    return signed_in(served, Role.MEMBER)


@pytest.fixture
def template(person: TestClient) -> str:
    data = {"name": "Mine <b>", "epochs": "3", "maskedLoss": "false"}
    answer = person.post("/templates/new", data=data)
    assert answer.status_code == 303
    return answer.headers["location"]


def _api(served: Serving, template: str) -> dict[str, Any]:
    id = template.rpartition("/")[2]
    return served.http.get(f"/v1/training-templates/{id}").json()


def test_a_template_keeps_only_what_was_written(
    served: Serving, person: TestClient, template: str
) -> None:
    assert _api(served, template)["settings"] == {"epochs": 3, "maskedLoss": False}
    page = person.get(template)
    assert "Mine &lt;b&gt;" in page.text
    assert "<code>maskedLoss</code></th><td>no</td>" in page.text
    assert "Mine &lt;b&gt;" in person.get("/templates").text


def test_a_template_that_is_no_id_is_not_there(person: TestClient) -> None:
    for address in ("/templates/check", "/templates/json"):
        assert person.post(address, data={"template": "no id"}).status_code == 404


def test_versions_say_what_they_changed(served: Serving, person: TestClient, template: str) -> None:
    form = person.get(f"{template}/edit")
    assert re.search(r'name="epochs"[^>]* value="3"', form.text)
    data = {"epochs": "5", "repeats": "2", "requestKey": uuid4().hex}
    for _ in range(2):
        assert person.post(f"{template}/edit", data=data).headers["location"] == template
    assert _api(served, template)["version"] == 2
    page = person.get(template).text
    assert "<code>epochs</code> 3 → 5" in page
    assert "<code>repeats</code> set to 2" in page
    assert "<code>maskedLoss</code> left open, was no" in page


def test_faults_stand_at_their_settings(served: Serving, person: TestClient, template: str) -> None:
    page = person.post("/templates/new", data={"name": "x", "epochs": "0"})
    assert page.status_code == 422
    assert re.search(r'id="set-epochs-fault">epochs must be', page.text)
    assert person.post(f"{template}/edit", data={"epochs": "0"}).status_code == 422
    nameless = person.post("/templates/new", data={"name": " ", "epochs": "4"})
    assert nameless.status_code == 400
    assert 'id="template-name-fault">name has 1 to 200 characters' in nameless.text
    part = person.post("/templates/check", data={"epochs": "0"}, headers={"HX-Request": "true"})
    assert 'data-fault="epochs"' in part.text
    assert _api(served, template)["version"] == 1


def test_json_becomes_the_form_and_back(person: TestClient) -> None:
    htmx = {"HX-Request": "true"}
    part = person.post("/templates/json", data={"json": "{epochs: 9}"}, headers=htmx)
    assert re.search(r'name="epochs"[^>]* value="9"', part.text)
    wrong = person.post("/templates/json", data={"json": "{lr: 9}"}, headers=htmx)
    assert "did you mean learningRate?" in wrong.text
    assert wrong.headers["HX-Retarget"] == "#json-fault"
    page = person.post("/templates/json", data={"json": "{epochs: 9}", "name": "N"})
    assert re.search(r'name="epochs"[^>]* value="9"', page.text)
    assert person.post("/templates/json", data={"json": "{", "name": "N"}).status_code == 422
    checked = person.post("/templates/check", data={"epochs": "9"}, headers=htmx)
    assert "&#34;epochs&#34;: 9" in checked.text


def test_what_was_trained_with_it_is_listed(
    served: Serving, person: TestClient, template: str
) -> None:
    assert "Nothing yet." in person.get(template).text
    body = {
        "datasetId": str(uploaded.a_dataset(served)),
        "trainingSettingsId": template.rpartition("/")[2],
        "settings": {"baseModel": "creatures", "captionPrefix": "lvff"},
        "name": "Mine <too>",
    }
    id = served.http.post("/v1/trainings", json=body).json()["id"]
    page = person.get(template).text
    assert f'href="/trainings/{id}">Mine &lt;too&gt;</a>' in page
    assert f'href="/trainings/new?template={template.rpartition("/")[2]}"' in page


def test_a_template_is_renamed_and_deleted(
    served: Serving, person: TestClient, template: str
) -> None:
    assert person.post(f"{template}/rename", data={"name": "Other"}).status_code == 303
    assert _api(served, template)["name"] == "Other"
    assert person.post(f"{template}/rename", data={"name": ""}).status_code == 303
    assert _api(served, template)["name"] == "Other"
    assert person.post(f"{template}/delete").headers["location"] == "/templates"
    assert person.get(template).status_code == 404


def test_who_may_only_look_changes_nothing(served: Serving, template: str) -> None:
    viewer = signed_in(served, Role.VIEWER)
    page = viewer.get(template)
    assert page.status_code == 200
    for words in ("Edit", "Delete", "Rename", "Train with it"):
        assert f">{words}<" not in page.text
    assert "New template" not in viewer.get("/templates").text
    assert viewer.get("/templates/new").status_code == 403
    assert viewer.get(f"{template}/edit").status_code == 403
    for to in ("/templates/new", f"{template}/edit", f"{template}/rename", f"{template}/delete"):
        assert viewer.post(to, data={"name": "x"}).status_code == 403


def test_another_organizations_template_is_not_there(served: Serving, person: TestClient) -> None:
    body = {"name": "Theirs", "settings": {}}
    theirs = neighbours(served).post("/v1/training-templates", json=body).json()["id"]
    assert person.get(f"/templates/{theirs}").status_code == 404
    assert person.get(f"/templates/{theirs}/edit").status_code == 404
    assert person.post(f"/templates/{theirs}/delete").status_code == 404
    assert "Theirs" not in person.get("/templates").text
