"""Packs of prompts, and two models side by side, without a browser."""

import html
import json
import re
from pathlib import Path
from uuid import UUID

import pytest
from tests import uploaded
from tests.household import neighbours
from tests.pages import signed_in
from tests.serving import Serving, serving

from modelgenerator.service.operations.pictures import add_picture
from modelgenerator.service.records.jobs import JobKind
from modelgenerator.service.records.organizations import Role

CREATURES = "base:modelgenerator/creatures"


def a_pack(it: Serving, *images: dict[str, object]) -> str:
    body = {"name": "Scenes", "images": list(images) or [{"prompt": "a fox", "seed": 3}]}
    return it.http.post("/v1/inference-packs", json=body).json()["id"]


def images_of(it: Serving, id: str) -> list[dict[str, object]]:
    return it.http.get(f"/v1/inference-packs/{id}").json()["images"]


def test_prompts_are_kept_one_a_line_with_a_seed(it: Serving) -> None:
    person = signed_in(it)
    sent = {"name": "Scenes", "prompts": "a fox\r\n\r\n a cat ", "seed": "7"}
    answer = person.post("/packs", data=sent)
    assert answer.status_code == 303
    id = answer.headers["location"].rpartition("/")[2]
    assert images_of(it, id) == [{"prompt": "a fox", "seed": 7}, {"prompt": "a cat", "seed": 7}]
    assert "Scenes" in person.get("/packs").text


def test_a_line_that_stays_keeps_its_settings(it: Serving) -> None:
    id = a_pack(it, {"prompt": "a fox", "seed": 3, "steps": 9})
    sent = {"name": "Scenes", "prompts": "a cat\na fox", "seed": "4"}
    assert signed_in(it).post(f"/packs/{id}", data=sent).status_code == 303
    kept = {"prompt": "a fox", "seed": 3, "steps": 9}
    assert images_of(it, id) == [{"prompt": "a cat", "seed": 4}, kept]


def test_images_are_written_as_json_too(it: Serving) -> None:
    id, person = a_pack(it, {"prompt": "a fox", "seed": 3, "steps": 9}), signed_in(it)
    page = person.get(f"/packs/{id}?view=json").text
    shown = re.search(r'<textarea id="images"[^>]*>([^<]*)<', page)
    assert shown
    images = json.loads(html.unescape(shown.group(1)))
    images[0]["steps"] = 12
    sent = {"name": "Scenes", "images": json.dumps(images)}
    assert person.post(f"/packs/{id}", data=sent).status_code == 303
    assert images_of(it, id) == [{"prompt": "a fox", "seed": 3, "steps": 12}]


@pytest.mark.parametrize(
    ("sent", "place", "words"),
    [
        ({"prompts": "a fox", "seed": "x"}, "seed", "The seed is a whole number"),
        ({"prompts": " "}, "prompts", "at least one image"),
        ({"images": "[{"}, "images", "This is no JSON. Expecting"),
        ({"images": "{}"}, "images", "This is a list of objects"),
        ({"images": '[{"prompt": "a", "steps": 99}]'}, "images", "steps must be"),
        ({"name": "", "prompts": "a fox"}, "name", "name"),
    ],
)
def test_a_fault_is_said_at_its_field(
    it: Serving, sent: dict[str, str], place: str, words: str
) -> None:
    answer = signed_in(it).post("/packs", data={"name": "Scenes", **sent})
    assert answer.status_code in (400, 422), answer.text
    fault = re.search(rf'id="{place}-fault">([^<]*)<', answer.text)
    assert fault, answer.text
    assert words in html.unescape(fault.group(1))


