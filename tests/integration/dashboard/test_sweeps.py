"""Several values of one setting: told together, started together or not at all."""

import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient
from httpx import Response
from tests import uploaded
from tests.pages import signed_in
from tests.serving import Serving, serving

from modelgenerator.service.records.organizations import Role


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("served")) as it:
        uploaded.a_dataset(it)
        yield it


@pytest.fixture(scope="module")
def person(served: Serving) -> TestClient:
    return signed_in(served, Role.MEMBER)


def _subject(it: Serving) -> str:
    return it.http.get("/v1/subjects").json()["items"][0]["id"]


def _send(
    it: Serving, person: TestClient, to: str = "", *, part: bool = False, **fields: Any
) -> Response:
    data = {
        "subject": _subject(it),
        "requestKey": uuid4().hex,
        "preset": "quick",
        "setting": "learningRate",
        "values": "0.001, 1e-4",
        "json": '{"captionPrefix": "lvff"}',
        **fields,
    }
    headers = {"HX-Request": "true"} if part else {}
    return person.post(f"/trainings/sweep{to}", data=data, headers=headers)


def _trainings(it: Serving) -> list[dict[str, Any]]:
    return it.http.get("/v1/trainings").json()["items"]


def test_the_form_offers_every_setting_that_has_single_values(
    served: Serving, person: TestClient
) -> None:
    page = person.get("/trainings/sweep", params={"subject": _subject(served)})
    assert page.status_code == 200
    assert '<option value="networkTargets">' in page.text
    assert '<option value="samplePrompts">' not in page.text
    assert "captionPrefix" in page.text


def test_all_are_told_together(served: Serving, person: TestClient) -> None:
    part = _send(served, person, "/estimate", part=True)
    assert "2 trainings, " in part.text
    assert re.search(r">Start 2 trainings for (about|less than) \$", part.text)
    assert "<!doctype html>" in _send(served, person, "/estimate").text
    assert _trainings(served) == []


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"values": "0.001"}, "Give 2 to 8 values."),
        ({"values": "0.001, fast"}, "learningRate must be a number above 0, not &#34;fast&#34;"),
        ({"values": "1, 1.0"}, "is given twice"),
        ({"json": "{"}, "Not JSON"),
        ({"json": '{"lr": 1}'}, "did you mean learningRate?"),
        ({"setting": "networkDim", "values": "4\n0"}, "networkDim 0 means no low-rank network"),
    ],
)
def test_what_cannot_be_started_is_said_and_nothing_starts(
    served: Serving, person: TestClient, fields: dict[str, str], says: str
) -> None:
    before = len(_trainings(served))
    assert says in _send(served, person, "/estimate", part=True, **fields).text
    page = _send(served, person, **fields)
    assert page.status_code in (400, 422)
    assert says in page.text
    assert len(_trainings(served)) == before


def test_they_start_with_one_seed_and_are_compared(served: Serving, person: TestClient) -> None:
    key = uuid4().hex
    answer = _send(served, person, requestKey=key)
    assert answer.status_code == 303
    ids = re.findall(r"id=([0-9a-f-]{36})", answer.headers["location"])
    assert len(ids) == 2
    assert answer.headers["location"].startswith("/trainings/compare?id=")
    both = [served.http.get(f"/v1/trainings/{id}").json() for id in ids]
    assert [it["name"] for it in both] == [
        "Fuchsi · learningRate=0.001",
        "Fuchsi · learningRate=0.0001",
    ]
    first, second = (it["settings"] for it in both)
    assert first["seed"] == second["seed"]
    differ = {name for name in first if first[name] != second[name]}
    assert differ == {"learningRate"}
    assert _send(served, person, requestKey=key).headers["location"] == answer.headers["location"]


def test_switches_and_lists_are_written_as_people_say_them(
    served: Serving, person: TestClient
) -> None:
    switch = _send(served, person, setting="flipAug", values="yes, no")
    assert switch.status_code == 303
    lists = _send(
        served, person, setting="networkTargets", values="attention\nattention, convolutions"
    )
    assert lists.status_code == 303
    second = lists.headers["location"].rpartition("id=")[2]
    settings = served.http.get(f"/v1/trainings/{second}").json()["settings"]
    assert settings["networkTargets"] == ["attention", "convolutions"]


def test_a_balance_for_one_starts_none(tmp_path_factory: pytest.TempPathFactory) -> None:
    with serving(tmp_path_factory.mktemp("rich")) as it:
        uploaded.a_dataset(it)
        _send(it, signed_in(it))
        cost = _trainings(it)[0]["estimate"]["cost"]
    with serving(tmp_path_factory.mktemp("poor"), starting_balance=cost + cost // 2) as it:
        uploaded.a_dataset(it)
        person = signed_in(it)
        assert "The balance is too small for all" in _send(it, person, "/estimate", part=True).text
        answer = _send(it, person)
        assert answer.status_code == 402
        assert "Insufficient Funds" in answer.text
        assert _trainings(it) == []


def test_who_may_only_look_starts_nothing(served: Serving) -> None:
    viewer = signed_in(served, Role.VIEWER)
    assert _send(served, viewer).status_code == 403
    assert viewer.get(f"/trainings/sweep?subject={_subject(served)}").status_code == 403
    assert signed_in(served).get(f"/trainings/sweep?subject={uuid4()}").status_code == 404
