"""What becomes of the files that a person sends."""

import sqlite3
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx import Response
from PIL import Image
from tests import nasty
from tests.nasty_zips import Member, zip_of
from tests.sent_photos import grey, images, png, send, statuses, stored
from tests.serving import Serving, serving

from modelgenerator.service.app.limits import RequestLimits
from modelgenerator.service.app.web import create_app
from modelgenerator.service.errors import StorageFull
from modelgenerator.service.operations.uploads import free_label


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("served"), upload_files=60, dataset_pictures=40) as served:
        yield served


@pytest.fixture
def dataset(served: Serving) -> str:
    return served.http.post("/v1/subjects", json={"name": "Ada"}).json()["datasetId"]


def test_each_file_is_answered_and_one_that_cannot_be_used_undoes_nothing(
    served: Serving, dataset: str
) -> None:
    answer = send(
        served,
        dataset,
        ("a.png", png(50)),
        ("broken.jpg", nasty.jpg()[:200]),
        ("empty.png", b""),
        ("b.png", png(51)),
    )
    assert answer.status_code == 201
    said = answer.json()
    assert (said["accepted"], said["refused"]) == (2, 2)
    assert [file["status"] for file in said["files"]] == [
        "accepted",
        "refused",
        "refused",
        "accepted",
    ]
    assert "breaks off" in said["files"][1]["reason"]
    assert [image["label"] for image in images(served, dataset)] == ["a.png", "b.png"]


def test_where_nothing_can_be_used_it_is_a_problem_that_names_every_file(
    served: Serving, dataset: str
) -> None:
    answer = send(served, dataset, ("a.jpg", b"<svg/>"), ("b.jpg", b"MZ\x90\0" + bytes(99)))
    assert answer.status_code == 422
    assert answer.json()["code"] == "nothingUsable"
    assert [file["name"] for file in answer.json()["files"]] == ["a.jpg", "b.jpg"]
    assert images(served, dataset) == []


def test_the_same_file_is_known_without_being_decoded(served: Serving, dataset: str) -> None:
    first = send(served, dataset, ("a.jpg", nasty.jpg()))
    again = send(served, dataset, ("b.jpg", nasty.jpg()))
    assert again.status_code == 200
    [file] = again.json()["files"]
    assert (file["status"], file["name"]) == ("duplicate", "a.jpg")
    assert file["imageId"] == first.json()["files"][0]["imageId"]
    assert len(images(served, dataset)) == 1


def test_the_same_pixels_in_another_file_are_the_same_picture(
    served: Serving, dataset: str
) -> None:
    said = send(served, dataset, ("a.png", nasty.png()), ("b.png", nasty.png(compress_level=0)))
    assert [file["status"] for file in said.json()["files"]] == ["accepted", "duplicate"]


def test_fifty_times_the_same_file_is_one_picture(served: Serving, dataset: str) -> None:
    said = send(served, dataset, *[(f"{n}.jpg", nasty.jpg()) for n in range(50)]).json()
    assert (said["accepted"], said["duplicate"]) == (1, 49)


def test_labels_are_one_of_a_kind_whatever_their_endings(served: Serving, dataset: str) -> None:
    for width, name in ((50, "a.png"), (51, "A.png"), (52, "a.jpg"), (53, "a (2).png")):
        send(served, dataset, (name, png(width)))
    labels = [image["label"] for image in images(served, dataset)]
    assert labels == ["a.png", "A (2).png", "a (3).jpg", "a (2) (2).png"]


def test_captions_and_masks_go_to_the_photos_of_the_same_names_in_any_order(
    served: Serving, dataset: str
) -> None:
    answer = send(
        served,
        dataset,
        ("a.mask.png", grey(50)),
        ("a.txt", b"  Ada\n smiles "),
        ("a.png", png(50)),
        ("b.png", png(51)),
    )
    assert answer.json()["accepted"] == 4
    first, second = images(served, dataset)
    assert (first["caption"], first["hasMask"]) == ("Ada smiles", True)
    assert (second["caption"], second["hasMask"]) == (None, False)


