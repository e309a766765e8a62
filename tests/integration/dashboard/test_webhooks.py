"""Webhooks on their pages: a secret once, deliveries, and the same message again."""

import html
import re
from collections.abc import Generator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from tests.household import neighbours
from tests.pages import signed_in
from tests.serving import Serving, serving
from tests.told import Listener, listening

from modelgenerator.service.dashboard.webhook_verifier import VERIFIER
from modelgenerator.service.operations.sending import send_due
from modelgenerator.service.operations.webhook_messages import tell
from modelgenerator.service.records.organizations import Role

SECRET = re.compile(r"whsec_[A-Za-z0-9+/=]{20,}")


@pytest.fixture
def it(tmp_path: Path) -> Generator[Serving, None, None]:
    with serving(tmp_path, webhook_private_networks=True) as it:
        yield it


@pytest.fixture
def server() -> Generator[Listener, None, None]:
    with listening() as server:
        yield server


def hook(it: Serving, person: TestClient, url: str, **more: object) -> tuple[str, str]:
    """Its id and its secret."""
    answer = person.post("/webhooks", data={"url": url, **more})
    assert answer.status_code == 201, answer.text
    (secret,) = set(SECRET.findall(html.unescape(answer.text)))
    return it.http.get("/v1/webhooks").json()["items"][0]["id"], secret


def happens(it: Serving, why: str = "none") -> None:
    with it.service.database.transaction() as transaction:
        data = {"id": "7", "status": "failed", "error": {"code": "x", "message": why}}
        store = transaction.of(it.organization_id)
        tell(store, "training.failed", data, it.clock(), job_id=None)


def delivery_id(it: Serving, id: str) -> str:
    return it.http.get(f"/v1/webhooks/{id}/deliveries").json()["items"][0]["id"]


def test_a_secret_is_shown_once(it: Serving, server: Listener) -> None:
    person = signed_in(it, Role.ADMIN)
    form = {"url": server.url, "types": ["training.failed"], "requestKey": "one"}
    answer = person.post("/webhooks", data=form)
    assert answer.headers["cache-control"] == "no-store"
    assert SECRET.search(answer.text)
    again = person.post("/webhooks", data=form)
    assert SECRET.search(again.text) is None
    assert "This form was sent twice" in again.text
    (made,) = it.http.get("/v1/webhooks").json()["items"]
    assert made["eventTypes"] == ["training.failed"]
    assert SECRET.search(person.get(f"/webhooks/{made['id']}").text) is None


def test_a_message_that_did_not_arrive_is_sent_again_by_hand(it: Serving, server: Listener) -> None:
    person = signed_in(it)
    id, secret = hook(it, person, server.url)
    server.status = 500
    happens(it)
    send_due(it.service)
    page = person.get(f"/webhooks/{id}").text
    assert "to be sent" in page
    assert "500" in page
    server.status = 204
    answer = person.post(f"/webhooks/deliveries/{delivery_id(it, id)}/replay")
    assert answer.headers["location"] == f"/webhooks/{id}"
    send_due(it.service)
    page = person.get(f"/webhooks/{id}").text
    assert '<span class="badge good">delivered</span>' in page
    first, second = server.told
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    shown: dict[str, object] = {}
    exec(VERIFIER, shown)
    now = it.clock().timestamp()
    is_genuine = shown["is_genuine"]
    assert callable(is_genuine)
    assert is_genuine(secret, second.headers, second.body, now)
    assert not is_genuine(secret, second.headers, second.body + b" ", now)


def test_what_a_message_says_is_shown_as_text(it: Serving, server: Listener) -> None:
    person = signed_in(it)
    id, _ = hook(it, person, server.url)
    happens(it, "<script>alert(1)</script>")
    page = person.get(f"/webhooks/deliveries/{delivery_id(it, id)}").text
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page


