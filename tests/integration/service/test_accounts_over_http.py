"""Members, keys and sessions, as they are asked for over HTTP."""

from collections.abc import Iterator

import pytest
from tests.serving import Serving, serving

from modelgenerator.service.records.organizations import Role


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("served")) as served:
        yield served


def test_a_key_is_shown_once_and_opens_what_its_role_may(served: Serving) -> None:
    made = served.http.post("/v1/api-keys", json={"name": "CI", "role": "viewer"})
    assert made.status_code == 201
    key, id = made.json()["key"], made.json()["apiKey"]["id"]
    assert key not in served.http.get("/v1/api-keys").text
    client = served.with_key(key)
    assert client.get("/v1/subjects").status_code == 200
    assert client.post("/v1/subjects", json={"name": "x"}).status_code == 403
    assert client.get("/v1/api-keys").status_code == 403
    assert served.http.delete(f"/v1/api-keys/{id}").status_code == 204
    refused = client.get("/v1/subjects")
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    [listed] = [it for it in served.http.get("/v1/api-keys").json()["items"] if it["id"] == id]
    assert listed["revokedAt"] is not None


def test_a_key_may_not_expire_in_a_time_without_a_zone(served: Serving) -> None:
    body = {"name": "x", "expiresAt": "2030-01-01T00:00:00"}
    assert served.http.post("/v1/api-keys", json=body).status_code == 422


def test_a_member_signs_in_works_and_signs_out(served: Serving) -> None:
    body = {"email": "ada@example.com", "role": "member", "password": "long enough"}
    added = served.http.post("/v1/members", json=body)
    assert added.status_code == 201
    assert "long enough" not in added.text
    credentials = {"email": "Ada@example.com", "password": "long enough"}
    session = served.with_key(None).post("/v1/sessions", json=credentials)
    assert (session.status_code, session.json()["role"]) == (201, "member")
    ada = served.with_key(session.json()["token"])
    assert ada.get("/v1/subjects").status_code == 200
    assert ada.get("/v1/api-keys").status_code == 403
    id = added.json()["id"]
    changed = served.http.patch(f"/v1/members/{id}", json={"role": "admin"})
    assert changed.json()["role"] == "admin"
    assert ada.get("/v1/api-keys").status_code == 200
    assert ada.delete("/v1/sessions/current").status_code == 204
    assert ada.get("/v1/subjects").status_code == 401
    assert served.http.delete(f"/v1/members/{id}").status_code == 204
    assert served.with_key(None).post("/v1/sessions", json=credentials).status_code == 401


def test_the_last_owner_stays(served: Serving) -> None:
    [owner] = [it for it in served.http.get("/v1/members").json()["items"] if it["role"] == "owner"]
    answer = served.http.delete(f"/v1/members/{owner['id']}")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


def test_too_many_wrong_passwords_have_to_wait(served: Serving) -> None:
    client = served.with_key(None)
    body = {"email": "eve@example.com", "password": "wrong password"}
    answers = [client.post("/v1/sessions", json=body) for _ in range(11)]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429]
    assert int(answers[-1].headers["retry-after"]) > 800


def test_members_are_an_administrators_business(served: Serving) -> None:
    member = served.as_role(Role.MEMBER)
    body = {"email": "x@example.com", "role": "viewer", "password": "long enough"}
    assert member.get("/v1/members").status_code == 200
    assert member.post("/v1/members", json=body).status_code == 403