def test_captions_and_masks_go_to_photos_that_were_sent_earlier(
    served: Serving, dataset: str
) -> None:
    send(served, dataset, ("a.png", png(50)))
    assert send(served, dataset, ("a.txt", b"one"), ("a.mask.png", grey(50))).status_code == 201
    assert send(served, dataset, ("a.txt", b"two")).status_code == 201
    assert send(served, dataset, ("a.txt", b"two")).json()["files"][0]["status"] == "duplicate"
    [image] = images(served, dataset)
    assert (image["caption"], image["hasMask"]) == ("two", True)


def test_a_caption_of_a_photo_that_is_renamed_finds_it(served: Serving, dataset: str) -> None:
    send(served, dataset, ("a.png", png(50)))
    send(served, dataset, ("a.png", png(51)), ("a.txt", b"the second"))
    assert [image["caption"] for image in images(served, dataset)] == [None, "the second"]


def test_a_mask_that_is_replaced_leaves_no_file(served: Serving, dataset: str) -> None:
    send(served, dataset, ("a.png", png(50)), ("a.mask.png", grey(50)))
    before = len(stored(served))
    send(served, dataset, ("a.mask.png", grey(50, shade=200)))
    assert len(stored(served)) == before


@pytest.mark.parametrize(
    ("mask", "says"),
    [(grey(50, shade=0), "black all over"), (grey(49), "as large as"), (png(50), "it has colours")],
)
def test_a_mask_that_does_not_fit_is_refused(
    served: Serving, dataset: str, mask: bytes, says: str
) -> None:
    answer = send(served, dataset, ("a.png", png(50)), ("a.mask.png", mask))
    [refused] = [file for file in answer.json()["files"] if file["status"] == "refused"]
    assert says in refused["reason"]
    assert not images(served, dataset)[0]["hasMask"]


def test_what_belongs_to_no_photo_is_told(served: Serving, dataset: str) -> None:
    said = send(served, dataset, ("a.png", png(50)), ("b.txt", b"x"), ("c.mask.png", grey(50)))
    refused = [file for file in said.json()["files"] if file["status"] == "refused"]
    assert [(file["name"], file["code"]) for file in refused] == [
        ("b.txt", "noPicture"),
        ("c.mask.png", "noPicture"),
    ]
    assert all("portrait.txt" in file["hint"] for file in refused)


@pytest.mark.parametrize(
    ("words", "caption"),
    [
        (b"{} $.store.secret @Map", "{} $.store.secret @Map"),
        ("Ünï".encode("utf-16"), "Ünï"),
        (b"caf\xe9 noir", "café noir"),
        (b"null\0byte", "null byte"),
        (b" \n", None),
    ],
)
def test_captions_are_text_and_nothing_else(
    served: Serving, dataset: str, words: bytes, caption: str | None
) -> None:
    send(served, dataset, ("a.png", png(50)), ("a.txt", words))
    assert images(served, dataset)[0]["caption"] == caption


def test_a_caption_that_is_cut_is_told(served: Serving, dataset: str) -> None:
    said = send(served, dataset, ("a.png", png(50)), ("a.txt", b"x" * 1_000_000)).json()
    assert "cut after 10,000" in said["files"][-1]["notices"][0]
    assert len(images(served, dataset)[0]["caption"]) == 10_000


