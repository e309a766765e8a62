"""Subjects and datasets as a person works with them: captions, order, previews, reports."""

import io
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from PIL import Image
from tests.real_photos import real_bytes
from tests.remembered import an_organization
from tests.sent_photos import grey, images, png, send
from tests.serving import Serving, serving

from modelgenerator.service.operations import api_keys
from modelgenerator.service.operations.callers import Caller
from modelgenerator.service.records.organizations import Role


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("served")) as served:
        yield served


@pytest.fixture
def subject(served: Serving) -> dict[str, Any]:
    body = {"name": "Ada", "kind": "person", "className": "woman"}
    return served.http.post("/v1/subjects", json=body).json()


@pytest.fixture
def dataset(served: Serving, subject: dict[str, Any]) -> str:
    """With three photos."""
    files = [(f"{n}.png", png(50 + n)) for n in range(3)]
    send(served, subject["datasetId"], *files)
    return subject["datasetId"]


def picture_in(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    assert image.format == "WEBP"
    return image


def test_a_subject_is_made_with_an_empty_dataset(served: Serving, subject: dict[str, Any]) -> None:
    assert (subject["name"], subject["kind"], subject["className"]) == ("Ada", "person", "woman")
    assert (subject["imageCount"], subject["coverUrl"], subject["trainingCount"]) == (0, None, 0)
    dataset = served.http.get(f"/v1/datasets/{subject['datasetId']}").json()
    assert (dataset["subjectId"], dataset["images"]) == (subject["id"], [])


def test_a_subject_is_seen_with_what_there_is_of_it(
    served: Serving, subject: dict[str, Any], dataset: str
) -> None:
    seen = served.http.get(f"/v1/subjects/{subject['id']}").json()
    assert seen["imageCount"] == 3
    assert seen["coverUrl"] == images(served, dataset)[0]["thumbnailUrl"]
    assert served.http.get("/v1/subjects").json()["items"][0] == seen


def test_a_subject_gets_other_names(served: Serving, subject: dict[str, Any]) -> None:
    address = f"/v1/subjects/{subject['id']}"
    changed = served.http.patch(address, json={"name": " Bob ", "kind": "other"}).json()
    assert (changed["name"], changed["kind"], changed["className"]) == ("Bob", "other", "woman")
    assert served.http.patch(address, json={"className": ""}).json()["className"] == ""


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 201, "nul\0"])
def test_what_cannot_be_a_name_is_refused(served: Serving, name: str) -> None:
    answer = served.http.post("/v1/subjects", json={"name": name})
    assert (answer.status_code, answer.json()["field"]) == (400, "name")


def test_names_are_shown_as_they_are_and_never_paths(served: Serving) -> None:
    name = '<img src=x onerror=alert(1)> ../../etc "$.store"'
    made = served.http.post("/v1/subjects", json={"name": name})
    assert made.json()["name"] == name


def test_the_same_request_makes_one_subject(served: Serving) -> None:
    headers = {"Idempotency-Key": uuid4().hex}
    made = [
        served.http.post("/v1/subjects", json={"name": "Ada"}, headers=headers) for _ in range(2)
    ]
    assert made[0].json() == made[1].json()


def test_captions_are_changed_one_by_one(served: Serving, dataset: str) -> None:
    image = images(served, dataset)[0]
    address = f"/v1/datasets/{dataset}/images/{image['id']}"
    assert served.http.patch(address, json={"caption": "Ada\n laughs"}).json()["caption"] == (
        "Ada laughs"
    )
    assert served.http.patch(address, json={}).json()["caption"] == "Ada laughs"
    assert served.http.get(address).json()["caption"] == "Ada laughs"
    assert served.http.patch(address, json={"caption": None}).json()["caption"] is None


def test_captions_are_changed_all_at_once(served: Serving, dataset: str) -> None:
    first, second, _ = images(served, dataset)
    body = {"captions": {first["id"]: "one", second["id"]: "two"}}
    served.http.put(f"/v1/datasets/{dataset}/captions", json=body)
    assert [it["caption"] for it in images(served, dataset)] == ["one", "two", None]
    body = {"captions": {second["id"]: None}, "template": True}
    changed = served.http.put(f"/v1/datasets/{dataset}/captions", json=body).json()
    captions = ["one", "a photo of a woman", "a photo of a woman"]
    assert [it["caption"] for it in changed["images"]] == captions
    assert [it["caption"] for it in images(served, dataset)] == captions


def test_of_many_captions_all_are_changed_or_none(served: Serving, dataset: str) -> None:
    image = images(served, dataset)[0]
    body = {"captions": {image["id"]: "one", str(uuid4()): "two"}}
    assert served.http.put(f"/v1/datasets/{dataset}/captions", json=body).status_code == 404
    assert images(served, dataset)[0]["caption"] is None


