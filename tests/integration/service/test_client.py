"""The Python client against a server at an address of this machine."""

import json
from pathlib import Path

import pytest
from PIL import Image
from tests.flows import DRAWER, TRAINER, flow, transform
from tests.loopback import failing, loopback
from tests.working import png

from modelgenerator.client import (
    Client,
    InsufficientFunds,
    NotLetIn,
    NotThere,
    RequestRefused,
    ServerUnreachable,
    WorkFailed,
)
from modelgenerator.errors import InvalidFlow, InvalidSettings

SETTINGS = {"baseModel": "modelgenerator/creatures", "epochs": 1, "captionPrefix": "lvff"}
TRAIN = {**TRAINER, "parameters": {"datasetId": "$.input.photos", "settings": SETTINGS}}
PACK = {
    "id": "packer",
    "type": "Zipper",
    "parameters": {"sources": ["drawer"], "filename": "my all.zip"},
}
MADE = transform({"note": "$.input.name"})


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for shade in range(5):
        (folder / f"{shade}.png").write_bytes(png(shade, 256))
    (folder / "0.txt").write_text("a photo of it")
    return folder


def test_a_folder_is_trained_downloaded_and_drawn_with(tmp_path: Path, photos: Path):
    with loopback(tmp_path / "data") as server, Client(server.url, server.key) as client:
        training = client.train(
            photos, settings=SETTINGS, name="Fuchsi", kind="animal", class_name="fox"
        ).wait()
        assert training.status == "succeeded"
        record = training.read()
        assert record["name"] == "Fuchsi"
        lora = training.download(tmp_path)
        assert lora.suffix == ".safetensors"
        assert lora.read_bytes() == training.download(tmp_path / "mine").read_bytes()
        drawn = client.generate(
            ["lvff in snow", "lvff at sea"], training=training, output=tmp_path / "out", count=2
        )
        assert len(drawn) == 4
        assert len({path.name for path in drawn}) == 4
        Image.open(drawn[0]).verify()


def test_a_template_is_known_by_its_name(tmp_path: Path, photos: Path):
    with loopback(tmp_path / "data") as server, Client(server.url, server.key) as client:
        body = {"name": "quick", "settings": SETTINGS}
        server.serving.http.post("/v1/training-templates", json=body)
        assert client.train(photos, template="quick").wait().status == "succeeded"
        with pytest.raises(InvalidSettings, match="no template slow"):
            client.train(photos, template="slow")


def test_photos_are_not_sent_twice(tmp_path: Path, photos: Path):
    with loopback(tmp_path / "data") as server, Client(server.url, server.key) as client:
        dataset_id = server.serving.http.post("/v1/datasets").json()["id"]
        first = client.upload(dataset_id, photos)
        assert [each["status"] for each in first].count("accepted") >= 5
        (photos / "9.png").write_bytes(png(99, 256))
        (photos / "0.txt").unlink()
        assert [each["name"] for each in client.upload(dataset_id, photos)] == ["9.png"]


def test_a_flow_runs_and_its_results_are_downloaded(tmp_path: Path, photos: Path):
    file = tmp_path / "flow.json5"
    file.write_text(json.dumps(flow(TRAIN, DRAWER, MADE, PACK)) + " // mine")
    with loopback(tmp_path / "data") as server, Client(server.url, server.key) as client:
        run = client.run_flow(file, {"scenes": ["sea", "snow"]}, {"photos": photos})
        names = [event.name for event in run.wait().events()]
        assert names[0] == "queued"
        assert names[-1] == "finished"
        assert names.count("stepStarted") == 4
        saved = {path.name for path in run.download(tmp_path / "results")}
        assert saved == {
            "trainer.json",
            "drawer-000.png",
            "drawer-001.png",
            "made.json",
            "packer-my_all.zip",
        }
        assert run.results["made"] == {"note": "lvff"}
        again = client.run_flow(client.flow("portraits"), {"scenes": ["a"]}, {"photos": photos})
        assert again.id != run.id
        again.cancel()


def test_a_flow_that_is_saved_again_is_a_new_version_of_the_same(tmp_path: Path):
    with loopback(tmp_path / "data") as server, Client(server.url, server.key) as client:
        first = client.save_flow(flow(MADE))
        second = client.save_flow(flow(MADE, description="Better."))
        assert second.id == first.id
        assert second.read()["version"] == 2
        assert second.dataset_properties() == ["photos"]
        assert client.save_flow(flow(MADE, slug="other")).id != first.id


def test_what_fails_says_why_and_is_gone_on_with(tmp_path: Path, photos: Path):
    outcomes = [failing]
    from tests.loopback import _succeed

    def first_fails(here, job):
        (outcomes.pop() if outcomes else _succeed)(here, job)

    with (
        loopback(tmp_path / "data", do=first_fails) as server,
        Client(server.url, server.key) as client,
    ):
        run = client.run_flow(client.save_flow(flow(TRAIN)), {"scenes": ["a"]}, {"photos": photos})
        with pytest.raises(WorkFailed, match=r"It diverged\. Lower it\.") as raised:
            run.wait()
        assert raised.value.record["error"]["stepId"] == "trainer"
        run.resume()
        assert run.wait().status == "succeeded"


def test_refusals_come_as_errors_of_their_kinds(tmp_path: Path, photos: Path):
    with loopback(tmp_path / "data", starting_balance="0.005") as server:
        with Client(server.url, "wrong") as client, pytest.raises(NotLetIn):
            client.flow("x")
        with Client(server.url, server.key) as client:
            with pytest.raises(NotThere, match="no flow nothing"):
                client.flow("nothing")
            with pytest.raises(RequestRefused, match="no step of type") as raised:
                client.save_flow(flow({"id": "a", "type": "Zip"}))
            assert raised.value.problem["faults"][0]["pointer"] == "/steps/0/type"
            with pytest.raises(InsufficientFunds):
                client.run_flow(client.save_flow(flow(MADE)), {"scenes": ["a"]}, {"photos": photos})


def test_nobody_at_the_address_is_said_with_what_to_do(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("time.sleep", lambda _: None)
    with Client("http://127.0.0.1:9", "k") as client, pytest.raises(ServerUnreachable):
        client.flow("x")


def test_address_and_key_come_from_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MODELGENERATOR_URL", "http://there:1")
    monkeypatch.setenv("MODELGENERATOR_API_KEY", "k")
    with Client() as client:
        assert client._connection.base_url == "http://there:1"


def test_a_file_that_is_not_there_is_said(tmp_path: Path):
    with Client("http://127.0.0.1:9", "k") as client, pytest.raises(InvalidFlow, match="Cannot"):
        client.save_flow(tmp_path / "none.json5")
