"""Subjects as pages: made, filled, checked, captioned, deleted."""

import re
from pathlib import Path
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from httpx import Response
from tests import nasty
from tests.household import neighbours
from tests.nasty_zips import Member, zip_of
from tests.pages import signed_in
from tests.sent_photos import grey, png
from tests.serving import Serving, serving
from tests.uploaded import SETTINGS, a_dataset

from modelgenerator.datasets.masks import MaskShades
from modelgenerator.datasets.subject import SubjectKind
from modelgenerator.service.dashboard.subject_captions import Change, changed_captions
from modelgenerator.service.dashboard.subject_masks import training_settings
from modelgenerator.service.operations import datasets
from modelgenerator.service.records.datasets import DatasetPicture
from modelgenerator.service.records.organizations import Role

HTML = "<script>alert(1)</script>"
PART = {"hx-request": "true"}


def made(person: TestClient, name: str = "Mia", **more: str) -> str:
    """The address of a new subject."""
    answer = person.post("/subjects", data={"name": name, "kind": "person", **more})
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def sent(person: TestClient, address: str, *files: tuple[str, bytes], **headers: str) -> Response:
    parts = [("files", file) for file in files]
    return person.post(f"{address}/pictures", files=parts, headers=headers)


def pictures(it: Serving, address: str) -> tuple[DatasetPicture, ...]:
    """What the subject at this address has."""
    subject = it.http.get(f"/v1{address}").json()
    return datasets.read_dataset(it.service, it.owner, UUID(subject["datasetId"])).pictures