def test_template_captions_need_to_know_what_is_shown(
    served: Serving, subject: dict[str, Any], dataset: str
) -> None:
    served.http.patch(f"/v1/subjects/{subject['id']}", json={"className": ""})
    answer = served.http.put(f"/v1/datasets/{dataset}/captions", json={"template": True})
    assert (answer.status_code, answer.json()["field"]) == (400, "className")


@pytest.mark.parametrize(
    ("moved", "to", "order"),
    [(0, 2, "120"), (2, 0, "201"), (1, 1, "012"), (0, 99, "120")],
)
def test_pictures_are_put_in_order(
    served: Serving, dataset: str, moved: int, to: int, order: str
) -> None:
    there = images(served, dataset)
    address = f"/v1/datasets/{dataset}/images/{there[moved]['id']}"
    changed = served.http.patch(address, json={"position": to})
    assert changed.json()["position"] == min(to, 2)
    assert "".join(it["label"][0] for it in images(served, dataset)) == order
    assert send(served, dataset, ("9.png", png(60))).status_code == 201
    assert "".join(it["label"][0] for it in images(served, dataset)) == order + "9"


def test_positions_have_no_gaps_after_a_picture_is_taken_out(served: Serving, dataset: str) -> None:
    image = images(served, dataset)[1]
    served.http.delete(f"/v1/datasets/{dataset}/images/{image['id']}")
    assert [it["position"] for it in images(served, dataset)] == [0, 1]


def test_a_picture_that_was_taken_out_can_be_sent_again(served: Serving, dataset: str) -> None:
    image = images(served, dataset)[0]
    served.http.delete(f"/v1/datasets/{dataset}/images/{image['id']}")
    assert send(served, dataset, ("0.png", png(50))).status_code == 201


@pytest.fixture(scope="module")
def portrait(served: Serving) -> dict[str, Any]:
    """A real photo of 512 x 512."""
    body = {"name": "Eileen", "kind": "person"}
    dataset = served.http.post("/v1/subjects", json=body).json()["datasetId"]
    send(served, dataset, ("portrait.png", real_bytes("astronaut.png")))
    return images(served, dataset)[0]


def test_a_thumbnail_is_small_and_is_not_sent_twice(
    served: Serving, portrait: dict[str, Any]
) -> None:
    answer = served.http.get(portrait["thumbnailUrl"])
    assert max(picture_in(answer.content).size) == 320
    assert answer.headers["cache-control"] == "private, no-cache"
    assert "sandbox" in answer.headers["content-security-policy"]
    headers = {"If-None-Match": answer.headers["etag"]}
    again = served.http.get(portrait["thumbnailUrl"], headers=headers)
    assert (again.status_code, again.content) == (304, b"")


def test_what_is_small_is_not_enlarged(served: Serving, dataset: str) -> None:
    answer = served.http.get(images(served, dataset)[0]["thumbnailUrl"])
    assert picture_in(answer.content).size == (50, 40)


def test_a_preview_shows_the_cut_and_what_counts(served: Serving, portrait: dict[str, Any]) -> None:
    def shown(**asked: object) -> Image.Image:
        answer = served.http.get(portrait["previewUrl"], params=asked)
        assert answer.status_code == 200, answer.text
        return picture_in(answer.content).convert("L")

    whole, cut, masked = shown(), shown(normalize=True), shown(mask=True)
    assert whole.size == (512, 512)
    assert cut.size[0] == cut.size[1] <= 512
    assert sum(masked.tobytes()) < sum(whole.tobytes())
    black = shown(mask=True, backgroundMaskShade=0, boundingMaskShade=0)
    assert sum(black.tobytes()) < sum(masked.tobytes())
    assert shown(size=64).size == (64, 64)


def test_a_preview_follows_the_mask_that_a_person_made(served: Serving, dataset: str) -> None:
    image = images(served, dataset)[0]
    before = served.http.get(image["previewUrl"], params={"mask": True})
    send(served, dataset, ("0.mask.png", grey(50, shade=120)))
    after = served.http.get(image["previewUrl"], params={"mask": True})
    assert before.headers["etag"] != after.headers["etag"]


@pytest.mark.parametrize("asked", [{"size": 31}, {"headMaskShade": 256}, {"mask": "perhaps"}])
def test_what_cannot_be_shown_is_refused(
    served: Serving, portrait: dict[str, Any], asked: dict[str, Any]
) -> None:
    assert served.http.get(portrait["previewUrl"], params=asked).status_code == 422