def test_an_archive_is_read_with_its_captions_and_masks(served: Serving, dataset: str) -> None:
    archive = zip_of(
        [
            Member(b"me/a.txt", b"Ada"),
            Member(b"me/a.png", png(50)),
            Member(b"me/a.mask.png", grey(50)),
            Member(b"__MACOSX/._a.png", b"x"),
            Member(b"me/.DS_Store", b"x"),
        ]
    )
    said = send(served, dataset, ("photos.zip", archive), ("Thumbs.db", b"x")).json()
    assert (said["accepted"], said["ignored"]) == (3, 3)
    ignored = [file["name"] for file in said["files"] if file["status"] == "ignored"]
    assert sorted(ignored) == ["Thumbs.db", "__MACOSX/._a.png", "me/.DS_Store"]
    [image] = images(served, dataset)
    assert (image["label"], image["caption"], image["hasMask"]) == ("a.png", "Ada", True)


def test_no_message_names_a_path_of_the_server(served: Serving, dataset: str) -> None:
    data_dir = str(served.service.config.data_dir)
    for file in nasty.ARCHIVES:
        answer = send(served, dataset, (file.name, file.make()))
        assert data_dir not in answer.text


@pytest.mark.parametrize("file", nasty.PHOTOS, ids=lambda file: file.name[:40])
def test_nasty_photos_get_what_they_deserve(
    served: Serving, dataset: str, file: nasty.Nasty
) -> None:
    answer = send(served, dataset, (file.name, file.make()))
    if file.outcome == "refused":
        assert answer.status_code == 422
        assert file.says in answer.json()["files"][0]["reason"]
        assert images(served, dataset) == []
        return
    assert answer.status_code == 201
    said = answer.json()["files"][0]
    assert any(file.says in notice for notice in said["notices"]) or not file.says
    [image] = images(served, dataset)
    assert "\n" not in image["label"]
    thumbnail = served.http.get(image["thumbnailUrl"])
    assert thumbnail.status_code == 200
    assert thumbnail.headers["content-type"] == "image/webp"


@pytest.mark.parametrize("file", nasty.ARCHIVES, ids=lambda file: file.name[:40])
def test_nasty_archives_get_what_they_deserve(
    served: Serving, dataset: str, file: nasty.Nasty
) -> None:
    answer = send(served, dataset, (f"{file.name.removesuffix('.zip')}.zip", file.make()))
    before = images(served, dataset)
    if file.outcome == "refused":
        assert answer.status_code in (413, 422)
        assert before == []
    else:
        assert answer.status_code == 201
        refused = [one for one in answer.json()["files"] if one["status"] == "refused"]
        assert bool(refused) == (file.outcome == "remarked")


def test_what_is_stored_holds_the_pixels_and_nothing_else(served: Serving, dataset: str) -> None:
    secret = b"SECRETPLACE"
    exif = Image.Exif()
    exif[0x010E] = secret.decode()
    photo = nasty.jpg(exif=exif, comment=secret) + secret
    assert photo.count(secret) == 3
    send(served, dataset, ("a.jpg", photo))
    assert not any(secret in path.read_bytes() for path in stored(served))


def test_names_are_labels_and_never_paths(served: Serving, dataset: str) -> None:
    send(served, dataset, ("../../../etc/passwd.png", png(50)), ("C:\\x\\..\\y.png", png(51)))
    labels = [image["label"] for image in images(served, dataset)]
    assert labels == ["etc - passwd.png", "y.png"]
    assert not any("passwd" in str(path) for path in stored(served))


