"""Who belongs to the organization, and one's own password."""

import pytest
from fastapi.testclient import TestClient
from tests.pages import PASSWORD, signed_in
from tests.serving import Serving

from modelgenerator.service.dashboard.visits import SESSION
from modelgenerator.service.operations.accounts import sign_in
from modelgenerator.service.records.organizations import Role

ANNA = {"email": "Anna@example.org", "name": "Anna", "role": "member", "password": PASSWORD}


def member(it: Serving, email: str) -> dict[str, str]:
    everybody = it.http.get("/v1/members").json()["items"]
    return next(each for each in everybody if each["email"] == email)


def test_a_member_is_added_once_and_can_sign_in(it: Serving) -> None:
    person = signed_in(it)
    for _ in range(2):
        answer = person.post("/organization/members", data={**ANNA, "requestKey": "one"})
        assert answer.headers["location"] == "/organization"
    assert member(it, "anna@example.org")["role"] == "member"
    assert sign_in(it.service, "anna@example.org", PASSWORD, address="here").member.role == "member"
    assert "Anna is a member, as member." in person.get("/organization").text


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"email": "no address"}, "email-fault"),
        ({"password": "short"}, "first-password-fault"),
        ({"password": ""}, "first-password-fault"),
        ({"name": "x" * 300}, "name-fault"),
        ({"role": "king"}, "role-fault"),
    ],
)
def test_a_fault_is_said_at_its_field(it: Serving, change: dict[str, str], fault: str) -> None:
    answer = signed_in(it).post("/organization/members", data={**ANNA, **change})
    assert answer.status_code == 400
    assert f'id="{fault}"' in answer.text
    assert PASSWORD not in answer.text


def test_who_is_a_member_already_is_said_at_the_address(it: Serving) -> None:
    person = signed_in(it)
    person.post("/organization/members", data=ANNA)
    answer = person.post("/organization/members", data={**ANNA, "password": ""})
    assert answer.status_code == 409
    assert "This person is a member already." in answer.text


def test_a_role_is_changed_and_a_member_removed(it: Serving) -> None:
    person = signed_in(it)
    person.post("/organization/members", data=ANNA)
    id = member(it, "anna@example.org")["id"]
    person.post(f"/organization/members/{id}/role", data={"role": "viewer"})
    assert member(it, "anna@example.org")["role"] == "viewer"
    person.post(f"/organization/members/{id}/remove")
    everybody = it.http.get("/v1/members").json()["items"]
    assert "anna@example.org" not in [each["email"] for each in everybody]


def test_the_last_owner_stays(it: Serving) -> None:
    person = signed_in(it, Role.OWNER)
    first = member(it, "admin@localhost")["id"]
    person.post(f"/organization/members/{first}/remove")
    own = it.http.get("/v1/members").json()["items"][0]["id"]
    for way, form in (("remove", {}), ("role", {"role": "viewer"})):
        answer = person.post(f"/organization/members/{own}/{way}", data=form)
        assert answer.status_code == 409
        assert "The last owner stays" in answer.text
        assert "Make another member an owner first." in answer.text


def test_a_viewer_sees_members_and_changes_nothing(it: Serving) -> None:
    person = signed_in(it, Role.VIEWER)
    page = person.get("/organization").text
    assert "Administrator" in page
    assert 'action="/organization/members' not in page
    own = it.http.get("/v1/members").json()["items"][0]["id"]
    for address, form in (
        ("/organization/members", ANNA),
        (f"/organization/members/{own}/role", {"role": "owner"}),
        (f"/organization/members/{own}/remove", {}),
    ):
        assert person.post(address, data=form).status_code == 403


def test_an_administrator_does_not_touch_an_owner(it: Serving) -> None:
    person = signed_in(it, Role.ADMIN)
    owner = member(it, "admin@localhost")["id"]
    assert f"/organization/members/{owner}/" not in person.get("/organization").text
    assert person.post(f"/organization/members/{owner}/remove").status_code == 403


def test_a_name_with_html_in_it_stays_text(it: Serving) -> None:
    person = signed_in(it)
    person.post("/organization/members", data={**ANNA, "name": "<img src=x onerror=alert(1)>"})
    assert "<img src=x" not in person.get("/organization").text


def test_a_new_password_ends_all_other_sessions(it: Serving) -> None:
    person = signed_in(it, Role.VIEWER)
    email = it.http.get("/v1/members").json()["items"][0]["email"]
    other = TestClient(it.http.app, follow_redirects=False)
    other.cookies.set(SESSION, sign_in(it.service, email, PASSWORD, address="x").token)
    assert other.get("/organization").status_code == 200
    new = "quite another password"
    form = {"current": PASSWORD, "password": new, "repeated": new}
    answer = person.post("/organization/password", data=form)
    assert answer.headers["location"] == "/organization"
    assert (
        "Other browsers that were signed in (1) are not any more."
        in person.get("/organization").text
    )
    assert other.get("/organization").status_code == 303
    assert sign_in(it.service, email, new, address="x").user.email == email


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"current": "not my password"}, "current-fault"),
        ({"password": "short", "repeated": "short"}, "new-password-fault"),
        ({"repeated": "something else"}, "repeated-fault"),
    ],
)
def test_a_wrong_password_is_said_at_its_field(
    it: Serving, change: dict[str, str], fault: str
) -> None:
    new = "quite another password"
    form = {"current": PASSWORD, "password": new, "repeated": new, **change}
    answer = signed_in(it).post("/organization/password", data=form)
    assert answer.status_code == 400
    assert f'id="{fault}"' in answer.text
    assert new not in answer.text


def test_a_password_is_not_guessed_by_its_form(it: Serving) -> None:
    person = signed_in(it)
    form = {"current": "wrong wrong wrong", "password": PASSWORD, "repeated": PASSWORD}
    answers = [person.post("/organization/password", data=form).status_code for _ in range(11)]
    assert answers[0] == 400
    assert answers[-1] == 429