def test_a_report_says_what_check_says_and_which_picture_is_meant(
    served: Serving, dataset: str
) -> None:
    address = f"/v1/datasets/{dataset}/report"
    assert [it["warnings"] for it in images(served, dataset)] == [None] * 3
    report = served.http.get(address).json()
    assert (report["formatVersion"], report["resolution"], report["kind"]) == (1, 512, "person")
    assert report["verdict"] == "notUsable"
    there = images(served, dataset)
    assert [it["pictureId"] for it in report["pictures"]] == [it["id"] for it in there]
    assert all("too small" in it["warnings"][0] for it in there), there[0]["warnings"]
    assert served.http.get(address).json() == report
    small = served.http.get(address, params={"resolution": 32, "normalize": True}).json()
    assert small["resolution"] == 32
    assert small["pictures"][0]["crop"] is not None
    for_base = served.http.get(address, params={"baseModel": "creatures"}).json()
    assert for_base["resolution"] == 32
    assert for_base["pictures"][0]["enlargement"] < report["pictures"][0]["enlargement"]
    unknown = served.http.get(address, params={"baseModel": "/nothing"})
    assert (unknown.status_code, unknown.json()["code"]) == (422, "baseModelNotFound")


def test_a_report_on_nothing_says_so(served: Serving, subject: dict[str, Any]) -> None:
    answer = served.http.get(f"/v1/datasets/{subject['datasetId']}/report")
    assert (answer.status_code, answer.json()["code"]) == (422, "unusableDataset")
    assert "/" not in answer.json()["detail"]


def test_a_dataset_without_a_subject_is_made_and_filled(served: Serving) -> None:
    made = served.http.post("/v1/datasets")
    assert made.status_code == 201
    assert made.json()["subjectId"] is None
    assert send(served, made.json()["id"], ("a.png", png(50))).status_code == 201


def test_who_may_look_may_not_change(
    served: Serving, subject: dict[str, Any], dataset: str
) -> None:
    viewer = served.as_role(Role.VIEWER)
    image = images(served, dataset)[0]
    assert viewer.get(f"/v1/datasets/{dataset}").status_code == 200
    assert viewer.get(image["thumbnailUrl"]).status_code == 200
    address = f"/v1/datasets/{dataset}/images/{image['id']}"
    assert viewer.patch(address, json={"caption": "x"}).status_code == 403
    assert viewer.delete(address).status_code == 403
    assert viewer.post("/v1/subjects", json={"name": "x"}).status_code == 403
    assert viewer.post("/v1/datasets").status_code == 403
    assert viewer.patch(f"/v1/subjects/{subject['id']}", json={"name": "x"}).status_code == 403
    files = {"files": ("a.png", png(50))}
    assert viewer.post(f"/v1/datasets/{dataset}/images", files=files).status_code == 403
    member = served.as_role(Role.MEMBER)
    assert member.delete(f"/v1/subjects/{subject['id']}").status_code == 403


def test_another_organization_finds_nothing(
    served: Serving, subject: dict[str, Any], dataset: str
) -> None:
    organization_id = an_organization(served.service.database, served.clock)
    owner = Caller(organization_id=organization_id, role=Role.OWNER)
    key = api_keys.create_api_key(served.service, owner, name="k", role=Role.OWNER).key
    other = served.with_key(key)
    image = f"/v1/datasets/{dataset}/images/{images(served, dataset)[0]['id']}"
    mine = other.post("/v1/datasets").json()["id"]
    moved = image.replace(dataset, mine)
    files = {"files": ("a.png", png(50))}
    answers = [
        other.get(f"/v1/subjects/{subject['id']}"),
        other.patch(f"/v1/subjects/{subject['id']}", json={"name": "x"}),
        other.delete(f"/v1/subjects/{subject['id']}"),
        other.get(f"/v1/datasets/{dataset}"),
        other.delete(f"/v1/datasets/{dataset}"),
        other.get(f"/v1/datasets/{dataset}/report"),
        other.put(f"/v1/datasets/{dataset}/captions", json={}),
        other.post(f"/v1/datasets/{dataset}/images", files=files),
        *(other.get(address) for address in (image, moved)),
        *(other.get(f"{address}/thumbnail") for address in (image, moved)),
        *(other.get(f"{address}/preview") for address in (image, moved)),
        *(other.patch(address, json={"caption": "x"}) for address in (image, moved)),
        *(other.put(f"{address}/mask", files=files) for address in (image, moved)),
        *(other.delete(f"{address}/mask") for address in (image, moved)),
        *(other.delete(address) for address in (image, moved)),
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert other.get("/v1/subjects").json()["items"] == []
