"""Two servers of one deployment: all they share is a database in Postgres and a bucket."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests import taught
from tests.acceptance.conftest import wait_for
from tests.browsing import administrator
from tests.chaos import FLOW
from tests.deployments import is_cluster, shared_environment
from tests.server import Server, another, started
from tests.told import listening

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not is_cluster(), reason="several servers: make test-cluster tries them"),
]
SECONDS = 150
STEPS = 120
RUNS = 10
ENVIRONMENT = {
    "MODELGENERATOR_LEASE_SECONDS": "6",
    "MODELGENERATOR_CHECKPOINT_SECONDS": "1",
    "MODELGENERATOR_WEBHOOK_PRIVATE_NETWORKS": "on",
}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Server]]:
    """The second one does not find an empty deployment."""
    folder = tmp_path_factory.mktemp("pair")
    first = Server(folder / "first" / "data", {**shared_environment(), **ENVIRONMENT})
    with started(first), another(first, folder / "second") as second:
        yield first, second


def test_of_two_servers_that_begin_together_one_makes_the_tables_and_the_organization(
    tmp_path: Path,
):
    environment = shared_environment()
    both = [Server(tmp_path / name / "data", environment, key="none") for name in ("a", "b")]
    starts = [threading.Thread(target=one.start) for one in both]
    for start in starts:
        start.start()
    for start in starts:
        start.join()
    try:
        assert [("API key" in one.said) for one in both].count(True) == 1
        (key,) = {one.key for one in both} - {"none"}
        with both[0].http(key) as http, both[1].http(key) as other:
            assert http.get("/v1/organization").json() == other.get("/v1/organization").json()
        with both[0].opened() as service, service.database.reading() as transaction:
            assert len(transaction.identities.organizations()) == 1
    finally:
        for one in both:
            one.kill()


def test_who_signed_in_at_one_is_let_in_at_the_other(pair: tuple[Server, Server]):
    first, second = pair
    assert "password" not in second.said
    email, password = administrator(first)
    with httpx.Client(headers={"sec-fetch-site": "same-origin"}) as browser:
        let_in = browser.post(f"{first.url}/sign-in", data={"email": email, "password": password})
        session = {"cookie": let_in.headers["set-cookie"].partition(";")[0]}
        home = httpx.get(f"{second.url}/", headers=session)
        assert (home.status_code, "Sign out" in home.text) == (200, True)
        httpx.post(f"{second.url}/sign-out", headers={**session, **browser.headers})
        assert httpx.get(f"{first.url}/", headers=session).is_redirect


def test_a_run_and_a_message_happen_once_though_both_carry_on(pair: tuple[Server, Server]):
    with listening() as listener, pair[0].http() as http, pair[1].http() as other:
        made = http.post("/v1/webhooks", json={"url": listener.url})
        before = Counter(entry["kind"] for entry in _ledger(http))
        flow = http.post("/v1/flows", json={"definition": FLOW}).json()["id"]
        runs = [
            at.post(f"/v1/flows/{flow}/runs", json={"input": {}}).json()["id"]
            for _ in range(RUNS // 2)
            for at in (http, other)
        ]
        for run in runs:
            names = [name for name, _ in _events(other, f"/v1/runs/{run}")]
            assert Counter(names)["stepStarted"] == Counter(names)["stepFinished"] == 2, names
        paid = Counter(entry["kind"] for entry in _ledger(other)) - before
        assert paid == {"flowRun": RUNS, "objectTransformer": RUNS, "zipper": RUNS}
        wait_for(lambda: len(listener.told) >= 2 * RUNS)
        time.sleep(3)  # both servers have looked again for what is to be sent
        http.delete(f"/v1/webhooks/{made.json()['id']}").raise_for_status()
        sent = Counter(one.headers["webhook-id"] for one in listener.told)
        assert (len(sent), set(sent.values())) == (2 * RUNS, {1})


def test_a_server_is_killed_and_the_other_goes_on_from_the_checkpoint(pair: tuple[Server, Server]):
    with pair[0].http() as http:
        address = _begun(http)
        # told by one, whoever of the two runs it
        _, saved = next(_events(http, address, wanted="checkpointSaved"))
        runner = _who_runs(pair)
    reader = next(one for one in pair if one is not runner)
    with reader.http() as http:
        before = _balance(http)
        seen: list[tuple[int, str, Any]] = []
        for event in _numbered(http, address):
            seen.append(event)
            if event[1] == "checkpointSaved" and runner.process is not None:
                runner.kill()
        names = [name for _, name, _ in seen]
        assert [names.count(name) for name in ("attemptLost", "resumed", "finished")] == [1, 1, 1]
        after = seen[names.index("resumed") :]
        step = after[0][2]["step"]
        assert saved["step"] <= step < STEPS
        assert next(data for _, name, data in after if name == "steps")["steps"][0] == step + 1
        training = http.get(address).json()
        assert training["status"] == "succeeded"
        assert before - _balance(http) == training["finalCost"] > 0
        model = http.get(f"{address}/model", follow_redirects=True)
        assert len(model.content) == training["model"]["byteCount"]
    runner.start()
    with runner.http() as http:
        middle, _, _ = seen[len(seen) // 2]
        assert list(_numbered(http, address, after=middle)) == seen[len(seen) // 2 + 1 :]


def _begun(http: httpx.Client) -> str:
    subject = http.post("/v1/subjects", json={"name": "Luff"}).json()
    photos = [("files", (name, content)) for name, content in taught.photo_files().items()]
    http.post(f"/v1/datasets/{subject['datasetId']}/images", files=photos).raise_for_status()
    settings = {"baseModel": taught.BASE, "captionPrefix": "lvff", "maxSteps": STEPS, "seed": 7}
    asked = {"datasetId": subject["datasetId"], "settings": settings}
    made = http.post("/v1/trainings", json=asked)
    assert made.status_code == 202, made.text
    return f"/v1/trainings/{made.json()['id']}"


def _who_runs(pair: tuple[Server, Server]) -> Server:
    """Dispatchers call themselves by their process."""
    with pair[0].opened() as service, service.database.reading() as transaction:
        (job,) = transaction.jobs.running()
    owners = [f"-{one.process.pid}-" if one.process else "nobody" for one in pair]
    (found,) = (pair[n] for n, owner in enumerate(owners) if owner in str(job.lease_owner))
    return found


def _events(
    http: httpx.Client, address: str, wanted: str | None = None
) -> Iterator[tuple[str, dict[str, Any]]]:
    return ((name, data) for _, name, data in _numbered(http, address) if wanted in (None, name))


def _numbered(
    http: httpx.Client, address: str, after: int = 0
) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """What is kept of what a job told, as it comes."""
    headers = {"Last-Event-ID": str(after)}
    with http.stream("GET", f"{address}/events", headers=headers, timeout=SECONDS) as told:
        told.raise_for_status()
        event: dict[str, str] = {}
        for line in told.iter_lines():
            name, _, value = line.partition(": ")
            event[name] = value
            if line == "" and "id" in event:
                yield int(event["id"]), event["event"], json.loads(event["data"])
            if line == "":
                event = {}


def _ledger(http: httpx.Client) -> list[dict[str, Any]]:
    return http.get("/v1/organization/ledger?limit=200").json()["items"]


def _balance(http: httpx.Client) -> int:
    return http.get("/v1/organization").json()["balance"]
