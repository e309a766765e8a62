"""Trainings as people watch them: a real server that trains, a real browser that looks."""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect
from tests.browsing import PHONE, Person, a_browser, a_person, administrator
from tests.server import Server, server
from tests.taught import photo_files

PROMPTS = ["lvff creature in the snow", "lvff creature on a beach"]
PATIENCE = 240_000
"""Milliseconds."""


def a_dataset(http: httpx.Client) -> str:
    dataset = http.post("/v1/subjects", json={"name": "Luff"}).json()["datasetId"]
    files = [("files", file) for file in photo_files().items()]
    http.post(f"/v1/datasets/{dataset}/images", files=files).raise_for_status()
    return dataset


def begun(http: httpx.Client, dataset: str, name: str, **settings: object) -> str:
    asked = {"baseModel": "creatures", "captionPrefix": "lvff", "seed": 7, **settings}
    made = http.post("/v1/trainings", json={"datasetId": dataset, "name": name, "settings": asked})
    assert made.status_code == 202, made.text
    return made.json()["id"]


def until(http: httpx.Client, id: str, is_so: Callable[[dict[str, Any]], bool]) -> None:
    give_up = time.monotonic() + PATIENCE / 1000
    while not is_so(seen := http.get(f"/v1/trainings/{id}").json()):
        assert time.monotonic() < give_up, seen
        time.sleep(0.2)


def step_of(seen: dict[str, Any]) -> int:
    return (seen["progress"] or {}).get("step", 0)


def signed_in(person: Person, it: Server) -> Person:
    person.page.set_default_timeout(PATIENCE)
    person.sign_in(*administrator(it))
    return person


@pytest.mark.slow
def test_a_training_is_watched_with_a_reload_in_the_middle_and_two_are_compared(
    tmp_path: Path,
) -> None:
    with server(tmp_path) as it, it.http() as http, a_browser() as browser:
        dataset = a_dataset(http)
        how: dict[str, object] = {"epochs": 4, "sampleEvery": 2, "samplePrompts": PROMPTS}
        first = begun(http, dataset, "Prodigy", **how)
        second = begun(http, dataset, "AdamW", optimizer="AdamW", learningRate=0.001, **how)
        with a_person(browser, it.url) as person:
            page = signed_in(person, it).page
            watch_the_machine(person)
            person.open(f"/trainings/{first}")
            latest = page.locator("[data-fact='loss.latest']")
            expect(latest).not_to_have_text("none", timeout=PATIENCE)
            person.look("training-running")
            before = latest.inner_text()
            page.reload()
            assert latest.inner_text() != "none", before
            expect(page.locator("canvas")).to_have_count(2)
            page.get_by_text("The model is ready.").wait_for()
            page.locator("#samples .samples img").nth(3).wait_for()
            page.get_by_role("link", name="Generate", exact=True).nth(1).wait_for()
            # the whole page came again, and draws its charts when it has their points
            expect(page.locator("canvas")).to_have_count(2)
            assert page.locator("#status[hx-trigger]").count() == 0
            person.look("training-done")
            with page.expect_download() as download:
                page.get_by_role("link", name="Download (kohya)").click()
            assert download.value.suggested_filename.endswith(".kohya.safetensors")
            until(http, second, lambda seen: seen["finishedAt"] is not None)
            compare_and_draw(person)
            person.open("/models")
            person.look("models")
            person.assert_well()
        for name, more in (("dark", {"color_scheme": "dark"}), ("phone", {"viewport": PHONE})):
            with a_person(browser, it.url, **more) as person:  # type: ignore[arg-type]
                page = signed_in(person, it).page
                for path, what in (
                    ("/trainings", "trainings"),
                    (f"/trainings/{first}", "training-done"),
                    (f"/trainings/compare?id={first}&id={second}", "compare"),
                    ("/models", "models"),
                    ("/cluster", "cluster"),
                ):
                    person.open(path)
                    page.wait_for_load_state("networkidle")
                    person.look(f"{what}-{name}")
                    assert page.evaluate("document.body.scrollWidth <= innerWidth"), what
                person.assert_well()


def watch_the_machine(person: Person) -> None:
    person.open("/cluster")
    working = person.page.locator(".machine:not(.unplaced)").get_by_role(
        "link", name=re.compile("Prodigy|AdamW")
    )
    working.first.wait_for()  # a cluster has room for both
    person.look("cluster")


def compare_and_draw(person: Person) -> None:
    page = person.page
    person.open("/trainings")
    page.get_by_label("Compare Prodigy").check()
    page.get_by_label("Compare AdamW").check()
    person.look("trainings")
    page.get_by_role("button", name="Compare").click()
    page.get_by_role("heading", name="Compare 2 trainings").wait_for()
    assert page.get_by_role("row", name=re.compile("^optimizer (AdamW|Prodigy)")).count() == 1
    assert page.get_by_role("row", name=re.compile("^epochs")).count() == 0
    page.get_by_label("Prompts, one a line").fill("\n".join(PROMPTS))
    page.get_by_role("button", name="Draw with 2 models").click()
    expect(page.locator("#drawn img")).to_have_count(4, timeout=PATIENCE)
    page.locator("#drawn:not([hx-trigger])").wait_for()
    person.look("compare")


@pytest.mark.slow
def test_a_training_fails_and_says_what_helps_and_one_is_cancelled(tmp_path: Path) -> None:
    with server(tmp_path) as it, it.http() as http, a_browser() as browser:
        dataset = a_dataset(http)
        fast = begun(http, dataset, "Much too fast", **DIVERGES)
        with a_person(browser, it.url) as person:
            page = signed_in(person, it).page
            person.open(f"/trainings/{fast}")
            trouble = page.get_by_role("alert").filter(has_text="did not hold together")
            trouble.wait_for()
            assert "was charged for the time that was used." in trouble.inner_text()
            assert "on your side" in trouble.inner_text()
            helps = trouble.get_by_role("link", name=re.compile("Try again with a learning rate"))
            assert f"from={fast}" in (helps.get_attribute("href") or "")
            person.look("training-failed")
            long = begun(http, dataset, "Long", epochs=400)
            person.open(f"/trainings/{long}")
            until(http, long, lambda seen: step_of(seen) > 0)
            page.on("dialog", lambda dialog: dialog.accept())
            page.get_by_role("button", name="Cancel").click()
            page.locator("#status .badge.cancelled").wait_for()
            person.look("training-cancelled")
            page.get_by_role("button", name="Resume").click()
            page.get_by_text("goes on from its last checkpoint").wait_for()
            person.assert_well()


DIVERGES: dict[str, object] = {"epochs": 40, "optimizer": "AdamW", "learningRate": 1e9}
