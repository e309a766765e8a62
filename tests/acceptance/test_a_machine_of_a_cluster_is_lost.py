"""A training on a Ray cluster whose machine loses its power, through the real server."""

import json
import signal
from collections.abc import Iterator
from typing import Any

import httpx
import psutil
import pytest
from tests import bucket, taught
from tests.clusters import Machines, ray_cluster
from tests.server import Server

pytestmark = pytest.mark.slow
SECONDS = 150
STEPS = 80


@pytest.fixture(scope="module")
def machines() -> Iterator[Machines]:
    # the head runs nothing itself: it may lose any of the others
    with ray_cluster(2, 2, head_cpus=0) as started:
        yield started


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, machines: Machines) -> Iterator[Server]:
    with bucket.s3_server() as endpoint:
        bucket.make_bucket(endpoint, "kept")
        environment = {
            **bucket.KEYS,
            "STORAGE_URL": "s3://kept/files",
            "MODELGENERATOR_STORAGE_ENDPOINT": endpoint,
            "MODELGENERATOR_CHECKPOINT_SECONDS": "1",
            "EXECUTOR": "ray",
            "RAY_ADDRESS": machines.address,
        }
        it = Server(tmp_path_factory.mktemp("server") / "data", environment)
        it.start()
        yield it
        if it.process is not None:
            it.kill()


@pytest.fixture(scope="module")
def http(server: Server) -> Iterator[httpx.Client]:
    with server.http() as asking:
        yield asking


@pytest.fixture(scope="module")
def dataset(http: httpx.Client) -> str:
    return _uploaded(http)


@pytest.fixture(scope="module")
def whole(http: httpx.Client, dataset: str) -> dict[str, Any]:
    """A training that nothing disturbed."""
    return _ended(http, _begun(http, dataset))


@pytest.mark.parametrize("sleeps", [False, True], ids=["its power is cut", "it sleeps"])
def test_a_training_goes_on_on_another_machine_to_the_same_lora_and_is_paid_once(
    machines: Machines, http: httpx.Client, dataset: str, whole: dict[str, Any], sleeps: bool
):
    before = _balance(http)
    address = _begun(http, dataset)
    _, saved = next(_events(http, address, "checkpointSaved"))
    lost = _machine_that_trains(machines)
    sleepers = machines.processes_of(lost)
    machines.signal(lost, signal.SIGSTOP if sleeps else signal.SIGKILL)
    training = _ended(http, address)
    machines.signal(lost, signal.SIGCONT)
    psutil.wait_procs(sleepers, timeout=SECONDS)
    assert not any(process.is_running() for process in sleepers)
    machines.replace(lost)

    assert http.get(address).json() == training
    assert training["model"]["sha256"] == whole["model"]["sha256"]
    events = list(_events(http, address))
    names = [name for name, _ in events]
    assert [names.count(name) for name in ("attemptLost", "resumed", "finished")] == [1, 1, 1]
    assert "The process that worked on it" in events[names.index("attemptLost")][1]["message"]
    after = events[names.index("resumed") :]
    step = after[0][1]["step"]
    assert saved["step"] <= step < STEPS
    assert next(data["steps"][0] for name, data in after if name == "steps") == step + 1

    entries = http.get("/v1/organization/ledger").json()["items"]
    paid = [one["jobId"] for one in entries if one["kind"] == "training"]
    assert len(set(paid)) == len(paid)
    assert before - _balance(http) == training["finalCost"] > 0


def _uploaded(http: httpx.Client) -> str:
    subject = http.post("/v1/subjects", json={"name": "Luff"}).json()
    photos = [("files", (name, content)) for name, content in taught.photo_files().items()]
    sent = http.post(f"/v1/datasets/{subject['datasetId']}/images", files=photos)
    assert sent.status_code == 201, sent.text
    return subject["datasetId"]


def _begun(http: httpx.Client, dataset: str) -> str:
    settings = {"baseModel": taught.BASE, "captionPrefix": "lvff", "maxSteps": STEPS, "seed": 7}
    made = http.post("/v1/trainings", json={"datasetId": dataset, "settings": settings})
    assert made.status_code == 202, made.text
    return f"/v1/trainings/{made.json()['id']}"


def _ended(http: httpx.Client, address: str) -> dict[str, Any]:
    for _ in _events(http, address):
        pass
    training = http.get(address).json()
    assert training["status"] == "succeeded", training
    return training


def _events(
    http: httpx.Client, address: str, wanted: str | None = None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """From the first to the last, as they come; only those of one name, where it is given."""
    with http.stream("GET", f"{address}/events", timeout=SECONDS) as told:
        name = ""
        for line in told.iter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: ") and wanted in (None, name):
                yield name, json.loads(line.removeprefix("data: "))


def _balance(http: httpx.Client) -> int:
    return http.get("/v1/organization").json()["balance"]


def _machine_that_trains(machines: Machines) -> Any:
    (found,) = [
        machine
        for machine in machines.cluster.worker_nodes
        if any(
            "child_process import serve" in " ".join(process.cmdline())
            for process in machines.processes_of(machine)
        )
    ]
    return found