def test_a_subject_is_made_once_by_a_form_that_is_sent_twice(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        person = signed_in(it)
        once = {"requestKey": "0123456789abcdef"}
        assert made(person, className="woman", **once) == made(person, className="woman", **once)
        assert len(it.http.get("/v1/subjects").json()["items"]) == 1


def test_a_fault_is_said_at_its_field_and_what_was_written_stays(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        person = signed_in(it)
        answer = person.post(
            "/subjects", data={"name": " ", "kind": "animal", "className": "red fox"}
        )
        assert answer.status_code == 400
        assert 'id="name-fault"' in answer.text
        assert 'value="red fox"' in answer.text
        assert 'value="animal" checked' in answer.text


def test_the_sample_subject_is_there_at_once_and_made_once(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        person = signed_in(it)
        first, second = (
            person.post("/subjects/sample", data={"requestKey": "k"}).headers["location"]
            for _ in range(2)
        )
        assert first == second
        there = pictures(it, first)
        assert len(there) == 8
        assert there[0].caption == "creature on the beach"
        page = person.get(first).text
        assert "baseModel=modelgenerator%2Fcreatures&amp;captionPrefix=lvff" in page
        checked = person.get(f"{first}/check", headers=PART).text
        assert "8 good of 8" in checked
        assert "32 × 32" in checked  # noqa: RUF001


def test_what_is_bad_is_named_beside_what_is_good(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        person = signed_in(it)
        address = made(person)
        archive = zip_of([Member(b"in/a.png", png(64)), Member(b"in/b.png", b"no picture")])
        files = [
            ("good.png", png(80)),
            ("text.jpg", b"only text"),
            ("cut.jpg", nasty.jpg()[:300]),
            ("many.zip", archive),
        ]
        answer = sent(person, address, *files)
        assert answer.status_code == 200
        for words in ("text.jpg", "cut.jpg", "many.zip: b.png", "refused"):
            assert words in answer.text
        assert {one.label for one in pictures(it, address)} == {"good.png", "a.png"}
        part = sent(person, address, ("good.png", png(80)), ("new.png", png(90)), **PART).text
        assert part.count('<li class="photo"') == 1
        assert "The same picture is there already." in part
        assert 'data-count="3"' in part


def test_files_of_which_none_is_good_are_named_too(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        person = signed_in(it)
        answer = sent(person, made(person), ("text.jpg", b"only text"))
        assert answer.status_code == 200
        assert "It is not a jpg, png or webp picture." in answer.text


def test_good_files_lead_back_to_the_page(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        person = signed_in(it)
        address = made(person)
        answer = sent(person, address, ("a.png", png(64)))
        assert (answer.status_code, answer.headers["location"]) == (303, address)
        assert "1 photo was added." in person.get(address).text


def test_flags_come_with_their_reasons(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        person = signed_in(it)
        address = made(person)
        sent(person, address, ("tiny.png", png(60)))
        part = person.get(f"{address}/check", headers=PART).text
        assert "0 good of 1" in part
        assert "Far too small" in part
        whole = person.get(f"{address}/check").text
        assert "Far too small" in whole


def test_the_check_is_made_for_the_base_model_that_was_trained_last(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        dataset = a_dataset(it)
        subject = it.http.get("/v1/subjects").json()["items"][0]["id"]
        person = signed_in(it)
        assert "512 × 512" in person.get(f"/subjects/{subject}/check").text  # noqa: RUF001
        body = {"datasetId": str(dataset), "settings": {**SETTINGS, "captionPrefix": "mia"}}
        assert it.http.post("/v1/trainings", json=body).status_code == 202
        assert "32 × 32" in person.get(f"/subjects/{subject}/check").text  # noqa: RUF001
        assert "captionPrefix=mia" in person.get(f"/subjects/{subject}").text


def test_html_in_names_and_captions_stays_text(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        person = signed_in(it)
        address = made(person, name=HTML, className=HTML)
        sent(person, address, ("<b>.png", png(64)), ("<b>.txt", HTML.encode()))
        (picture,) = pictures(it, address)
        assert picture.caption == HTML
        places = ["", "/masks", "/check", f"/pictures/{picture.id}"]
        for path in [*(address + place for place in places), "/subjects", "/"]:
            text = person.get(path).text
            assert HTML not in text
            assert "<b>" not in text
        assert "&lt;script&gt;" in person.get(address).text


def test_a_caption_is_saved_where_it_stands(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        person = signed_in(it)
        address = made(person)
        sent(person, address, ("a.png", png(64)))
        (picture,) = pictures(it, address)
        place = f"{address}/pictures/{picture.id}/caption"
        part = person.post(place, data={"caption": "in the\nsnow"}, headers=PART)
        assert part.text.strip() == "Saved"
        assert pictures(it, address)[0].caption == "in the snow"
        assert person.post(place, data={"caption": ""}).status_code == 303
        assert pictures(it, address)[0].caption is None


def test_captions_of_all_photos_change_together(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        person = signed_in(it)
        address = made(person, className="woman")
        sent(person, address, ("a.png", png(64)), ("b.png", png(70)))
        for change, text, find, becomes in (
            ("set", "on a street", "", "on a street"),
            ("prefix", "mia", "", "mia on a street"),
            ("replace", "beach", "street", "mia on a beach"),
            ("regenerate", "", "", "a photo of a woman"),
            ("clear", "", "", None),
            ("fill", "", "", "a photo of a woman"),
        ):
            data = {"change": change, "text": text, "find": find}
            assert person.post(f"{address}/captions", data=data).status_code == 303
            assert [one.caption for one in pictures(it, address)] == [becomes, becomes]


@pytest.mark.parametrize(
    ("before", "change", "text", "find", "after"),
    [
        ("mia, smiling", Change.PREFIX, "mia", "", "mia, smiling"),
        (None, Change.PREFIX, "mia", "", "mia"),
        ("a b", Change.REPLACE, "", "a", "b"),
        ("a", Change.REPLACE, "x", "", "a"),
        ("a", Change.SET, " ", "", None),
        ("a", Change.FILL, "", "", "a"),
    ],
)
def test_a_bulk_change_does_what_it_says(
    tmp_path: Path, before: str | None, change: Change, text: str, find: str, after: str | None
) -> None:
    with serving(tmp_path) as it:
        a_dataset(it, pictures=1)
        subject = it.http.get("/v1/subjects").json()["items"][0]["id"]
        (one,) = pictures(it, f"/subjects/{subject}")
        datasets.set_caption(it.service, it.owner, one.dataset_id, one.id, before)
        (one,) = pictures(it, f"/subjects/{subject}")
        changed = changed_captions([one], change, text, find)
        assert changed.get(one.id, one.caption) == after


def test_photos_are_moved_masked_and_deleted(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        person = signed_in(it)
        address = made(person)
        sent(person, address, ("a.png", png(64)), ("b.png", png(70)))
        first, second = pictures(it, address)
        place = f"{address}/pictures/{second.id}"
        assert person.post(f"{place}/move", data={"position": "1"}).status_code == 303
        assert [one.id for one in pictures(it, address)] == [second.id, first.id]
        mask = [("files", ("m.png", grey(70)))]
        assert person.post(f"{place}/mask", files=mask).status_code == 303
        assert pictures(it, address)[0].mask_key is not None
        assert "It has a mask of its own." in person.get(place).text
        person.post(f"{place}/mask/delete")
        assert pictures(it, address)[0].mask_key is None
        wrong = person.post(f"{place}/mask", files=[("files", ("m.png", grey(71)))])
        assert wrong.status_code == 422
        person.post(f"{place}/delete")
        assert [one.id for one in pictures(it, address)] == [first.id]
        assert person.get(place).status_code == 404


def test_shades_go_along_to_the_training(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        a_dataset(it, pictures=8)
        subject = it.http.get("/v1/subjects").json()["items"][0]["id"]
        person, asked = signed_in(it), {"maskedLoss": "true", "headMaskShade": "9"}
        part = person.get(f"/subjects/{subject}/masks", params=asked, headers=PART).text
        train = f"/trainings/new?subject={subject}&amp;maskedLoss=true&amp;headMaskShade=9"
        assert f'href="{train}"' in part
        assert part.count("<img") == 6
        assert "first=6" in part
        whole = person.get(f"/subjects/{subject}/masks").text
        assert "-o preview.webp" in whole
        assert "client.ask" not in whole, "the client asks for JSON"
        shown = re.search(r'src="([^"]*preview[^"]*)"', part)
        assert shown is not None
        picture = person.get(shown.group(1).replace("&amp;", "&"))
        assert picture.headers["content-type"] == "image/webp"
        usual = training_settings(MaskShades(), normalize=True, masked=True)
        assert usual == {"normalizeDataset": "true", "maskedLoss": "true"}


def test_a_thumbnail_is_drawn_once(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        person = signed_in(it)
        address = made(person)
        sent(person, address, ("a.png", png(64)))
        (picture,) = pictures(it, address)
        place = f"/datasets/{picture.dataset_id}/pictures/{picture.id}/thumbnail"
        first = person.get(place)
        assert first.headers["content-type"] == "image/webp"
        again = person.get(place, headers={"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


def test_everything_is_deleted_with_a_receipt(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        person = signed_in(it)
        address = made(person)
        sent(person, address, ("a.png", png(64)))
        answer = person.post(f"{address}/delete")
        assert re.fullmatch(r"/deletions/[0-9a-f-]{36}", answer.headers["location"])
        assert person.get(address).status_code == 404


def test_who_may_only_look_sees_no_button_and_changes_nothing(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        owner, viewer = signed_in(it), signed_in(it, Role.VIEWER)
        address = made(owner)
        sent(owner, address, ("a.png", png(64)))
        (picture,) = pictures(it, address)
        place = f"{address}/pictures/{picture.id}"
        for path in (address, place, f"{address}/masks"):
            page = viewer.get(path)
            assert page.status_code == 200
            assert "<form method" not in page.text.replace('<form method="post" action="/sign', "")
        assert viewer.get("/subjects/new").status_code == 403
        assert sent(viewer, address, ("b.png", png(70))).status_code == 403
        for path in (
            "/subjects",
            "/subjects/sample",
            f"{address}/change",
            f"{address}/delete",
            f"{place}/caption",
            f"{place}/delete",
        ):
            assert viewer.post(path, data={"name": "x"}).status_code == 403


def test_what_is_anothers_is_not_here(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        theirs = neighbours(it).post("/v1/subjects", json={"name": "Theirs"}).json()
        person, address = signed_in(it), f"/subjects/{theirs['id']}"
        for path in (address, f"{address}/check", f"{address}/masks"):
            assert person.get(path).status_code == 404
        assert sent(person, address, ("a.png", png(64))).status_code == 404
        assert person.post(f"{address}/delete").status_code == 404
        assert person.post(f"{address}/captions", data={"change": "clear"}).status_code == 404


def test_the_list_shows_how_often_each_was_trained(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        assert "No subjects yet" in signed_in(it, Role.VIEWER).get("/subjects").text
        dataset = a_dataset(it)
        it.http.post("/v1/trainings", json={"datasetId": str(dataset), "settings": SETTINGS})
        text = signed_in(it).get("/subjects").text
        assert "5 photos" in text
        assert "trained once" in text


def test_another_name_and_kind(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        person = signed_in(it)
        address = made(person)
        data = {"name": "Fuchsi", "kind": SubjectKind.ANIMAL.value, "className": "fox"}
        assert person.post(f"{address}/change", data=data).status_code == 303
        changed = it.http.get(f"/v1{address}").json()
        assert (changed["name"], changed["kind"], changed["className"]) == tuple(data.values())
