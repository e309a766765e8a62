"""From the first sign-in to a picture of one's subject, by somebody who has read nothing."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.browsing import a_browser, a_person, administrator
from tests.server import server

SECONDS = 1_000
"""Milliseconds, as the browser counts."""


def _training_ends(page: Page) -> None:
    badge = page.locator("main .badge").first
    expect(badge).to_have_text(re.compile("succeeded|failed"), timeout=300 * SECONDS)
    expect(badge).to_have_text("succeeded")


@pytest.mark.slow
def test_from_the_sample_to_its_pictures_with_the_keyboard_alone(tmp_path: Path) -> None:
    with server(tmp_path) as it, a_browser() as browser, a_person(browser, it.url) as person:
        page = person.page
        person.sign_in(*administrator(it))
        person.look("first-home")
        person.press(page.get_by_role("button", name="Try it with the sample subject"))
        page.wait_for_url("**/subjects/*")
        expect(page.get_by_text("8 good of 8")).to_be_visible(timeout=60 * SECONDS)
        person.look("first-subject")
        person.press(page.get_by_role("link", name="Train", exact=True).first)
        page.wait_for_url("**/trainings/new*")
        # one decision more than is needed: the recommended preset takes minutes
        person.press(page.get_by_role("radio", name=re.compile("Recommended")), "ArrowRight")
        start = page.get_by_role("button", name=re.compile(r"^Train for"))
        expect(page.get_by_text(re.compile("60 steps"))).to_be_visible(timeout=60 * SECONDS)
        person.look("first-new-training")
        person.press(start)
        page.wait_for_url(re.compile(r"/trainings/[0-9a-f-]{36}"))
        page.reload()
        _training_ends(page)
        person.look("first-training")
        person.press(page.locator("main").get_by_role("link", name="Generate"))
        page.wait_for_url("**/generate?*")
        expect(page.get_by_label("What the pictures show")).to_have_value(re.compile("^lvff "))
        person.press(page.get_by_role("button", name=re.compile(r"^Draw 4 pictures for \$0\.08")))
        pictures = page.locator("#drawing img, .drawing img, main .gallery img")
        expect(pictures.nth(3)).to_be_visible(timeout=120 * SECONDS)
        person.look("first-pictures")
        person.assert_well()
