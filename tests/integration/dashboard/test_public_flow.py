"""The page of a public flow, as somebody without an account meets it."""

import re
from html import unescape
from pathlib import Path

from fastapi.testclient import TestClient
from tests import uploaded
from tests.carried import carried_on
from tests.serving import Serving, serving

from modelgenerator.service.records.jobs import JobKind

FLOW = """{
  title: 'Portraits', description: 'From your photos.', public: true, slug: 'portraits',
  input: {type: 'object', required: ['photos', 'name'], properties: {
    photos: {type: 'string', title: 'Photos', dataset: true, min: 2, max: 3},
    name: {type: 'string', title: 'Name', maxLength: 5},
  }},
  store: {secret: 'do not tell'},
  steps: [
    {id: 'greet', type: 'ObjectTransformer', result: {text: '@Format("Hi {}", $.input.name)'}},
    {id: 'hidden', type: 'ObjectTransformer', result: {secret: '$.store.secret'}},
    {id: 'train', type: 'ModelGenerator', parameters: {
      datasetId: '$.input.photos',
      settings: {baseModel: 'creatures', captionPrefix: 'lvff', epochs: 2}}},
  ],
  ui: {
    submitLabel: 'Go <now>', instructions: ['Be <kind>'], deliverables: ['Joy'],
    textColor: '#fff', bodyBackgroundColor: '#123456', backgroundShadowColor: '#0008',
    results: {widgets: [{type: 'Objects', sources: ['greet']}]},
  },
}"""
FROM_HERE = {"sec-fetch-site": "same-origin", "accept": "text/html"}


def published(it: Serving) -> TestClient:
    answer = it.http.post("/v1/flows", json={"definition": FLOW})
    assert answer.status_code == 201, answer.text
    return TestClient(it.http.app, headers=FROM_HERE, follow_redirects=False)


def photo(number: int):
    return ("/photos", (f"{number}.png", uploaded._png(number), "image/png"))


def name(text: str):
    return ("/name", (None, text))


def test_a_visitor_sees_the_form_in_the_flow_s_words_and_colours(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        page = published(it).get("/f/portraits")
    assert page.status_code == 200
    for words in ("Go &lt;now&gt;", "Be &lt;kind&gt;", "Joy", "From 2 to 3 photos."):
        assert words in page.text
    nonce = re.search(r'<style nonce="(\w+)">', page.text)
    assert nonce is not None
    assert f"'nonce-{nonce[1]}'" in page.headers["content-security-policy"]
    assert "body { background: #123456ff; }" in page.text
    assert "not used within 24 h are deleted" in page.text
    assert "has the link to them, for 30 days." in page.text
    for hidden in ("do not tell", "menu", "Sign out"):
        assert hidden not in page.text


def test_a_visitor_runs_it_without_a_script(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        visitor = published(it)
        sent = visitor.post("/f/portraits", files=[photo(1), photo(2), name("Ann")])
        assert sent.status_code == 303, sent.text
        address = sent.headers["location"]
        assert re.fullmatch(r"/f/portraits/runs/[0-9a-f]{32}\.[\w.-]+", address)
        carried_on(it)
        page = visitor.get(address)
        assert page.status_code == 200
        assert "it shows your results for 30 days." in page.text
        assert "Hi Ann" in unescape(page.text)
        assert "Learning from the photos" in page.text
        for hidden in ("do not tell", "lvff", "datasetId", "hidden</", "$0", "greet</strong>"):
            assert hidden not in page.text
        status = visitor.get(f"{address}/status", headers={"hx-request": "true"})
        assert status.headers["hx-trigger"] == "more-to-see"


def test_a_run_that_ended_says_so_and_is_not_asked_again(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        visitor = published(it)
        address = visitor.post("/f/portraits", files=[photo(1), photo(2), name("A")]).headers[
            "location"
        ]
        carried_on(it)
        uploaded.trained(it, uploaded.claimed(it, JobKind.TRAIN))
        carried_on(it)
        page = visitor.get(address)
        assert "Done." in page.text
        assert "every 2s" not in page.text
        assert "Once more" in page.text


def test_faults_stand_at_their_fields_and_photos_are_kept(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        visitor = published(it)
        refused = visitor.post("/f/portraits", files=[photo(1), photo(2), name("Annabella")])
        assert refused.status_code == 422
        assert "Must have at most 5 characters." in refused.text
        assert "2 photos</strong> uploaded already" in refused.text
        ticket = re.search(r'type="hidden" name="/photos" value="([^"]+)"', refused.text)
        assert ticket is not None
        again = visitor.post("/f/portraits", files=[("/photos", (None, ticket[1])), name("Ann")])
        assert again.status_code == 303


def test_a_script_gets_the_form_back_as_a_part(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        part = {"hx-request": "true"}
        visitor = published(it)
        refused = visitor.post("/f/portraits", files=[photo(1), name("Ann")], headers=part)
        assert refused.status_code == 200
        assert refused.text.lstrip().startswith("<form")
        assert "Needs at least 2 pictures, not 1." in refused.text
        ticket = re.search(r'type="hidden" name="/photos" value="([^"]+)"', refused.text)
        assert ticket is not None
        more = [("/photos", (None, ticket[1])), photo(2), name("Ann")]
        begun = visitor.post("/f/portraits", files=more, headers=part)
        assert begun.headers["hx-redirect"].startswith("/f/portraits/runs/")


def test_too_many_photos_are_chosen_anew(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        visitor = published(it)
        refused = visitor.post("/f/portraits", files=[photo(n) for n in range(4)] + [name("Ann")])
        assert refused.status_code == 422
        assert "Takes at most 3 pictures, not 4." in refused.text
        assert 'type="hidden" name="/photos"' not in refused.text


def test_a_photo_that_is_none_is_said_in_words(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        bad = ("/photos", ("notes.jpg", b"no photo", "image/jpeg"))
        refused = published(it).post("/f/portraits", files=[bad, name("Ann")])
        assert refused.status_code == 422
        assert "notes.jpg: " in refused.text


def test_sent_twice_it_runs_once(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        visitor = published(it)
        form = [photo(1), photo(2), name("Ann"), ("requestKey", (None, "k"))]
        for _ in range(2):
            assert visitor.post("/f/portraits", files=form).status_code == 303
        assert len(it.http.get("/v1/runs").json()["items"]) == 1


def test_an_owner_without_money_is_not_told_on(tmp_path: Path) -> None:
    with serving(tmp_path, starting_balance=100_000) as it:
        refused = published(it).post("/f/portraits", files=[photo(1), photo(2), name("Ann")])
        assert refused.status_code == 402
        assert "This page cannot run now" in refused.text
        assert "$" not in refused.text
        assert "Add credit" not in refused.text


def test_another_site_sends_no_form_here(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        visitor = published(it)
        elsewhere = {"sec-fetch-site": "cross-site"}
        answer = visitor.post("/f/portraits", files=[name("Ann")], headers=elsewhere)
        assert answer.status_code == 403


def test_tickets_of_others_and_private_flows_are_not_here(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        visitor = published(it)
        for path in ("/f/nothing", "/f/portraits/runs/x", "/f/portraits/runs/x/status"):
            assert visitor.get(path).status_code == 404
        assert visitor.post("/f/nothing", files=[name("Ann")]).status_code == 404


def test_one_address_sends_so_many_forms_an_hour(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        visitor = published(it)
        codes = [visitor.post("/f/portraits", files=[name("Ann")]).status_code for _ in range(61)]
        assert codes[:60] == [422] * 60
        assert codes[60] == 429
