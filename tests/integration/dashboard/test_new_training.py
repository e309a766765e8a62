"""The form of a new training: filled, told what it costs, sent."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi.testclient import TestClient
from httpx import Response
from tests import uploaded
from tests.household import neighbours
from tests.pages import signed_in
from tests.serving import Serving, serving

from modelgenerator.service.records.organizations import Role

BEGUN = {"preset": "quick", "captionPrefix": "lvff"}


@dataclass(frozen=True)
class Before:
    """Somebody before the form of a subject's training."""

    it: Serving
    person: TestClient
    subject: str
    dataset: UUID

    def page(self, **query: str) -> Response:
        return self.person.get("/trainings/new", params={"subject": self.subject, **query})

    def send(self, to: str = "", *, part: bool = False, **fields: Any) -> Response:
        data = {"subject": self.subject, "requestKey": uuid4().hex, **BEGUN, **fields}
        headers = {"HX-Request": "true"} if part else {}
        return self.person.post(f"/trainings/new{to}", data=data, headers=headers)

    def trainings(self) -> list[dict[str, Any]]:
        return self.it.http.get("/v1/trainings").json()["items"]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("served")) as it:
        yield it


@pytest.fixture(scope="module")
def person(served: Serving) -> TestClient:
    return signed_in(served, Role.MEMBER)


@pytest.fixture
def before(served: Serving, person: TestClient) -> Before:
    return _before(served, person)


def _before(served: Serving, person: TestClient, pictures: int = 5) -> Before:
    dataset = uploaded.a_dataset(served, pictures)
    items = served.http.get("/v1/subjects").json()["items"]
    (subject,) = (it["id"] for it in items if it["datasetId"] == str(dataset))
    return Before(served, person, subject, dataset)


def test_the_form_is_ready_to_be_sent(before: Before) -> None:
    page = before.page()
    assert page.status_code == 200
    assert "Recommended for modelgenerator/creatures" in page.text
    assert re.search(r'value="recommended" checked', page.text)
    word = re.search(r'name="captionPrefix" value="(\w+)"', page.text)
    assert word is not None
    answer = before.person.post(
        "/trainings/new",
        data={"subject": before.subject, "preset": "recommended", "captionPrefix": word[1]},
    )
    assert answer.status_code == 303
    (training,) = [it for it in before.trainings() if it["datasetId"] == str(before.dataset)]
    assert answer.headers["location"] == f"/trainings/{training['id']}"
    kept = before.it.http.get(f"/v1/trainings/{training['id']}").json()["settings"]
    assert kept.items() >= {"epochs": 300, "captionPrefix": word[1], "networkDim": 16}.items()


def test_the_word_of_the_last_training_is_taken_again(before: Before) -> None:
    before.send(captionPrefix="wxyz")
    assert 'name="captionPrefix" value="wxyz"' in before.page().text


def test_every_setting_can_come_with_the_address(before: Before) -> None:
    page = before.page(
        preset="plain", epochs="12", maskedLoss="false", sampleEvery="3", name="A<b>"
    )
    assert re.search(r'name="epochs"[^>]* value="12"', page.text)
    assert '<option value="false" selected>No</option>' in page.text
    assert 'value="A&lt;b&gt;"' in page.text
    assert re.search(r'value="plain" checked', page.text)


def test_the_estimate_says_steps_time_and_cost(before: Before) -> None:
    part = before.send("/estimate", part=True)
    assert part.status_code == 200
    assert "<strong>60 steps, about" in part.text
    assert re.search(r'id="train"[^>]*>Train for (about|less than) \$', part.text)
    assert "<!doctype html>" not in part.text
    assert 'id="json"' in part.text
    assert "client.train_dataset(" in part.text
    assert before.dataset.hex not in {it["datasetId"] for it in before.trainings()}


def test_a_priority_is_chosen_kept_and_said_in_code(before: Before) -> None:
    part = before.send("/estimate", part=True, priority="low")
    assert "priority=&#34;low&#34;" in part.text
    page = before.send("/check", priority="low")
    assert '<option value="low" selected>Low</option>' in page.text
    before.send(priority="low")
    assert before.trainings()[0]["priority"] == "low"