def test_two_models_draw_the_same_with_the_same_seeds(it: Serving) -> None:
    dataset = uploaded.a_dataset(it)
    body = {"datasetId": str(dataset), "settings": dict(uploaded.SETTINGS), "name": "Fuchsi 1"}
    training = it.http.post("/v1/trainings", json=body).json()["id"]
    uploaded.trained(it, uploaded.claimed(it), used_ms=0)
    id, person = a_pack(it, {"prompt": "a fox"}, {"prompt": "a cat", "seed": 9}), signed_in(it)
    sent = {"first": training, "second": CREATURES, "requestKey": "one"}
    answer = person.post(f"/packs/{id}/run", data=sent)
    assert answer.status_code == 303, answer.text
    assert (
        person.post(f"/packs/{id}/run", data=sent).headers["location"]
        == (answer.headers["location"])
    )
    second, first = it.http.get("/v1/inferences").json()["items"]
    assert [one["seed"] for one in first["images"]] == [one["seed"] for one in second["images"]]
    assert first["images"][0]["trainingId"] == training
    assert second["images"][0]["trainingId"] is None
    page = person.get(answer.headers["location"]).text
    assert page.count("Not drawn yet") == 4
    assert "Fuchsi 1" in page
    assert 'hx-trigger="every 1s"' in page
    for _ in range(2):
        job = uploaded.claimed(it, JobKind.GENERATE)
        for position in range(2):
            picture = uploaded.drawn(it, job, position)
            with it.service.database.transaction() as transaction:
                add_picture(transaction.of(it.organization_id), job, picture, it.clock())
        uploaded.ended(it, job)
    page = person.get(answer.headers["location"]).text
    assert page.count("/thumbnail") == 4
    assert "hx-trigger" not in page


def test_both_models_are_asked_or_none(it: Serving) -> None:
    id, person = a_pack(it), signed_in(it)
    answer = person.post(f"/packs/{id}/run", data={"first": CREATURES, "second": str(UUID(int=7))})
    assert answer.status_code == 404
    assert "There is no training" in answer.text
    assert it.http.get("/v1/inferences").json()["items"] == []


def test_a_queue_with_room_for_one_takes_neither_of_two_models(tmp_path: Path) -> None:
    with serving(tmp_path, queued_jobs="1") as it:
        id, person = a_pack(it), signed_in(it)
        answer = person.post(f"/packs/{id}/run", data={"first": CREATURES, "second": CREATURES})
        assert answer.status_code == 429
        assert "Nothing was started and nothing was charged." in answer.text
        assert it.http.get("/v1/inferences").json()["items"] == []


def test_too_small_a_balance_for_both_draws_nothing(tmp_path: Path) -> None:
    with serving(tmp_path, price_picture="60") as it:
        id, person = a_pack(it), signed_in(it)
        answer = person.post(f"/packs/{id}/run", data={"first": CREATURES, "second": CREATURES})
        assert answer.status_code == 402
        assert "Add credit" in answer.text
        assert it.http.get("/v1/inferences").json()["items"] == []


def test_html_in_a_pack_stays_text(it: Serving) -> None:
    body = {"name": "<i>x</i>", "images": [{"prompt": "</textarea><b>bold</b>"}]}
    id = it.http.post("/v1/inference-packs", json=body).json()["id"]
    person = signed_in(it)
    for address in ("/packs", f"/packs/{id}", f"/packs/{id}?view=json"):
        page = person.get(address).text
        assert "<b>bold" not in page
        assert "<i>x" not in page


def test_a_viewer_changes_nothing_and_nobody_else_sees_it(it: Serving) -> None:
    id = a_pack(it)
    viewer = signed_in(it, Role.VIEWER)
    page = viewer.get(f"/packs/{id}").text
    assert "Run on" not in page
    assert "Delete" not in page
    for action in ("", "/run", "/delete"):
        sent = {"name": "N", "prompts": "a fox", "first": CREATURES}
        assert viewer.post(f"/packs/{id}{action}", data=sent).status_code == 403
    assert neighbours(it).get(f"/v1/inference-packs/{id}").status_code == 404
    assert viewer.get(f"/packs/{UUID(int=1)}").status_code == 404


def test_a_deleted_pack_is_gone_and_its_pictures_stay(it: Serving) -> None:
    id, person = a_pack(it), signed_in(it)
    person.post(f"/packs/{id}/run", data={"first": CREATURES})
    assert person.post(f"/packs/{id}/delete").headers["location"] == "/packs"
    assert person.get(f"/packs/{id}").status_code == 404
    assert len(it.http.get("/v1/inferences").json()["items"]) == 1
