"""The README's pictures of the dashboard: a real server, a subject that is really taught.

    make screenshots        # or: python docs/screenshots/take.py; some minutes

In: nothing but this repository and a Chromium.  Out: the pictures beside this file.  It walks the
way of somebody who sees the dashboard for the first time.
"""

import re
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from tests.browsing import PHONE, a_browser, a_person, administrator  # noqa: E402
from tests.server import Server, server  # noqa: E402

MINUTE = 60_000
"""Milliseconds."""
_WINDOW = {"width": 1200, "height": 780}


def main() -> None:
    """Take them all."""
    with (
        tempfile.TemporaryDirectory() as folder,
        server(Path(folder)) as it,
        a_browser() as browser,
    ):
        for take in (_the_first_way, _in_the_dark, _a_visitor):
            take(it, browser)


def _the_first_way(it: Server, browser: Browser) -> None:
    """Sample, training, pictures."""
    with a_person(browser, it.url, _WINDOW) as person:
        page = person.page
        person.sign_in(*administrator(it))
        page.get_by_role("button", name="Try it with the sample subject").click()
        expect(page.get_by_text("8 good of 8")).to_be_visible(timeout=MINUTE)
        person.open(page.url.removeprefix(it.url))  # without the sentence that it is here
        expect(page.get_by_text("8 good of 8")).to_be_visible(timeout=MINUTE)
        _keep(page, "subject")
        page.get_by_role("link", name="Train", exact=True).first.click()
        page.get_by_label("Sample every").evaluate("one => one.closest('details').open = true")
        page.get_by_label("Sample every").fill("60")
        page.get_by_label("Sample prompts").fill(
            "lvff creature in the snow\nlvff creature at night"
        )
        expect(page.get_by_text("600 steps")).to_be_visible(timeout=MINUTE)
        page.get_by_role("button", name=re.compile("^Train for")).click()
        page.wait_for_url(re.compile(r"/trainings/[0-9a-f-]{36}"))
        expect(page.locator("#samples img").nth(5)).to_be_visible(timeout=15 * MINUTE)
        page.reload()
        _keep(page, "training")
        badge = page.locator("main .badge").first
        expect(badge).to_have_text("succeeded", timeout=15 * MINUTE)
        page.locator("main").get_by_role("link", name="Generate").click()
        page.get_by_role("button", name=re.compile("^Draw")).click()
        expect(page.locator("#drawing .badge")).to_have_text("succeeded", timeout=3 * MINUTE)
        _keep(page, "generate")


def _in_the_dark(it: Server, browser: Browser) -> None:
    """The editor of flows."""
    with a_person(browser, it.url, _WINDOW, color_scheme="dark") as person:
        person.sign_in(*administrator(it))
        person.open("/flows/new?start=train")
        expect(person.page.locator(".cm-editor")).to_be_visible()
        person.page.wait_for_timeout(1_500)  # the graph of its steps is drawn
        _keep(person.page, "flow")


def _a_visitor(it: Server, browser: Browser) -> None:
    """A published flow on a phone, without an account."""
    with a_person(browser, it.url, _WINDOW) as owner:
        owner.sign_in(*administrator(it))
        owner.open("/flows/new?start=train")
        owner.page.get_by_role("button", name="Save flow").click()
        owner.page.wait_for_url(re.compile(r"/flows/[0-9a-f-]{36}"))
        owner.page.on("dialog", lambda asked: asked.accept())
        owner.page.get_by_role("button", name="Make it public").click()
        address = owner.page.locator("a[href*='/f/']").first.get_attribute("href")
        assert address is not None
    with a_person(browser, it.url, PHONE) as visitor:
        visitor.open(address.removeprefix(it.url))
        _keep(visitor.page, "public-flow")


def _keep(page: Page, name: str) -> None:
    page.evaluate("window.scrollTo(0, 0)")
    page.wait_for_timeout(500)
    page.screenshot(path=HERE / f"{name}.png")


if __name__ == "__main__":
    main()
