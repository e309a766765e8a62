"""From what was taught to a picture that is looked at, as people do it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from tests.browsing import PHONE, Person, a_browser, a_person, administrator
from tests.server import Server, server

from modelgenerator.cli import demo
from modelgenerator.client import Client

pytestmark = pytest.mark.slow
SETTINGS = {
    "baseModel": "modelgenerator/creatures",
    "captionPrefix": "lvff",
    "epochs": 2,
    "networkDim": 4,
}
DRAWN = 180_000
"""Milliseconds that a picture may take where four people share two cores."""


@dataclass
class Taught:
    """A server with a trained model."""

    server: Server
    training_id: str


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Taught]:
    folder = tmp_path_factory.mktemp("served")
    photos = tmp_path_factory.mktemp("photos")
    demo.draw_photos(photos)
    with server(folder) as it, Client(it.url, it.key) as client:
        training = client.train(photos, settings=SETTINGS, name="Lvff", class_name="creature")
        training.wait()
        yield Taught(it, training.id)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with a_browser() as browser:
        yield browser


def begin(person: Person, taught: Taught, address: str) -> None:
    person.sign_in(*administrator(taught.server))
    person.open(address)


def draw(person: Person, count: int) -> None:
    """Press the button, and wait until all are there."""
    person.page.get_by_role("button", name=re.compile(r"^Draw \d")).click()
    person.page.wait_for_url("**/generate?again=*")
    pictures = person.page.locator("#drawing img.picture")
    expect(pictures).to_have_count(count, timeout=DRAWN)
    expect(person.page.locator("#drawing .badge")).to_have_text("succeeded", timeout=DRAWN)


def test_one_click_draws_and_what_was_drawn_is_drawn_again(taught: Taught, browser: Browser):
    with a_person(browser, taught.server.url) as person:
        begin(person, taught, f"/generate?training={taught.training_id}")
        page = person.page
        expect(page.get_by_label("What the pictures show")).to_have_value(
            "lvff creature in the snow"
        )
        page.get_by_role("button", name="at night", exact=True).click()
        page.get_by_label("How many").fill("2")
        expect(page.get_by_role("button", name="Draw 2 pictures for $0.04")).to_be_visible()
        person.look("generate-form")
        draw(person, 2)
        person.look("generate-drawn")
        alone = page.locator("#drawing img.picture").first
        assert alone.evaluate("image => getComputedStyle(image).imageRendering") == "pixelated"
        assert alone.evaluate("image => image.naturalWidth") == 32

        person.open("/generate")
        page.locator(".gallery summary").first.click()
        person.look("generate-gallery")
        page.get_by_role("link", name="Use these settings again").first.click()
        expect(page.get_by_label("Seed")).not_to_have_value("")
        expect(page.get_by_label("What the pictures show")).to_have_value(
            "lvff creature in the snow at night"
        )
        page.get_by_text("More: size").click()
        page.get_by_role("button", name="Wide").click()
        expect(page.get_by_label("Width")).to_have_value("40")
        page.get_by_text("The same by curl and Python").click()
        expect(page.locator("#code")).to_contain_text("width=40")
        person.look("generate-more")
        person.assert_well()


def test_html_in_a_prompt_stays_text_on_every_page(taught: Taught, browser: Browser):
    with a_person(browser, taught.server.url) as person:
        begin(person, taught, "/generate")
        page, prompt = person.page, "<img src=x onerror=alert(1)> lvff"
        page.on("dialog", lambda _: pytest.fail("the prompt was run"))
        page.get_by_label("What the pictures show").fill(prompt)
        page.get_by_label("How many").fill("1")
        draw(person, 1)
        expect(page.locator("#drawing h2")).to_have_text(prompt)
        page.locator("#drawing h2 a").click()
        expect(page.get_by_role("heading", level=1)).to_have_text(prompt)
        person.look("generate-one")
        person.assert_well()


def test_a_phone_draws_and_compares_a_pack(taught: Taught, browser: Browser):
    with a_person(browser, taught.server.url, PHONE, color_scheme="dark") as person:
        begin(person, taught, "/generate")
        page = person.page
        person.look("generate-phone")
        person.open("/packs/new")
        person.look("pack-new-phone")
        page.get_by_label("Name").fill("Scenes")
        page.get_by_label("Prompts, one a line").fill("lvff creature in the city\na creature")
        page.get_by_role("button", name="Keep this pack").click()
        page.get_by_label("Beside it").select_option("base:modelgenerator/creatures")
        person.look("pack-phone")
        page.get_by_role("button", name="Draw 2 pictures").click()
        page.wait_for_url("**/compare?*")
        expect(page.locator("td img.picture")).to_have_count(4, timeout=DRAWN)
        person.look("pack-compared-phone")
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= PHONE["width"]
        person.assert_well()


def test_too_small_a_balance_is_said_before_anything_is_asked(tmp_path: Path, browser: Browser):
    poor = {"MODELGENERATOR_STARTING_BALANCE": "0.05"}
    with server(tmp_path, **poor) as it, a_person(browser, it.url) as person:
        person.sign_in(*administrator(it))
        person.open("/generate")
        page = person.page
        expect(page.locator(".short-of")).to_have_text(
            "4 pictures cost $0.08, and $0.05 are there."
        )
        person.look("generate-short-of-money")
        page.get_by_role("button", name="Draw 4 pictures").click()
        expect(page.get_by_role("heading", name="The balance is too small")).to_be_visible()
        expect(page.get_by_role("link", name="Add credit").first).to_have_attribute(
            "href", "/billing#add-credit"
        )
        assert any("402" in one for one in person.complaints)  # the browser's own remark
        person.complaints.clear()
        page.get_by_label("How many").fill("2")
        expect(page.get_by_role("button", name="Draw 2 pictures for $0.04")).to_be_visible()
        person.assert_well()
