"""Keys on their page: shown once, with what they may, and revoked."""

import re
from datetime import timedelta

import pytest
from tests.pages import signed_in
from tests.serving import Serving

from modelgenerator.service.records.organizations import Role

KEY = re.compile(r"mg_[0-9A-Za-z]{43}")


def test_a_key_is_shown_once_and_works(it: Serving) -> None:
    person = signed_in(it, Role.ADMIN)
    form = {"name": "<b>CI</b>", "role": "member", "expires": "30", "requestKey": "one"}
    answer = person.post("/api-keys", data=form)
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    (key,) = set(KEY.findall(answer.text))
    assert it.with_key(key).get("/v1/organization").status_code == 200
    assert "&lt;b&gt;CI&lt;/b&gt;" in answer.text
    again = person.post("/api-keys", data=form)
    assert KEY.search(again.text) is None
    assert "This form was sent twice" in again.text
    assert KEY.search(person.get("/api-keys").text) is None
    assert len(it.http.get("/v1/api-keys").json()["items"]) == 2


def test_a_key_expires_when_its_form_says(it: Serving) -> None:
    person = signed_in(it)
    person.post("/api-keys", data={"name": "Short", "role": "viewer", "expires": "7"})
    assert ">valid<" in person.get("/api-keys").text
    it.clock.advance(timedelta(days=8).total_seconds())
    assert '<span class="badge bad">expired</span>' in person.get("/api-keys").text


def test_a_revoked_key_lets_nobody_in_and_stays_in_the_list(it: Serving) -> None:
    person = signed_in(it)
    page = person.post("/api-keys", data={"name": "Old", "role": "viewer"}).text
    (key,) = set(KEY.findall(page))
    id = next(k["id"] for k in it.http.get("/v1/api-keys").json()["items"] if k["name"] == "Old")
    assert f'action="/api-keys/{id}/revoke"' in page
    answer = person.post(f"/api-keys/{id}/revoke")
    assert answer.headers["location"] == "/api-keys"
    assert it.with_key(key).get("/v1/organization").status_code == 401
    page = person.get("/api-keys").text
    assert "Old" in page
    assert f'action="/api-keys/{id}/revoke"' not in page


def test_nobody_makes_a_key_that_may_more_than_he(it: Serving) -> None:
    person = signed_in(it, Role.ADMIN)
    assert 'value="owner"' not in person.get("/api-keys").text
    assert person.post("/api-keys", data={"name": "K", "role": "owner"}).status_code == 403


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"name": "", "role": "viewer"}, "name"),
        ({"name": "K", "role": "viewer", "expires": "3"}, "expires"),
    ],
)
def test_a_fault_is_said_at_its_field(it: Serving, form: dict[str, str], field: str) -> None:
    answer = signed_in(it).post("/api-keys", data=form)
    assert answer.status_code == 400
    assert f'id="{field}-fault"' in answer.text


@pytest.mark.parametrize("role", [Role.MEMBER, Role.VIEWER])
def test_others_are_told_whom_to_ask(it: Serving, role: Role) -> None:
    person = signed_in(it, role)
    answer = person.get("/api-keys")
    assert answer.status_code == 403
    assert "mailto:" in answer.text
    assert '<form method="post" action="/api-keys' not in answer.text
    assert person.post("/api-keys", data={"name": "K", "role": "viewer"}).status_code == 403
