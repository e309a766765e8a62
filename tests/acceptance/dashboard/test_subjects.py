"""Photos as people bring them: a real server, a real browser."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page
from tests import nasty
from tests.browsing import PHONE, Person, a_browser, a_person, administrator
from tests.nasty_zips import Member, zip_of
from tests.real_photos import CAT, PORTRAIT, WOMAN, real_bytes
from tests.sent_photos import png
from tests.server import Server, server

CHECKED = re.compile(r"Check: \d+ good of \d+")


def checked(person: Person, words: re.Pattern[str] | str = CHECKED) -> None:
    """Wait until the photos were looked at."""
    person.page.get_by_role("heading", name=words).wait_for(timeout=90_000)


def with_a_subject(person: Person, it: Server, name: str) -> None:
    person.sign_in(*administrator(it))
    person.open("/subjects/new")
    person.page.get_by_label("Name", exact=True).fill(name)
    person.page.get_by_label("Class name").fill("woman")
    person.page.get_by_role("button", name="Create").click()
    person.page.locator("#drop").wait_for()


def cards(page: Page) -> int:
    return page.locator("#pictures > li").count()


def test_the_sample_subject_is_looked_at_and_led_to_a_training(tmp_path: Path) -> None:
    with server(tmp_path) as it, a_browser() as browser, a_person(browser, it.url) as person:
        person.sign_in(*administrator(it))
        person.look("home-new")
        person.page.get_by_role("button", name="Try it with the sample subject").click()
        checked(person, "Check: 8 good of 8")
        person.look("subject-sample")
        person.page.get_by_role("link", name="Crop and masks").click()
        person.page.get_by_label("Background").fill("0")
        person.page.wait_for_url("**backgroundMaskShade=0**")
        person.look("subject-masks")
        train = person.page.get_by_role("link", name="Train with this").get_attribute("href")
        assert train is not None
        assert "baseModel=modelgenerator%2Fcreatures&captionPrefix=lvff" in train
        assert "backgroundMaskShade=0" in train
        person.page.reload()
        assert person.page.get_by_label("Background").input_value() == "0"
        person.open("/")
        person.look("home")
        person.assert_well()


def test_bad_files_are_named_while_the_good_ones_appear(tmp_path: Path) -> None:
    archive = zip_of(
        [Member(b"album/in.png", png(90)), Member(b"album/no.png", b"x"), Member(b"._in.png", b"x")]
    )
    files = {
        "good <b>.jpg": nasty.encoded(nasty.photo(400, 400), "JPEG"),
        "good <b>.txt": b"<i>smiling</i>",
        "text.jpg": b"only text",
        "cut.jpg": nasty.encoded(nasty.photo(300, 300), "JPEG")[:900],
        "album.zip": archive,
    }
    with server(tmp_path) as it, a_browser() as browser, a_person(browser, it.url) as person:
        with_a_subject(person, it, "<i>Mia</i>")
        person.look("subject-empty")
        page = person.page
        page.set_input_files(
            "#files",
            [
                {"name": name, "mimeType": "application/octet-stream", "buffer": data}
                for name, data in files.items()
            ],
        )
        checked(person, re.compile("good of 2"))
        assert cards(page) == 2
        told = page.locator("[data-told]").inner_text()
        for name in ("text.jpg", "cut.jpg", "album.zip: no.png"):
            assert name in told
        assert page.locator("#photos").inner_text() == "2 photos"
        assert page.get_by_role("heading", level=1).inner_text() == "<i>Mia</i>"
        page.reload()
        assert page.get_by_label("Caption of good <b>.jpg").input_value() == "<i>smiling</i>"
        page.get_by_label("Caption of in.png").fill("in a train")
        page.get_by_label("Caption of in.png").blur()
        page.get_by_text("Saved").wait_for()
        checked(person)
        person.look("subject-uploaded")
        person.assert_well()


def test_a_connection_that_is_cut_is_tried_again(tmp_path: Path) -> None:
    with server(tmp_path) as it, a_browser() as browser, a_person(browser, it.url) as person:
        with_a_subject(person, it, "Mia")
        page, cut = person.page, [0]

        def twice(route) -> None:
            cut[0] += 1
            if cut[0] <= 2:
                route.abort("connectionreset")
            else:
                route.continue_()

        page.route("**/pictures", twice)
        page.set_input_files(
            "#files",
            [
                {"name": f"{side}.png", "mimeType": "image/png", "buffer": png(side)}
                for side in range(50, 60)
            ],
        )
        checked(person)
        assert cards(page) == 10
        assert cut[0] > 2


def test_a_phone_and_the_dark(tmp_path: Path) -> None:
    photos = [
        {"name": name, "mimeType": "image/jpeg", "buffer": real_bytes(name)}
        for name in (PORTRAIT, WOMAN, CAT)
    ]
    with server(tmp_path) as it, a_browser() as browser:
        with a_person(browser, it.url, PHONE) as person:
            with_a_subject(person, it, "Mia")
            person.page.set_input_files("#files", photos)
            checked(person)
            person.look("subject-phone")
            width = person.page.evaluate("document.documentElement.scrollWidth")
            assert width <= PHONE["width"]
            person.page.locator(".photo a").first.click()
            person.page.wait_for_load_state("networkidle")
            person.look("picture-phone")
            person.assert_well()
        with a_person(browser, it.url, color_scheme="dark") as person:
            person.sign_in(*administrator(it))
            person.open("/subjects")
            person.look("subjects-dark")
            person.page.get_by_role("link", name="Mia").click()
            checked(person)
            person.look("subject-dark")
            person.assert_well()


def test_without_a_script_photos_come_in_and_everything_is_deleted(tmp_path: Path) -> None:
    with (
        server(tmp_path) as it,
        a_browser() as browser,
        a_person(browser, it.url, java_script_enabled=False) as person,
    ):
        with_a_subject(person, it, "Mia")
        page = person.page
        page.set_input_files(
            "#files",
            [
                {"name": "a.png", "mimeType": "image/png", "buffer": png(300, 300)},
                {"name": "b.jpg", "mimeType": "image/jpeg", "buffer": b"only text"},
            ],
        )
        page.get_by_role("button", name="Upload").click()
        page.get_by_text("It is not a jpg").wait_for()
        assert cards(page) == 1
        page.get_by_role("link", name="See what is said of them").click()
        checked(person)
        page.go_back()
        page.get_by_text("Delete everything of Mia").click()
        page.get_by_role("button", name="Delete everything").click()
        page.wait_for_url("**/deletions/**")


@pytest.mark.slow
def test_five_hundred_photos_are_scrolled_through(tmp_path: Path) -> None:
    with server(tmp_path) as it, a_browser() as browser, a_person(browser, it.url) as person:
        with it.http() as http:
            subject = http.post("/v1/subjects", json={"name": "Many"}).json()
            files = [
                ("files", (f"{number}.png", png(30 + number % 100, 30 + number // 100)))
                for number in range(500)
            ]
            for start in range(0, 500, 100):
                sent = http.post(
                    f"/v1/datasets/{subject['datasetId']}/images",
                    files=files[start : start + 100],
                    timeout=300,
                )
                assert sent.status_code == 201, sent.text
        person.sign_in(*administrator(it))
        asked: list[str] = []
        person.page.on(
            "request",
            lambda request: asked.append(request.url) if "thumbnail" in request.url else None,
        )
        person.page.route("**/check", lambda route: route.abort())
        person.open(f"/subjects/{subject['id']}")
        assert cards(person.page) == 500
        assert len(asked) < 200
        person.page.locator("#pictures > li").last.scroll_into_view_if_needed()
        last = person.page.locator("#pictures > li img").last
        last.evaluate("image => image.decode()")
        assert last.evaluate("image => image.naturalWidth") > 0