def test_without_a_script_the_estimate_is_a_page(before: Before) -> None:
    page = before.send("/check", epochs="3")
    assert "<!doctype html>" in page.text
    assert "Train for" in page.text
    assert re.search(r'name="epochs"[^>]* value="3"', page.text)


def test_faults_stand_at_their_settings_and_what_was_written_stays(before: Before) -> None:
    part = before.send("/estimate", part=True, epochs="0", learningRate="fast")
    assert "2 settings cannot be used" in part.text
    assert 'data-fault="epochs"' in part.text
    page = before.send(epochs="0", learningRate="fast", repeats="7")
    assert page.status_code == 422
    assert re.search(
        r'id="set-epochs-fault">epochs must be a whole number from 1 to 10000', page.text
    )
    assert re.search(r'name="repeats"[^>]* value="7"', page.text)
    assert before.trainings() == [] or all(
        it["datasetId"] != str(before.dataset) for it in before.trainings()
    )


@pytest.mark.parametrize(
    ("fields", "at"),
    [
        ({"networkDim": "0"}, "networkDim"),
        ({"sampleEvery": "2"}, "sampleEvery"),
        ({"baseModel": "no-such-thing"}, "baseModel"),
        ({"baseModel": "/etc"}, "baseModel"),
    ],
)
def test_what_only_the_plan_refuses_stands_at_its_setting_too(
    before: Before, fields: dict[str, str], at: str
) -> None:
    assert f'data-fault="{at}"' in before.send("/estimate", part=True, **fields).text
    page = before.send(**fields)
    assert page.status_code == 422
    assert re.search(rf'id="set-{at}-fault">\w', page.text)


def test_too_few_pictures_must_be_meant(served: Serving, person: TestClient) -> None:
    few = _before(served, person, pictures=2)
    part = few.send("/estimate", part=True)
    assert "I know that only 2 pictures can be used" in part.text
    refused = few.send()
    assert refused.status_code == 422
    assert "I know that only 2 pictures can be used" in refused.text
    assert few.send(acknowledges="yes").status_code == 303


def test_a_dataset_without_pictures_says_so(served: Serving, person: TestClient) -> None:
    none = _before(served, person, pictures=0)
    assert "There are no pictures in this dataset yet" in none.send("/estimate", part=True).text
    assert none.send().status_code == 422


