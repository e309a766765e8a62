"""A flow from its first fault to a visitor's pictures: a real server, a real browser."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect
from tests.browsing import PHONE, a_browser, a_person, administrator
from tests.server import server

from modelgenerator.cli import demo
from modelgenerator.service.dashboard.flow_examples import example_named

QUICK = example_named("train").text.replace(
    "captionPrefix: 'lvff creature'", "captionPrefix: 'lvff creature', epochs: 2"
)


def write(person, text):
    """Into the editor, as somebody who pastes does it."""
    person.page.evaluate(
        "text => { const view = document.querySelector('#definition').editorView;"
        " view.dispatch({changes: {from: 0, to: view.state.doc.length, insert: text}}); }",
        text,
    )


@pytest.mark.slow
def test_a_flow_is_written_mended_run_and_published(tmp_path: Path) -> None:
    with server(tmp_path) as it, a_browser() as browser:
        demo.draw_photos(tmp_path / "photos")
        photos = sorted((tmp_path / "photos").glob("*.png"))[:5]
        with a_person(browser, it.url) as owner:
            owner.sign_in(*administrator(it))
            owner.open("/flows")
            owner.look("flows-none")
            owner.page.get_by_role("link", name="New flow").first.click()
            owner.page.get_by_role("link", name="Train and show").click()
            expect(owner.page.locator(".cm-editor")).to_be_visible()
            owner.look("flow-new")
            write(owner, QUICK.replace("'ImageGenerator'", "'ImageGenerater'"))
            expect(owner.page.get_by_text("1 thing to mend")).to_be_visible()
            expect(owner.page.locator(".cm-lintRange-error")).to_have_text("'ImageGenerater'")
            expect(owner.page.get_by_text("Did you mean ImageGenerator?").first).to_be_visible()
            owner.look("flow-fault")
            write(owner, QUICK)
            expect(owner.page.get_by_role("heading", name="What a run costs")).to_be_visible()
            owner.page.get_by_role("button", name="Save flow").click()
            expect(owner.page.get_by_role("heading", name="Run", exact=True)).to_be_visible()
            owner.look("flow-run")
            owner.page.on("dialog", lambda dialog: dialog.accept())
            owner.page.get_by_role("button", name="Make it public").click()
            expect(owner.page.get_by_text("Anybody with the link can run it now.")).to_be_visible()
            owner.look("flow-public")
            link = owner.page.locator(".share a").get_attribute("href")
            assert link is not None
            with a_person(browser, it.url, PHONE, has_touch=True) as visitor:
                visit(visitor, link, photos)
                visitor.assert_well()
            owner.open("/flows")
            owner.look("flows")
            owner.page.locator("a[href^='/runs/']").click()
            expect(owner.page.get_by_text("a visitor")).to_be_visible()
            owner.page.get_by_text("ImageGenerator").last.click()
            owner.look("run-done")
            owner.assert_well()


def visit(visitor, link, photos):
    """Fill the form in, send it twice, and wait for the pictures."""
    page = visitor.page
    visitor.open(link)
    page.set_input_files("input[type=file]", photos[:2])
    expect(page.get_by_text("2 chosen: 2 more needed")).to_be_visible()
    page.set_input_files("input[type=file]", photos[2:])
    expect(page.get_by_text("5 chosen")).to_be_visible()
    page.get_by_role("button", name="Remove").first.click()
    expect(page.locator(".chosen-pictures li")).to_have_count(4)
    page.wait_for_function(
        "[...document.querySelectorAll('.chosen-pictures img')].every(i => i.naturalWidth)"
    )
    visitor.look("public-form-phone")
    page.get_by_role("button", name="Make the pictures").dblclick()
    page.wait_for_url(re.compile(r"/runs/"))
    visitor.look("public-run-phone")
    expect(page.get_by_text("Done.")).to_be_visible(timeout=240_000)
    expect(page.locator(".gallery img")).to_have_count(2)
    expect(page.get_by_role("link", name="Download pictures.zip")).to_be_visible()
    visitor.look("public-done-phone")
