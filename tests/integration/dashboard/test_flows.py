"""Flows on their pages: written, checked, saved, run."""

import re
from html import unescape
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from tests import uploaded
from tests.carried import carried_on
from tests.household import FLOW, neighbours
from tests.pages import signed_in
from tests.serving import serving

from modelgenerator.service.dashboard.flow_examples import EXAMPLES
from modelgenerator.service.records.organizations import Role

SMALL = """{
  title: '<b>Small</b>', // mine
  description: 'Greets & waves.',
  input: {type: 'object', required: ['name'], properties: {
    name: {type: 'string', title: 'Name', maxLength: 5},
    photos: {type: 'string', title: 'Photos', dataset: true, min: 2, max: 3},
  }},
  steps: [
    {id: 'first', type: 'ObjectTransformer', result: {text: '@Format("Hi {}", $.input.name)'}},
  ],
}"""


def saved(person: TestClient, text: str = SMALL) -> str:
    answer = person.post("/flows", data={"definition": text})
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def shown(answer) -> str:
    assert answer.status_code in (200, 422), answer.text
    return unescape(re.sub(r"<[^>]*>", " ", answer.text))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda each: each.name)
def test_every_example_is_saved_as_it_is(tmp_path: Path, example) -> None:
    with serving(tmp_path) as it:
        person = signed_in(it)
        page = person.get("/flows/new", params={"start": example.name})
        assert example.text.splitlines()[0] in unescape(page.text)
        assert "to mend" not in page.text
        assert "What a run costs" in page.text
        saved(person, example.text)


def test_faults_are_told_where_the_browser_finds_them(tmp_path: Path) -> None:
    text = "{title: '🦊', description: 'x', steps: [{id: 'a', type: 'Ziper', parameters: {}}]}"
    with serving(tmp_path) as it:
        answer = signed_in(it).post("/flows/check", data={"text": text})
    (fault,) = answer.json()["faults"]
    units = text.encode("utf-16-le")
    marked = units[2 * fault["from"] : 2 * fault["to"]].decode("utf-16-le")
    assert marked == "'Ziper'"
    assert fault["message"] == 'There is no step of type "Ziper". Did you mean Zipper?'
    assert fault["pointer"] == "/steps/0/type"


@pytest.mark.parametrize("text", ["{" + "a: 1, " * 2_000 + "}", "[" + "NaN, " * 2_000 + "]"])
def test_of_thousands_of_faults_some_hundreds_are_told(tmp_path: Path, text: str) -> None:
    with serving(tmp_path) as it:
        told = signed_in(it, Role.VIEWER).post("/flows/check", data={"text": text}).json()
    assert 500 <= len(told["faults"]) <= 1_000


@pytest.mark.parametrize("text", ["{\n a: 1,\n b 2}", "", "{a: ["])
def test_a_text_that_is_no_json5_is_marked_too(tmp_path: Path, text: str) -> None:
    with serving(tmp_path) as it:
        (fault,) = signed_in(it).post("/flows/check", data={"text": text}).json()["faults"]
    assert 0 <= fault["from"] <= fault["to"] <= len(text)
    assert "JSON5" in fault["message"]


