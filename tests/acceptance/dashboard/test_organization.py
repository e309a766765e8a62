"""An administrator's round: money, keys, members, webhooks, storage, what happened."""

import csv
import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect
from tests.browsing import PHONE, Person, a_browser, a_person, administrator
from tests.household import FLOW
from tests.server import server
from tests.told import Listener, listening

PAGES = ("billing", "api-keys", "webhooks", "organization", "storage", "logs")


def adds_credit(person: Person) -> None:
    page = person.page
    person.open("/billing#add-credit")
    page.get_by_label("Amount in dollars").fill("much")
    page.get_by_role("button", name="Add credit").click()
    expect(page.get_by_text("Write an amount of dollars")).to_be_visible()
    person.look("billing-fault")
    page.get_by_label("Amount in dollars").fill("12.50")
    page.get_by_label("Memo").fill("<script>alert(1)</script> invoice 7")
    page.get_by_role("button", name="Add credit").click()
    expect(page.get_by_text("$12.50 added.")).to_be_visible()
    expect(page.get_by_role("cell", name="<script>alert(1)</script> invoice 7")).to_be_visible()


def downloads_the_ledger(person: Person, folder: Path) -> None:
    with person.page.expect_download() as coming:
        person.page.get_by_role("link", name="Ledger as CSV").click()
    coming.value.save_as(folder / "ledger.csv")
    rows = list(csv.DictReader((folder / "ledger.csv").read_text("utf-8").splitlines()))
    assert {row["kind"] for row in rows} >= {"credit", "flowRun"}


def makes_a_key_and_revokes_it(person: Person) -> None:
    page = person.page
    person.open("/api-keys")
    page.get_by_label("Name").fill("Build server")
    page.get_by_label("Expires").select_option(label="In 90 days")
    page.get_by_role("button", name="Make the key").click()
    shown = page.locator("#key").inner_text().strip()
    assert httpx.get(
        f"{person.base_url}/v1/organization", headers={"Authorization": f"Bearer {shown}"}
    ).is_success
    person.look("api-keys-new")
    person.open("/api-keys")
    assert shown not in page.content()
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("row", name="Build server").get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("row", name="Build server").get_by_text("revoked")).to_be_visible()


def makes_a_webhook(person: Person, url: str) -> None:
    page = person.page
    person.open("/webhooks")
    person.look("webhooks-empty")
    page.get_by_label("Address").fill(url)
    page.get_by_role("checkbox", name="run.succeeded").check()
    page.get_by_role("button", name="Make the webhook").click()
    assert page.locator("#secret").inner_text().startswith("whsec_")
    person.look("webhook-new")


def replays_a_message(person: Person, receiver: Listener) -> None:
    page = person.page
    person.open("/webhooks")
    page.get_by_role("link", name=re.compile("127.0.0.1")).click()
    badge = page.locator("#deliveries .badge").first
    expect(badge).to_have_text("to be sent", timeout=60_000)
    expect(page.locator("#deliveries")).to_contain_text("500", timeout=60_000)
    person.look("webhook-failing")
    receiver.status = 204
    page.get_by_role("button", name="Replay").click()
    expect(page.get_by_text("It is sent again, with the same id.")).to_be_visible()
    expect(badge).to_have_text("delivered", timeout=60_000)  # the list renews itself
    assert len({told.headers["webhook-id"] for told in receiver.told}) == 1
    page.locator("#deliveries a").first.click()
    expect(page.get_by_role("heading", name="run.succeeded")).to_be_visible()
    person.look("webhook-delivery")


def adds_a_member(person: Person) -> None:
    page = person.page
    person.open("/organization#add")
    add = page.locator("section", has=page.get_by_role("heading", name="Add a member"))
    add.get_by_label("E-mail").fill("anna@example.org")
    add.get_by_label("Name").fill("Anna <b>Example</b>")
    add.get_by_label("First password").fill("a first password")
    add.get_by_role("button", name="Add the member").click()
    expect(page.get_by_role("cell", name="anna@example.org")).to_be_visible()
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("row", name="Administrator").get_by_role("button", name="Remove").click()
    expect(page.get_by_text("The last owner stays")).to_be_visible()


def reads_a_receipt(person: Person) -> None:
    person.open("/storage")
    person.page.get_by_role("link", name="A subject").first.click()
    expect(person.page.get_by_text("Backups that were made before")).to_be_visible()
    person.look("receipt")


def was_refused(person: Person, *statuses: int) -> None:
    """The console names forms that were answered with a fault, which is as it should be."""
    for status in statuses:
        named = [said for said in person.complaints if f"status of {status}" in said]
        assert named, f"nothing was answered with {status}"
        person.complaints = [said for said in person.complaints if said not in named]


def looks_at_every_page(person: Person, how: str) -> None:
    for name in PAGES:
        person.open(f"/{name}")
        person.look(f"{name}-{how}")
        width = person.page.evaluate("document.documentElement.scrollWidth")
        assert width <= person.page.evaluate("window.innerWidth"), f"{name} is too wide: {how}"


@pytest.mark.slow
def test_an_administrator_goes_round(tmp_path: Path) -> None:
    with (
        server(tmp_path, MODELGENERATOR_WEBHOOK_PRIVATE_NETWORKS="on") as it,
        listening() as receiver,
        it.http() as api,
        a_browser() as browser,
    ):
        receiver.status = 500
        name, password = administrator(it)
        with a_person(browser, it.url) as person:
            person.sign_in(name, password)
            makes_a_webhook(person, receiver.url)
            flow = api.post("/v1/flows", json={"definition": FLOW}).json()["id"]
            api.post(f"/v1/flows/{flow}/runs", json={"input": {}})
            subject = api.post("/v1/subjects", json={"name": "Gone"}).json()["id"]
            api.delete(f"/v1/subjects/{subject}")
            replays_a_message(person, receiver)
            adds_credit(person)
            downloads_the_ledger(person, tmp_path)
            makes_a_key_and_revokes_it(person)
            adds_a_member(person)
            reads_a_receipt(person)
            looks_at_every_page(person, "desk")
            was_refused(person, 400, 409)
            person.assert_well()
        with a_person(browser, it.url, PHONE, color_scheme="dark") as person:
            person.sign_in(name, password)
            looks_at_every_page(person, "phone-dark")
            person.assert_well()
        with a_person(browser, it.url, PHONE) as person:
            person.sign_in("anna@example.org", "a first password")
            for page in ("billing", "api-keys", "organization"):
                person.open(f"/{page}")
                person.look(f"{page}-member-phone")
            was_refused(person, 403)
            person.assert_well()
