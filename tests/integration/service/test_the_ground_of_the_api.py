"""Who is let in, how errors look, and what is refused before anybody reads it."""

import errno
from datetime import timedelta
from pathlib import Path

import pytest
from tests.serving import Serving, serving

from modelgenerator.service.api import base_models


@pytest.fixture
def here(tmp_path: Path):
    with serving(tmp_path) as it:
        yield it


def test_it_says_that_it_lives_and_that_it_is_ready(here: Serving):
    assert here.with_key(None).get("/healthz").json()["status"] == "alive"
    assert here.with_key(None).get("/readyz").json()["status"] == "ready"


def test_a_server_that_is_about_to_end_is_not_ready(here: Serving):
    here.service.news.close()
    answer = here.with_key(None).get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["code"] == "storeBusy"


def test_an_address_that_does_not_exist_is_a_problem(here: Serving):
    answer = here.http.get("/v1/nothing-here")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "noSuchAddress"
    assert answer.json()["detail"] == "There is nothing at /v1/nothing-here."
    assert answer.json()["hint"] == "GET /docs shows every call."


def test_a_method_that_an_address_does_not_have_is_told_with_those_that_it_has(here: Serving):
    answer = here.http.delete("/v1/organization")
    assert (answer.status_code, answer.json()["code"]) == (405, "methodNotAllowed")
    assert answer.json()["detail"] == "/v1/organization does not answer DELETE, but GET."


def test_a_body_that_is_no_json_object_is_told_what_is_expected(here: Serving):
    broken = here.http.post(
        "/v1/subjects", content="{name", headers={"Content-Type": "application/json"}
    ).json()
    assert broken["field"] == "body"
    assert broken["detail"].startswith("body: this is not JSON, from character 1 on")
    for wrong in (
        here.http.post("/v1/subjects", data={"name": "x"}),
        here.http.post("/v1/subjects", json=[]),
        here.http.post("/v1/subjects"),
    ):
        assert (wrong.status_code, wrong.json()["field"]) == (422, "body")
        assert "a JSON object is expected" in wrong.json()["detail"]


def test_the_setting_that_is_wrong_is_named_for_programs(here: Serving):
    for settings, field in (
        ({"baseModel": "creatures", "resolution": -3}, "resolution"),
        ({"baseModel": "creatures", "rnak": 3}, "rnak"),
    ):
        asked = {"name": "T", "settings": settings}
        problem = here.http.post("/v1/training-templates", json=asked).json()
        assert (problem["code"], problem["field"]) == ("invalidSettings", field)


def test_a_body_that_says_it_is_too_large_is_refused_unread(here: Serving):
    answer = here.http.post("/v1/nothing", content=b"", headers={"Content-Length": "99999999999"})
    assert answer.status_code == 413
    assert answer.json()["code"] == "tooLarge"


def test_a_stored_file_is_there_for_who_has_its_link(here: Serving):
    key = "organizations/a/b.png"
    here.service.files.put(key, b"0123456789")
    link = here.service.files.link("GET", key, expires_in=timedelta(hours=1))
    anybody = here.with_key(None)
    whole = anybody.get(link)
    assert (whole.status_code, whole.content) == (200, b"0123456789")
    assert whole.headers["content-security-policy"] == "default-src 'none'; sandbox"
    part = anybody.get(link, headers={"Range": "bytes=2-4"})
    assert (part.status_code, part.content) == (206, b"234")
    assert part.headers["content-range"] == "bytes 2-4/10"
    assert anybody.get(link.replace("b.png", "c.png")).status_code == 403
    assert anybody.get(link.partition("?")[0]).status_code == 403
    here.clock.advance(3_601)
    assert anybody.get(link).json()["code"] == "linkRefused"


def test_the_documentation_needs_no_other_host(here: Serving):
    page = here.with_key(None).get("/docs").text
    assert "https://" not in page.replace("https://www.w3.org", "")
    assert here.http.get("/docs-assets/swagger-ui-bundle.js").status_code == 200


def test_metrics_count_requests_by_the_pattern_of_their_address(here: Serving):
    here.http.get("/files/organizations/x.png?token=1")
    text = here.with_key(None).get("/metrics").text
    assert 'route="/files/{key:path}"' in text
    assert "modelgenerator_oldest_queued_seconds 0.0" in text


def test_a_full_disk_is_said_wherever_it_is_met(here: Serving, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(base_models, "read_base_model", full)
    answer = here.http.get("/v1/base-models/creatures")
    assert (answer.status_code, answer.json()["code"]) == (507, "storageFull")
    assert "make room" in answer.json()["hint"]