def test_a_faulty_flow_is_shown_again_with_lines_and_is_not_saved(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        person = signed_in(it)
        answer = person.post(
            "/flows", data={"definition": SMALL.replace("$.input.name", "$.input.nam")}
        )
        assert answer.status_code == 422
        page = shown(answer)
        assert "1 thing to mend" in page
        assert "Line 9, column" in page
        assert "$.input.nam)" in page
        assert "No flows yet" in person.get("/flows").text


def test_what_is_written_is_previewed_with_steps_and_cost(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        answer = signed_in(it).post(
            "/flows/preview", data={"definition": SMALL}, headers={"hx-request": "true"}
        )
        page = shown(answer)
        assert "<html" not in answer.text
        assert "first" in page
        assert "uses form" in page
        assert "$0.02" in page


def test_a_flow_becomes_versions_and_keeps_its_comments(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        person = signed_in(it)
        address = saved(person)
        changed = SMALL.replace("Greets", "Salutes").replace("\n", "\r\n")
        answer = person.post(f"{address}/definition", data={"definition": changed})
        assert answer.headers["location"] == f"{address}/definition"
        editor = person.get(f"{address}/definition").text
        assert "// mine" in editor
        assert "Salutes" in editor
        assert "Save as version 3" in editor
        older = person.get(f"{address}/definition?version=1").text
        assert "Greets" in older
        assert "runs now" in person.get(f"{address}/versions").text
        for version in (9, -1, 10**30):
            missing = person.get(f"{address}/definition?version={version}")
            assert missing.status_code == 404


def test_a_version_is_as_large_as_its_file(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        person = signed_in(it)
        text = SMALL.replace("// mine", "// " + "ü" * 900)
        page = shown(person.get(f"{saved(person, text)}/versions"))
        assert f"{len(text.encode()) / 1000:.1f} kB" in page


def test_titles_with_html_stay_text_everywhere(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        person = signed_in(it)
        address = saved(person)
        person.post(f"{address}/public", data={"on": "yes"})
        for path in (
            "/flows",
            address,
            f"{address}/definition",
            f"{address}/versions",
            "/f/b-small-b",
        ):
            page = person.get(path)
            assert page.status_code == 200, path
            assert "<b>Small" not in page.text
            assert "&lt;b&gt;Small" in page.text


def test_a_flow_is_made_public_and_private_by_a_click(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        person, stranger = signed_in(it), TestClient(it.http.app)
        address = saved(person)
        assert stranger.get("/f/b-small-b").status_code == 404
        person.post(f"{address}/public", data={"on": "yes"})
        assert stranger.get("/f/b-small-b").status_code == 200
        assert "// mine" in person.get(f"{address}/definition").text
        person.post(f"{address}/public", data={"on": "no"})
        assert stranger.get("/f/b-small-b").status_code == 404


def test_a_flow_is_deleted_and_its_runs_stay(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        person = signed_in(it)
        address = saved(person)
        run = person.post(f"{address}/runs", files={"/name": (None, "Ann")}).headers["location"]
        assert person.post(f"{address}/delete").headers["location"] == "/flows"
        assert person.get(address).status_code == 404
        assert person.get(run).status_code == 200


def test_older_runs_are_a_page_of_their_own(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        person = signed_in(it)
        address = saved(person)
        for _ in range(11):
            person.post(f"{address}/runs", files={"/name": (None, "Ann")})
        newest = person.get(address).text
        assert newest.count('href="/runs/') == 10
        older = re.search(rf'href="({address}\?cursor=[^"]*)">Older<', newest)
        assert older is not None
        assert person.get(unescape(older[1])).text.count('href="/runs/') == 1


def test_a_form_that_is_sent_twice_runs_once(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        person = signed_in(it)
        address = saved(person)
        form = {"/name": (None, "Ann"), "requestKey": (None, "k1")}
        first, second = (person.post(f"{address}/runs", files=form) for _ in range(2))
        assert first.headers["location"] == second.headers["location"]
        assert len(it.http.get("/v1/runs").json()["items"]) == 1


def test_faults_of_a_form_stand_at_their_field_and_keep_what_was_written(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        person = signed_in(it)
        answer = person.post(f"{saved(person)}/runs", files={"/name": (None, "Annabella")})
        assert answer.status_code == 422
        assert 'value="Annabella"' in answer.text
        assert "Must have at most 5 characters." in answer.text
        assert 'aria-invalid="true"' in answer.text


def test_photos_come_from_a_subject_or_from_the_form(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        person = signed_in(it)
        address = saved(person)
        dataset = uploaded.a_dataset(it, pictures=2)
        assert "Fuchsi: 2 photos" in person.get(address).text
        chosen = person.post(
            f"{address}/runs", files={"/name": (None, "A"), "/photos": (None, str(dataset))}
        )
        assert chosen.status_code == 303
        photos = [("/photos", (f"{n}.png", uploaded._png(n), "image/png")) for n in (1, 2)]
        sent = person.post(f"{address}/runs", files=[("/name", (None, "A")), *photos])
        assert sent.status_code == 303, sent.text
        few = person.post(f"{address}/runs", files=[("/name", (None, "A")), photos[0]])
        assert few.status_code == 422
        assert "Needs at least 2 pictures, not 1." in few.text
        assert "1 photo</strong> uploaded already" in few.text


def test_photos_are_added_to_those_that_were_uploaded_already(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        person = signed_in(it)
        runs = f"{saved(person)}/runs"
        photos = [("/photos", (f"{n}.png", uploaded._png(n), "image/png")) for n in (1, 2)]
        few = person.post(runs, files=[("/name", (None, "A")), photos[0]])
        kept = re.search(r'name="/photos" value="([^"]+)"', few.text)
        assert kept is not None
        before = ("/photos", (None, kept[1]))
        sent = person.post(runs, files=[("/name", (None, "A")), before, photos[1]])
        assert sent.status_code == 303, sent.text
        run = it.http.get(f"/v1{sent.headers['location']}").json()
        assert run["input"]["photos"] == kept[1]
        taken = person.post(runs, files=[("/name", (None, "A")), before, photos[0]])
        assert taken.status_code == 422  # a run has those photos now: it does not get more


def test_photos_are_never_added_to_a_subject_s(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        person = signed_in(it)
        runs = f"{saved(person)}/runs"
        dataset = uploaded.a_dataset(it, pictures=2)
        photo = ("/photos", ("9.png", uploaded._png(9), "image/png"))
        files = [("/name", (None, "A")), ("/photos", (None, str(dataset))), photo]
        assert person.post(runs, files=files).status_code == 422
        assert len(it.http.get(f"/v1/datasets/{dataset}").json()["images"]) == 2


@pytest.mark.parametrize("named", ["no id", "0" * 32])
def test_photos_that_are_not_there_leave_the_form_filled_in(tmp_path: Path, named: str) -> None:
    with serving(tmp_path) as it:
        person = signed_in(it)
        files = {"/name": (None, "Ann"), "/photos": (None, named)}
        answer = person.post(f"{saved(person)}/runs", files=files)
        assert answer.status_code == 422, answer.text
        assert 'value="Ann"' in answer.text
        assert "uploaded already" not in answer.text


def test_a_run_shows_its_steps_and_what_they_were_told_and_left(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        person = signed_in(it)
        flow = it.http.post("/v1/flows", json={"definition": FLOW}).json()["id"]
        run = person.post(f"/flows/{flow}/runs", files={"requestKey": (None, "k")}).headers[
            "location"
        ]
        assert "every 2s" in person.get(run).text
        carried_on(it)
        page = shown(person.get(run))
        assert "first" in page
        assert "packed" in page
        assert '"number": 7' in page
        status = person.get(f"{run}/status?seen=other", headers={"hx-request": "true"})
        assert status.headers["hx-trigger"] == "more-to-see"
        seen = re.search(r"seen=([^\"]+)", status.text)
        assert seen is not None
        again = person.get(f"{run}/status?seen={seen[1]}", headers={"hx-request": "true"})
        assert "hx-trigger" not in again.headers


def test_a_run_that_nobody_can_pay_leads_to_credit_and_says_so_to_who_only_looks(
    tmp_path: Path,
) -> None:
    with serving(tmp_path, starting_balance=25_000) as it:
        person, viewer = signed_in(it), signed_in(it, Role.VIEWER)
        flow = it.http.post("/v1/flows", json={"definition": FLOW}).json()["id"]
        run = person.post(f"/flows/{flow}/runs", files={"requestKey": (None, "k")}).headers[
            "location"
        ]
        carried_on(it)
        for page in (person.get(run).text, viewer.get(run).text):
            assert "The balance is used up" in page
        assert 'href="/billing#add-credit">Add credit</a>' in person.get(run).text
        assert "Go on at the failed step" in person.get(run).text
        assert "Go on at the failed step" not in viewer.get(run).text
        assert "Add credit" not in viewer.get(run).text


def test_a_viewer_reads_and_changes_nothing(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        address = saved(signed_in(it))
        viewer = signed_in(it, Role.VIEWER)
        page = viewer.get(address)
        assert page.status_code == 200
        assert "One address starts at most 10 runs in 1 h." in page.text
        for words in ("Make it public", "Delete flow", ">Run ·"):
            assert words not in page.text
        for path in ("/flows", f"{address}/definition"):
            assert viewer.post(path, data={"definition": SMALL}).status_code == 403
        for path in (f"{address}/public", f"{address}/delete"):
            assert viewer.post(path).status_code == 403
        assert viewer.post(f"{address}/runs", files={"/name": (None, "A")}).status_code == 403


def test_another_organization_s_flows_and_runs_are_not_here(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        they = neighbours(it)
        theirs = they.post("/v1/flows", json={"definition": FLOW}).json()["id"]
        run = they.post(f"/v1/flows/{theirs}/runs", json={"input": {}}).json()["id"]
        person = signed_in(it)
        for path in (f"/flows/{theirs}", f"/flows/{theirs}/definition", f"/runs/{run}"):
            page = person.get(path)
            assert page.status_code == 404, path
            assert "Not here" in page.text
