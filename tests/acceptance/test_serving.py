"""The service as an operator has it: the real command, real signals, real files."""

import subprocess
import time
from pathlib import Path

import httpx
import pytest
from tests.server import server

from modelgenerator.cli import demo


@pytest.fixture(scope="module")
def photos_of_lvff(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a person would have: pictures of a subject that the base model has never seen."""
    folder = tmp_path_factory.mktemp("photos")
    demo.draw_photos(folder)
    return folder


def test_the_printed_curl_works_and_secrets_are_shown_once(tmp_path: Path):
    with server(tmp_path) as it:
        curl = next(line for line in it.said.splitlines() if line.strip().startswith("curl "))
        answer = subprocess.run(curl, shell=True, capture_output=True, text=True, check=True)
        assert '"availableInWords"' in answer.stdout or '"balance":100000000' in answer.stdout
        assert it.key in it.said
        assert it.stop() == 0
        it.start()
        assert it.key not in it.said
        assert "password" not in it.said
        log = (tmp_path / "server.log").read_text()
    assert it.key not in log


def test_what_was_accepted_is_there_after_a_kill(tmp_path: Path):
    with server(tmp_path) as it:
        with it.http() as http:
            made = http.post("/v1/subjects", json={"name": "Ada"})
            it.kill()
        assert made.status_code == 201
        it.start()
        with it.http() as http:
            assert http.get(f"/v1/subjects/{made.json()['id']}").json()["name"] == "Ada"


def test_two_servers_on_one_port_are_told_apart(tmp_path: Path):
    with server(tmp_path) as it:
        command = [Path(it.process.args[0]), "serve", "--port", str(it.port)]
        second = subprocess.run(
            [*command, "--data-dir", str(tmp_path / "other")],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert second.returncode == 2
    assert "--port" in second.stderr
    assert "Traceback" not in second.stderr


def test_event_streams_end_when_the_server_ends(tmp_path: Path, photos_of_lvff: Path):
    with server(tmp_path) as it, it.http() as http:
        training = _training(http, photos_of_lvff, epochs=200)
        with http.stream("GET", f"/v1/trainings/{training}/events") as stream:
            lines = stream.iter_lines()
            while "training" not in next(lines):
                pass
            began = time.monotonic()
            assert it.stop() == 0
            assert time.monotonic() - began < 60
            for _ in lines:
                pass


def test_a_training_goes_on_after_the_server_was_ended_and_started(
    tmp_path: Path, photos_of_lvff: Path
):
    with server(tmp_path) as it:
        with it.http() as http:
            training = _training(http, photos_of_lvff, epochs=12)
            _until(http, training, lambda seen: (seen["progress"] or {}).get("step", 0) >= 8)
        assert it.stop() == 0
        it.start()
        with it.http() as http:
            ended = _until(http, training, lambda seen: seen["finishedAt"] is not None)
            told = _events(http, training)
    assert ended["status"] == "succeeded"
    assert "resumed" in told
    assert told.count("finished") == 1
    assert ended["finalCost"] > 0


def _training(http: httpx.Client, photos: Path, **settings: object) -> str:
    dataset = http.post("/v1/subjects", json={"name": "Luff"}).json()["datasetId"]
    files = [("files", (path.name, path.read_bytes())) for path in sorted(photos.iterdir())]
    http.post(f"/v1/datasets/{dataset}/images", files=files).raise_for_status()
    asked = {"baseModel": "creatures", "captionPrefix": "lvff", "seed": 7, **settings}
    made = http.post("/v1/trainings", json={"datasetId": dataset, "settings": asked})
    assert made.status_code == 202, made.text
    return made.json()["id"]


def _until(http: httpx.Client, training: str, holds) -> dict:
    give_up = time.monotonic() + 180
    while time.monotonic() < give_up:
        seen = http.get(f"/v1/trainings/{training}").json()
        if holds(seen):
            return seen
        time.sleep(0.1)
    raise AssertionError(seen)


def _events(http: httpx.Client, training: str) -> list[str]:
    with http.stream("GET", f"/v1/trainings/{training}/events") as stream:
        return [line[7:] for line in stream.iter_lines() if line.startswith("event: ")]