def test_a_balance_that_is_too_small_is_said_before(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with serving(tmp_path_factory.mktemp("poor"), starting_balance=1) as it:
        poor = _before(it, signed_in(it))
        part = poor.send("/estimate", part=True)
        assert "The balance is too small" in part.text
        assert 'href="/billing#add-credit"' in part.text
        refused = poor.send()
        assert refused.status_code == 402
        assert 'href="/billing#add-credit"' in refused.text


def test_a_form_that_is_sent_twice_trains_once_and_a_changed_one_again(before: Before) -> None:
    key = uuid4().hex
    first = before.send(requestKey=key)
    assert before.send(requestKey=key).headers["location"] == first.headers["location"]
    other = before.send(requestKey=key, epochs="4")
    assert other.status_code == 303
    assert other.headers["location"] != first.headers["location"]


def test_json_becomes_the_form(before: Before) -> None:
    written = "{epochs: 7, seed: 9223372036854775807, samplePrompts: ['a', 'b'], maskedLoss: false}"
    part = before.send("/json", part=True, json=written)
    assert re.search(r'name="epochs"[^>]* value="7"', part.text)
    assert 'value="9223372036854775807"' in part.text
    assert ">a\nb</textarea>" in part.text
    assert part.headers["HX-Trigger-After-Settle"] == "settingsChanged"
    page = before.send("/json", json=written)
    assert "<!doctype html>" in page.text
    assert re.search(r'name="epochs"[^>]* value="7"', page.text)


def test_json_changes_only_what_the_preset_does_not_say(before: Before) -> None:
    text = before.send("/estimate", part=True, preset="portrait").text
    written = re.search(r'<textarea id="json"[^>]*>(.*?)</textarea>', text, re.DOTALL)
    assert written is not None
    changed = unescape(written[1]).replace('"epochs": 80', '"epochs": 81')
    part = before.send("/json", part=True, preset="portrait", json=changed).text
    assert re.search(r'name="epochs"[^>]* value="81"', part)
    assert re.search(r'name="repeats"[^>]* value=""', part)


@pytest.mark.parametrize(
    ("written", "says"), [("{", "Not JSON"), ('{"lerningRate": 1}', "did you mean learningRate?")]
)
def test_json_that_cannot_be_used_leaves_the_form(before: Before, written: str, says: str) -> None:
    part = before.send("/json", part=True, json=written)
    assert part.headers["HX-Retarget"] == "#json-fault"
    assert says in part.text
    page = before.send("/json", json=written, epochs="5")
    assert page.status_code == 422
    assert says in page.text
    assert re.search(r'name="epochs"[^>]* value="5"', page.text)


def test_the_form_becomes_json(before: Before) -> None:
    part = before.send("/estimate", part=True, preset="plain", epochs="7", maskedLoss="true")
    text = re.search(r'<textarea id="json"[^>]*>(.*?)</textarea>', part.text, re.DOTALL)
    assert text is not None
    assert json.loads(unescape(text[1])) == {
        "baseModel": "modelgenerator/creatures",
        "captionPrefix": "lvff",
        "epochs": 7,
        "maskedLoss": True,
    }


def test_a_preset_shows_through_the_fields(before: Before) -> None:
    part = before.send("/fields", part=True, preset="portrait")
    assert "Preset: 80" in part.text
    assert 'placeholder="Realistic_Vision_V6.0_B1"' in part.text


def test_a_template_is_taken_by_its_id(before: Before) -> None:
    saved = before.send("/template", preset="plain", epochs="3", templateName="Mine <i>")
    assert saved.status_code == 303
    template = saved.headers["location"].rpartition("/")[2]
    page = before.page(template=template)
    assert "Mine &lt;i&gt;" in page.text
    assert re.search(rf'value="{template}" checked', page.text)
    answer = before.send(preset=template, repeats="2")
    id = answer.headers["location"].rpartition("/")[2]
    settings = before.it.http.get(f"/v1/trainings/{id}").json()["settings"]
    assert (settings["epochs"], settings["repeats"]) == (3, 2)
    assert before.it.http.get(f"/v1/training-templates/{template}").json()["timesUsed"] == 1


def test_a_training_is_cloned_with_all_that_it_was_told(before: Before) -> None:
    id = before.send(epochs="9", seed="77").headers["location"].rpartition("/")[2]
    page = before.person.get("/trainings/new", params={"from": id})
    assert re.search(r'name="epochs"[^>]* value="9"', page.text)
    assert re.search(r'name="seed"[^>]* value="77"', page.text)
    assert f'name="subject" value="{before.subject}"' in page.text


def test_the_sample_subject_is_trained_by_one_click(person: TestClient) -> None:
    where = person.post("/subjects/sample").headers["location"]
    subject = where.removeprefix("/subjects/")
    page = person.get("/trainings/new", params={"subject": subject}).text
    assert 'name="captionPrefix" value="lvff"' in page
    assert "Recommended for modelgenerator/creatures" in page


def test_without_a_subject_one_is_chosen(before: Before) -> None:
    page = before.person.get("/trainings/new", params={"epochs": "3"})
    assert f"/trainings/new?subject={before.subject}&amp;epochs=3" in page.text


def test_who_may_only_look_trains_nothing(served: Serving, before: Before) -> None:
    viewer = signed_in(served, Role.VIEWER)
    assert viewer.get("/trainings/new", params={"subject": before.subject}).status_code == 403
    data = {"subject": before.subject, **BEGUN}
    assert viewer.post("/trainings/new", data=data).status_code == 403


def test_another_organizations_subject_is_not_there(served: Serving, before: Before) -> None:
    theirs = neighbours(served).post("/v1/subjects", json={"name": "Theirs"}).json()["id"]
    assert before.page(subject=theirs).status_code == 404
    assert before.send(subject=theirs).status_code == 404
    assert before.page(template=str(uuid4())).status_code == 404
    assert before.person.get("/trainings/new?subject=nonsense").status_code == 404
