"""Who is let in to the pages, and how errors look there."""

from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from tests.pages import signed_in
from tests.serving import serving


def test_who_has_not_signed_in_comes_back_to_where_he_wanted(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        stranger = TestClient(it.http.app, follow_redirects=False)
        answer = stranger.get("/?view=all")
        assert answer.status_code == 303
        assert answer.headers["location"] == "/sign-in?next=/%3Fview%3Dall"


@pytest.mark.parametrize("away", ["https://elsewhere.example", "//elsewhere.example", "/\\x"])
def test_nobody_is_led_away_after_signing_in(tmp_path: Path, away: str) -> None:
    with serving(tmp_path) as it:
        answer = signed_in(it).get("/sign-in", params={"next": away})
        assert answer.headers["location"] == "/"


def test_a_form_of_another_site_is_refused(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        person = signed_in(it)
        for headers in (
            {"sec-fetch-site": "cross-site"},
            {"sec-fetch-site": "same-site"},
            {"sec-fetch-site": "", "origin": "https://elsewhere.example"},
        ):
            answer = person.post("/sign-out", headers=headers)
            assert answer.status_code == 403
            assert "another site" in answer.text
        assert person.get("/").status_code == 200


def test_a_wrong_password_is_said_at_the_form(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        stranger = TestClient(it.http.app, headers={"sec-fetch-site": "same-origin"})
        answer = stranger.post("/sign-in", data={"email": "a@b.c", "password": "no"})
        assert answer.status_code == 401
        assert "The e-mail address or the password is wrong." in answer.text
        assert 'value="a@b.c"' in answer.text


def test_an_address_that_is_not_there_is_a_page_or_a_problem(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        page = signed_in(it).get("/nowhere")
        assert page.status_code == 404
        assert "There is no such page." in page.text
        problem = it.http.get("/v1/nowhere", headers={"accept": "text/html"})
        assert problem.headers["content-type"] == "application/problem+json"


def test_pages_let_no_script_in_from_anywhere(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        policy = signed_in(it).get("/").headers["content-security-policy"]
        assert "default-src 'none'; script-src 'self';" in policy
        assert "unsafe" not in policy


def test_a_form_sent_twice_asks_once_and_one_that_was_changed_asks_again(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        person = signed_in(it)
        form = {"requestKey": "same", "name": "Mia", "kind": "person"}
        first = person.post("/subjects", data=form).headers["location"]
        again = person.post("/subjects", data=form).headers["location"]
        changed = person.post("/subjects", data={**form, "name": "Moe"}).headers["location"]
        assert first == again
        assert first != changed
        assert len(it.http.get("/v1/subjects").json()["items"]) == 2


def test_what_an_address_does_not_do_is_no_fault_of_ours(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        answer = signed_in(it).post("/trainings")
        assert answer.status_code == 405
        assert "Method Not Allowed." in answer.text
        assert "our fault" not in answer.text
