"""What strangers call their things leads nowhere, and what is secret is repeated nowhere."""

import logging
import re
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from tests import uploaded
from tests.flows import flow, step, transform
from tests.serving import Serving, serving
from tests.working import png, work

from modelgenerator.service.app.logs import JsonLines
from modelgenerator.service.operations.carrying_on import carry_on
from modelgenerator.service.records.jobs import JobKind

NAMES = ("../../../etc/passwd", "/etc/passwd", "C:\\passwd", "passwd<script>alert(1)</script>")
TOKEN = "hf_nobodymayreadthis"


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Serving]]:
    """A folder, and a service two folders below it."""
    folder = tmp_path_factory.mktemp("folder")
    with serving(folder / "deep" / "data") as it:
        yield folder, it


@pytest.mark.parametrize("name", NAMES)
def test_no_name_becomes_a_path(deep: tuple[Path, Serving], name: str):
    folder, it = deep
    http = it.http
    subject = http.post("/v1/subjects", json={"name": name, "className": name}).json()
    dataset = subject["datasetId"]
    files = [("files", (f"{name}{n}.png", png(n))) for n in range(4)]
    sent = http.post(f"/v1/datasets/{dataset}/images", files=files)
    assert sent.status_code == 201, sent.text
    for address, more in (
        ("/v1/training-templates", {"settings": {}}),
        ("/v1/inference-packs", {"images": [{"prompt": name}]}),
        ("/v1/api-keys", {}),
    ):
        assert http.post(address, json={"name": name, **more}).status_code == 201, address
    asked = {"datasetId": dataset, "name": name, "settings": {**uploaded.SETTINGS}}
    training = http.post("/v1/trainings", json=asked).json()
    assert training["name"] == name
    uploaded.trained(it, uploaded.claimed(it))
    told = http.get(f"/v1/trainings/{training['id']}/model").headers["content-disposition"]
    assert re.fullmatch(r'attachment; filename="[\w. -]+"', told), told
    _run_a_flow(it, name, dataset)
    found = [path for path in folder.rglob("*") if "passwd" in str(path.relative_to(folder))]
    assert found == []
    assert [path.name for path in folder.iterdir()] == ["deep"]
    assert [path.name for path in (folder / "deep").iterdir()] == ["data"]


def _run_a_flow(it: Serving, name: str, dataset: str) -> None:
    packer = step("Zipper", "packer", sources=["made"])
    definition = flow(transform({"name": name}), packer, title=name)
    saved = it.http.post("/v1/flows", json={"definition": definition})
    assert saved.status_code == 201, saved.text
    address = f"/v1/flows/{saved.json()['id']}/runs"
    assert (
        it.http.post(address, json={"input": {"photos": dataset, "scenes": [name]}}).status_code
        == 202
    )
    while carry_on(it.service):
        pass
    assert work(it, JobKind.ZIP)


def test_the_hubs_token_is_in_no_answer_and_no_line_of_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    caplog.set_level(logging.DEBUG)
    with serving(tmp_path) as it:
        dataset = str(uploaded.a_dataset(it))
        settings = {**uploaded.SETTINGS, "baseModel": "somebody/secret-model"}
        answers = [
            it.http.post("/v1/trainings", json={"datasetId": dataset, "settings": settings}),
            it.http.post(
                "/v1/inferences",
                json={"baseModel": "somebody/secret-model", "images": [{"prompt": "a"}]},
            ),
            it.http.get("/metrics"),
            it.http.get("/openapi.json"),
            it.http.get("/readyz"),
        ]
        statuses = [answer.status_code for answer in answers]
        assert statuses == [503, 503, 200, 200, 200], answers[0].text
    lines = [JsonLines().format(record) for record in caplog.records]
    assert lines
    assert [line for line in lines if TOKEN in line] == []
    assert [answer.url for answer in answers if TOKEN in answer.text] == []
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path for path in kept if TOKEN.encode() in path.read_bytes()] == []


def test_a_key_in_an_address_opens_nothing_and_stays_out_of_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO)
    with serving(tmp_path) as it:
        key = it.http.headers["Authorization"].removeprefix("Bearer ")
        for name in ("key", "api_key", "apiKey", "access_token", "token", "Authorization"):
            for asks in (it.http, it.with_key(None)):
                refused = asks.get(f"/v1/organization?{name}={key}")
                assert (refused.status_code, refused.json()["code"]) == (401, "unauthenticated")
                assert "revoke" in refused.json()["hint"]
    lines = [JsonLines().format(record) for record in caplog.records if "httpx" not in record.name]
    assert lines
    assert [line for line in lines if key in line] == []


def test_a_prompt_is_kept_and_told_as_it_was_written(tmp_path: Path):
    words = "🦊 <script>alert('x')</script> {{ $.store }} \u202eabc \\ \"q\" "
    prompt = (words * (10_000 // len(words) + 1))[:10_000]
    with serving(tmp_path) as it:
        made = it.http.post(
            "/v1/inferences", json={"baseModel": "creatures", "images": [{"prompt": prompt}]}
        )
        assert made.status_code == 202, made.text
        job = uploaded.claimed(it, JobKind.GENERATE)
        assert job.spec["pictures"][0]["settings"]["prompt"] == prompt
        shown = it.http.get(f"/v1/inferences/{made.json()['id']}")
        assert shown.json()["images"][0]["prompt"] == prompt
        assert UUID(shown.json()["id"])
        assert shown.headers["content-type"] == "application/json"
        assert shown.headers["x-content-type-options"] == "nosniff"
