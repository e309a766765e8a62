"""A training as people begin it: by one click, by hand with a fault, by JSON, by keyboard alone."""

import io
import re
from pathlib import Path

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Page, expect
from tests.browsing import Person, a_browser, a_person, administrator
from tests.server import Server, server

from modelgenerator.diffusion.builtin import world


def _subject(it: Server) -> str:
    """The address of a subject's new training; its pictures are uploaded."""
    files: list[tuple[str, tuple[str, bytes, str]]] = []
    for number, scene in enumerate(("beach", "forest", "city", "meadow"), start=1):
        stream = io.BytesIO()
        pixels_HW3 = world.subject_picture("lvff", scene, number).pixels_HW3
        Image.fromarray(pixels_HW3).save(stream, "PNG")
        files.append(("files", (f"{scene}.png", stream.getvalue(), "image/png")))
    with httpx.Client(base_url=it.url, headers={"Authorization": f"Bearer {it.key}"}) as http:
        body = {"name": "Fuchsi", "kind": "animal", "className": "creature"}
        subject = http.post("/v1/subjects", json=body).json()
        sent = http.post(f"/v1/datasets/{subject['datasetId']}/images", files=files, timeout=60)
        assert sent.status_code in (200, 201), sent.text
    return f"/trainings/new?subject={subject['id']}"


@pytest.mark.slow
def test_a_training_is_written_told_and_started(tmp_path: Path) -> None:
    with server(tmp_path) as it, a_browser() as browser, a_person(browser, it.url) as person:
        address = _subject(it)
        person.sign_in(*administrator(it))
        _a_fault_stands_at_its_field(person, address)
        _json_and_form_follow_each_other(person.page)
        person.look("new-training")
        _started_by_keyboard_alone(person, address)
        person.assert_well()


def _a_fault_stands_at_its_field(person: Person, address: str) -> None:
    person.open(address)
    page = person.page
    expect(page.locator("#train")).to_have_text(re.compile(r"^Train for .*\$"), timeout=30_000)
    page.get_by_text("Quick look").click()
    expect(page.locator("#told")).to_contain_text("60 steps")
    page.get_by_label("Epochs").fill("0")
    fault = page.locator("#set-epochs-fault")
    expect(fault).to_contain_text("epochs must be a whole number from 1 to 10000, not 0")
    expect(page.get_by_label("Epochs")).to_have_attribute("aria-invalid", "true")
    person.look("new-training-fault")
    page.get_by_label("Epochs").fill("2")
    expect(fault).to_be_hidden()


def _json_and_form_follow_each_other(page: Page) -> None:
    page.get_by_text("As JSON", exact=True).click()
    area = page.get_by_label("Settings as JSON")
    expect(area).to_have_value(re.compile('"epochs": 2,'))
    area.fill("{epochs: 4, networkDim: 8, captionPrefix: 'lvff'}")
    expect(page.get_by_label("Epochs")).to_have_value("4")
    expect(page.locator("#set-captionPrefix")).to_have_value("lvff")
    expect(area).to_have_value("{epochs: 4, networkDim: 8, captionPrefix: 'lvff'}")
    expect(page.locator("#told")).to_contain_text("steps")


def _started_by_keyboard_alone(person: Person, address: str) -> None:
    person.open(f"{address}&preset=quick&captionPrefix=lvff&maxSteps=2")
    page = person.page
    expect(page.locator("#told")).to_contain_text("2 steps")
    page.locator("#preset-2").focus()
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.locator("#train:focus").count():
            break
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/trainings/[0-9a-f-]{36}$"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("Fuchsi")