def test_two_uploads_at_once_lose_nothing_and_keep_nothing_twice(
    served: Serving, dataset: str
) -> None:
    files = [("same.png", png(50 + n)) for n in range(8)]
    answers: list[Response] = []
    threads = [
        threading.Thread(target=lambda: answers.append(send(served, dataset, *files)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(answer.json()["accepted"] for answer in answers) == 8
    there = images(served, dataset)
    assert len({image["label"] for image in there}) == 8
    assert [image["position"] for image in there] == list(range(8))


def test_what_was_kept_before_the_disk_was_full_stays_and_nothing_is_half(
    served: Serving, dataset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = len(stored(served))
    files = served.service.files
    put, calls = type(files).put, []

    def full_at_the_third(self: object, key: str, content: Any) -> Any:
        calls.append(key)
        if len(calls) == 3:
            raise StorageFull
        return put(self, key, content)  # type: ignore[arg-type]

    monkeypatch.setattr(type(files), "put", full_at_the_third)
    sent = [(f"{n}.png", png(50 + n)) for n in range(4)]
    answer = send(served, dataset, *sent)
    assert (answer.status_code, answer.json()["code"]) == (507, "storageFull")
    assert "2 of 4 files were kept" in answer.json()["detail"]
    assert len(images(served, dataset)) == 2
    assert len(stored(served)) == before + 2
    monkeypatch.undo()
    assert send(served, dataset, *sent).json()["duplicate"] == 2


def test_a_dataset_has_no_more_pictures_than_it_may(served: Serving, dataset: str) -> None:
    said = send(served, dataset, *[(f"{n}.png", png(50 + n)) for n in range(41)]).json()
    assert (said["accepted"], said["refused"]) == (40, 1)
    assert said["files"][-1]["code"] == "tooLarge"


def test_an_upload_has_no_more_files_than_it_may(served: Serving, dataset: str) -> None:
    assert send(served, dataset, *[(f"{n}.txt", b"x") for n in range(61)]).status_code == 413
    names = [b"%d.txt" % n for n in range(35)]
    archive = zip_of([Member(name, b"x") for name in names])
    answer = send(served, dataset, ("a.zip", archive), ("b.zip", archive))
    assert answer.status_code == 413
    assert images(served, dataset) == []


def test_an_organization_stores_no_more_than_it_may(tmp_path: Path) -> None:
    with serving(tmp_path, storage_gigabytes=1) as served:
        dataset = served.http.post("/v1/datasets").json()["id"]
        send(served, dataset, ("a.png", png(50)))
        database = sqlite3.connect(tmp_path / "modelgenerator.sqlite")
        database.execute("UPDATE dataset_pictures SET byte_count = 999999999")
        database.commit()
        database.close()
        answer = send(served, dataset, ("b.png", png(51)))
        assert (answer.status_code, answer.json()["code"]) == (507, "quotaReached")
        assert "0 of 1 files were kept" in answer.json()["detail"]


def test_nothing_is_left_of_an_upload_on_its_way(served: Serving, dataset: str) -> None:
    send(served, dataset, ("a.png", png(50)), ("b.jpg", b"?"), ("a.mask.png", grey(50)))
    assert list((served.service.config.data_dir / "incoming").iterdir()) == []


def test_what_a_killed_process_left_of_an_upload_is_removed_in_a_day(
    served: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = served.clock.now
    left = served.service.spool_folder()
    (left / "a").write_bytes(b"x")
    assert served.service.forget_spooled(timedelta(days=36_500)) == 0
    monkeypatch.setattr(served.clock, "now", datetime.now(UTC) + timedelta(days=2))
    assert served.service.forget_spooled(timedelta(days=1)) == 1
    monkeypatch.setattr(served.clock, "now", now)
    assert not left.exists()


def test_a_file_that_is_too_long_is_refused_and_the_others_are_not(tmp_path: Path) -> None:
    with serving(tmp_path, upload_file_megabytes=1) as served:
        dataset = served.http.post("/v1/datasets").json()["id"]
        answer = send(served, dataset, ("a.png", png(50)), ("b.jpg", bytes(1_000_001)))
        assert statuses(answer) == {"a.png": "accepted", "b.jpg": "refused"}


def _raw(served: Serving, dataset: str, body: bytes, kind: str) -> Response:
    return served.http.post(
        f"/v1/datasets/{dataset}/images", content=body, headers={"Content-Type": kind}
    )


FORM = "multipart/form-data; boundary=b"


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{}", "application/json", 415),
        (b"", "multipart/form-data", 415),
        (b"", FORM, 400),
        (b"--b--\r\n", FORM, 400),
        (b"--b\r\nContent-Disposition: form-data; name=x\r\n\r\n1\r\n--b--\r\n", FORM, 400),
        (b"--b\r\nContent-Disposition: form-data; name=x; filename=a.png\r\n\r\nha", FORM, 400),
        (b"no form at all", FORM, 400),
        (b"--b\r\nX: " + b"y" * 20_000 + b"\r\n\r\n--b--\r\n", FORM, 400),
        (b'--b\r\nContent-Disposition: form-data; filename=""\r\n\r\n\r\n--b--\r\n', FORM, 400),
    ],
)
def test_what_is_no_form_of_files_is_refused(
    served: Serving, dataset: str, body: bytes, kind: str, status: int
) -> None:
    answer = _raw(served, dataset, body, kind)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert list((served.service.config.data_dir / "incoming").iterdir()) == []


def test_an_upload_that_breaks_off_leaves_nothing_and_can_be_sent_again(
    served: Serving, dataset: str
) -> None:
    part = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
    whole = part + png(50) + b"\r\n--b--\r\n"
    assert _raw(served, dataset, whole[:-200], FORM).status_code == 400
    assert images(served, dataset) == []
    assert _raw(served, dataset, whole, FORM).status_code == 201
    assert _raw(served, dataset, whole, FORM).status_code == 200
    assert len(images(served, dataset)) == 1


@pytest.mark.parametrize("is_said", [True, False])
def test_a_body_that_is_too_large_is_refused_and_leaves_nothing(
    served: Serving, dataset: str, is_said: bool
) -> None:
    app = create_app(served.service, RequestLimits(upload_bytes=100_000))
    client = TestClient(app, headers=served.http.headers, raise_server_exceptions=False)
    part = b'--b\r\nContent-Disposition: form-data; name="f"; filename="a.png"\r\n\r\n'
    body = part + bytes(1_000_000)
    answer = client.post(
        f"/v1/datasets/{dataset}/images",
        content=body if is_said else (body[at : at + 10_000] for at in range(0, len(body), 10_000)),
        headers={"Content-Type": FORM},
    )
    assert (answer.status_code, answer.json()["code"]) == (413, "tooLarge")
    assert list((served.service.config.data_dir / "incoming").iterdir()) == []


def test_a_dataset_that_is_not_there_is_told_before_the_body_is_read(served: Serving) -> None:
    read: list[int] = []

    def body() -> Iterator[bytes]:
        for n in range(100):
            read.append(n)
            yield bytes(1_000_000)

    answer = served.http.post(
        "/v1/datasets/01a21293-b600-700c-80a0-1c07fc0a841d/images",
        content=body(),
        headers={"Content-Type": FORM},
    )
    assert answer.status_code == 404
    assert list((served.service.config.data_dir / "incoming").glob("*")) == []


def test_one_mask_is_set_and_taken_away(served: Serving, dataset: str) -> None:
    send(served, dataset, ("a.png", png(50)))
    [image] = images(served, dataset)
    address = f"/v1/datasets/{dataset}/images/{image['id']}/mask"
    assert served.http.put(address, files={"file": ("m.png", grey(50))}).status_code == 204
    assert images(served, dataset)[0]["hasMask"]
    wrong = served.http.put(address, files={"file": ("m.png", grey(49))})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "unusableMask")
    two = served.http.put(address, files=[("f", ("m", grey(50))), ("f", ("n", grey(50)))])
    assert two.status_code == 400
    assert served.http.delete(address).status_code == 204
    assert not images(served, dataset)[0]["hasMask"]


def test_a_label_that_is_taken_is_numbered() -> None:
    assert free_label("a.jpg", []) == "a.jpg"
    assert free_label("a.jpg", ["a.png"]) == "a (2).jpg"
    assert free_label("É.jpg", ["é.png", "é (2).jpg"]) == "É (3).jpg"
    assert free_label("photo", ["photo.jpg"]) == "photo (2)"