def test_a_webhook_is_changed_switched_off_and_on_and_deleted(
    it: Serving, server: Listener
) -> None:
    person = signed_in(it)
    id, old = hook(it, person, server.url)
    person.post(f"/webhooks/{id}", data={"url": server.url, "types": ["run.failed"]})
    assert it.http.get(f"/v1/webhooks/{id}").json()["eventTypes"] == ["run.failed"]
    person.post(f"/webhooks/{id}/off")
    assert not it.http.get(f"/v1/webhooks/{id}").json()["enabled"]
    assert "Switched off" in person.get(f"/webhooks/{id}").text
    person.post(f"/webhooks/{id}/on")
    assert it.http.get(f"/v1/webhooks/{id}").json()["enabled"]
    answer = person.post(f"/webhooks/{id}/secret", data={"forget": "yes"})
    (new,) = set(SECRET.findall(html.unescape(answer.text)))
    assert new != old
    assert person.post(f"/webhooks/{id}/delete").headers["location"] == "/webhooks"
    assert person.get(f"/webhooks/{id}").status_code == 404


def test_a_reload_makes_no_other_secret(it: Serving, server: Listener) -> None:
    person = signed_in(it)
    id, _ = hook(it, person, server.url)
    page = person.get(f"/webhooks/{id}").text
    form = re.search(r'/secret".*?name="requestKey" value="([^"]+)"', page, re.DOTALL)
    assert form is not None
    sent = {"requestKey": form[1]}
    assert SECRET.findall(html.unescape(person.post(f"/webhooks/{id}/secret", data=sent).text))
    again = person.post(f"/webhooks/{id}/secret", data=sent)
    assert "sent twice" in again.text
    assert not SECRET.findall(html.unescape(again.text))


def test_nothing_is_replayed_to_a_webhook_that_is_off(it: Serving, server: Listener) -> None:
    person = signed_in(it)
    id, _ = hook(it, person, server.url)
    happens(it)
    person.post(f"/webhooks/{id}/off")
    answer = person.post(f"/webhooks/deliveries/{delivery_id(it, id)}/replay")
    page = person.get(answer.headers["location"]).text
    assert "switch it on first" in page


@pytest.mark.parametrize("url", ["", "nowhere", "ftp://example.org/x", "http://user@"])
def test_an_address_that_cannot_be_is_said_at_its_field(it: Serving, url: str) -> None:
    answer = signed_in(it).post("/webhooks", data={"url": url, "types": ["run.failed"]})
    assert answer.status_code == 422
    assert 'id="url-fault"' in answer.text
    assert 'value="run.failed" checked' in answer.text


def test_an_event_that_is_none_is_said(it: Serving, server: Listener) -> None:
    answer = signed_in(it).post("/webhooks", data={"url": server.url, "types": ["run.paused"]})
    assert answer.status_code == 400
    assert "There is no event" in answer.text


def test_others_are_told_whom_to_ask(it: Serving, server: Listener) -> None:
    id, _ = hook(it, signed_in(it), server.url)
    person = signed_in(it, Role.MEMBER)
    for address in ("/webhooks", f"/webhooks/{id}"):
        answer = person.get(address)
        assert answer.status_code == 403
        assert "mailto:" in answer.text
    for address in ("", f"/{id}", f"/{id}/off", f"/{id}/on", f"/{id}/secret", f"/{id}/delete"):
        answer = person.post(f"/webhooks{address}", data={"url": server.url})
        assert answer.status_code == 403


def test_another_organization_s_webhook_is_not_here(it: Serving, server: Listener) -> None:
    theirs = neighbours(it).post("/v1/webhooks", json={"url": server.url}).json()["id"]
    person = signed_in(it)
    assert person.get(f"/webhooks/{theirs}").status_code == 404
    assert person.post(f"/webhooks/{theirs}/delete").status_code == 404


def test_the_list_of_deliveries_renews_itself_as_a_part(it: Serving, server: Listener) -> None:
    person = signed_in(it)
    id, _ = hook(it, person, server.url)
    part = person.get(f"/webhooks/{id}", headers={"hx-request": "true"}).text
    assert part.lstrip().startswith('<section id="deliveries"')
    assert "<html" not in part


def test_the_verifier_is_the_one_of_the_reference() -> None:
    assert VERIFIER in Path("docs/reference/webhooks.md").read_text("utf-8")
