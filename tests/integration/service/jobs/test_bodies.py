"""The bodies of jobs by themselves, in this process, on the embedded base model and a storage."""

import io
import json
import threading
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from PIL import ExifTags, Image
from tests import taught
from tests.bucket import KEYS, make_bucket, s3_server
from tests.faulty_bucket import FaultyBucket
from tests.remembered import SetClock
from tests.vision_endpoint import refuses, says, serve_vision

from modelgenerator.service.config import ServiceConfig
from modelgenerator.service.jobs import bodies, generate_objects, train
from modelgenerator.service.jobs.bodies import Tools, body_of
from modelgenerator.service.jobs.checkpoint_keys import read_key
from modelgenerator.service.jobs.messages import (
    Assignment,
    CheckpointStored,
    Failed,
    Message,
    Phase,
    PhaseBegun,
    PictureStored,
    Progressed,
    Stopped,
    Succeeded,
    Told,
)
from modelgenerator.service.records.job_specs import (
    DrawnPicture,
    GenerateObjectsSpec,
    TrainResult,
    Written,
    ZipEntry,
    ZipSpec,
)
from modelgenerator.service.records.jobs import Fault, JobKind
from modelgenerator.service.store.bucket import BucketFiles
from modelgenerator.service.store.files import Files
from modelgenerator.service.store.folder import FolderFiles
from modelgenerator.service.store.links import LinkSigner
from modelgenerator.service.store.patience import RESTARTING, Patience

ORGANIZATION = UUID(int=5)


@pytest.fixture
def storage(tmp_path: Path) -> FolderFiles:
    return FolderFiles(tmp_path / "files", LinkSigner([b"s" * 32]), SetClock(), base_url="")


class Running:
    """A body at work; the test takes its messages."""

    def __init__(self, storage: Files, folder: Path, **config: object) -> None:
        self.storage, self.folder = storage, folder
        self.config = ServiceConfig.model_validate({"data_dir": folder, **config})
        self.job_id = uuid4()
        self.attempt = 0

    def begin(self, kind: JobKind, spec: Written, *, seconds: float = 0.0, **more: object):
        self.attempt += 1
        assignment = Assignment(
            job_id=self.job_id, attempt=self.attempt, kind=kind, spec=spec.as_json(), **more
        )
        here = self.folder / f"{self.job_id}-{self.attempt}"
        here.mkdir()
        self.tools = Tools(
            config=self.config, files=self.storage, folder=here, checkpoint_seconds=seconds
        )
        return body_of(kind)(assignment, self.tools)

    def all_of(self, kind: JobKind, spec: Written, **more: object) -> list[Message]:
        return list(self.begin(kind, spec, **more))


@pytest.fixture
def running(storage: FolderFiles, tmp_path: Path) -> Running:
    return Running(storage, tmp_path)


def told(messages: Sequence[Message], name: str) -> list[dict[str, object]]:
    return [dict(one.data) for one in messages if isinstance(one, Told) and one.name == name]


def of_kind(messages, kind):
    return [one for one in messages if isinstance(one, kind)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Message], FolderFiles]:
    """All that a training says that nobody interrupts, and the storage that it wrote to."""
    folder = tmp_path_factory.mktemp("whole")
    storage = FolderFiles(folder / "files", LinkSigner([b"s" * 32]), SetClock(), base_url="")
    pictures = taught.pictures_in(storage, ORGANIZATION)
    spec = taught.training(ORGANIZATION, pictures, sampleEvery=5, saveEvery=2)
    spec = spec.model_copy(update={"settings": {**spec.settings, "samplePrompts": ["lvff"]}})
    return Running(storage, folder).all_of(JobKind.TRAIN, spec, seconds=1e9), storage


@pytest.mark.slow
def test_a_training_says_everything_on_its_way(whole):
    messages, storage = whole
    end = messages[-1]
    assert isinstance(end, Succeeded), end
    result = TrainResult.from_json(end.result)
    assert storage.size(result.storage_key) == result.byte_count
    assert (result.steps, result.family) == (40, "stable-diffusion-1")
    phases = [one.phase.value for one in of_kind(messages, PhaseBegun)]
    once = list(dict.fromkeys(phases))
    assert once == [
        *("preparingDataset", "loadingBaseModel", "encoding", "training", "sampling", "saving")
    ]
    (prepared,) = told(messages, "datasetPrepared")
    assert len(prepared["used"]) == 8
    steps = [step for one in told(messages, "steps") for step in one["steps"]]
    assert steps == list(range(1, 41))
    assert len(told(messages, "steps")) < 20
    last = [one for one in of_kind(messages, Progressed) if "step" in one.progress][-1]
    assert (last.progress["step"], last.progress["totalSteps"]) == (40, 40)
    assert {"epoch", "loss", "learningRate", "d", "stepsPerSecond", "secondsRemaining"} < set(
        last.progress
    )
    (sample,) = told(messages, "sample")
    with Image.open(io.BytesIO(storage.read(sample["storageKey"]))) as picture:
        assert picture.format == "PNG"
    assert [one["epoch"] for one in told(messages, "loraSaved")] == [2, 4]
    used = [one.used_ms for one in of_kind(messages, Progressed) if one.used_ms]
    assert used == sorted(used)
    assert end.used_ms >= used[-1]


@pytest.mark.slow
def test_a_stopped_training_goes_on_from_its_checkpoint_to_the_same_lora(whole, running):
    messages, _ = whole
    pictures = taught.pictures_in(running.storage, ORGANIZATION)
    spec = taught.training(ORGANIZATION, pictures, sampleEvery=5, saveEvery=2)
    spec = spec.model_copy(update={"settings": {**spec.settings, "samplePrompts": ["lvff"]}})
    first: list[Message] = []
    for message in running.begin(JobKind.TRAIN, spec):
        first.append(message)
        stored = of_kind(first, CheckpointStored)
        if stored and stored[-1].step >= 12:
            running.tools.stop.set()
    assert isinstance(first[-1], Stopped)
    newest = of_kind(first, CheckpointStored)[-1]
    assert first[-1].used_ms >= newest.used_ms
    kept = [key for key in running.storage.keys("organizations") if read_key(key)]
    assert len(kept) == 2
    assert newest.storage_key in kept

    # the newest is damaged on the way: the one before it is as good
    key = newest.storage_key
    running.storage.delete(key)
    running.storage.put(key, b"lost by the disk")
    second = running.all_of(
        JobKind.TRAIN, spec, seconds=1e9, checkpoint_key=key, used_ms=newest.used_ms
    )
    assert [one["reason"] for one in told(second, "checkpointUnusable")] == ["it is damaged"]
    (resumed,) = told(second, "resumed")
    assert 0 < resumed["step"] < newest.step
    steps = [step for one in told(second, "steps") for step in one["steps"]]
    assert steps == list(range(resumed["step"] + 1, 41))
    end = second[-1]
    assert isinstance(end, Succeeded), end
    assert end.result["sha256"] == messages[-1].result["sha256"]


@pytest.mark.slow
def test_a_training_that_was_given_gpus_runs_in_a_process_for_each_that_finds_work(running):
    pictures = taught.pictures_in(running.storage, ORGANIZATION)
    spec = taught.training(ORGANIZATION, pictures, batchSize=2, maxSteps=3)
    said = running.all_of(JobKind.TRAIN, spec, gpus=3)
    end = said[-1]
    assert isinstance(end, Succeeded), end
    (planned,) = told(said, "planned")
    assert planned["processes"] == 2
    notices = [one["message"] for one in told(said, "notice") if one["setting"] == "batchSize"]
    assert any(message.startswith("2 of 3 GPUs are used") for message in notices)
    assert [step for one in told(said, "steps") for step in one["steps"]] == [1, 2, 3]
    result = TrainResult.from_json(end.result)
    assert running.storage.size(result.storage_key) == result.byte_count


@pytest.mark.slow
def test_a_storage_that_starts_again_costs_a_training_nothing(whole, tmp_path, monkeypatch):
    """It is away when a checkpoint is due, and again when the LoRA is there."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(train, "_RARELY", 0)  # each checkpoint is stored, however quick a step is
    monkeypatch.setattr(bodies, "RESTARTING", replace(RESTARTING, pauses=(0.1,) * 50))
    hurried = Patience(first_backoff=timedelta(milliseconds=5), pauses=())
    with s3_server() as endpoint, FaultyBucket(endpoint) as proxy:
        make_bucket(endpoint, "kept")
        storage = BucketFiles("s3://kept/files", endpoint=proxy.address, patience=hurried)
        spec = taught.training(
            ORGANIZATION, taught.pictures_in(storage, ORGANIZATION), sampleEvery=5, saveEvery=2
        )
        spec = spec.model_copy(update={"settings": {**spec.settings, "samplePrompts": ["lvff"]}})
        said: list[Message] = []
        for message in Running(storage, tmp_path).begin(JobKind.TRAIN, spec):
            said.append(message)
            if isinstance(message, CheckpointStored) and len(of_kind(said, CheckpointStored)) == 1:
                proxy.stop()
            if isinstance(message, Told) and "could not be stored" in str(message.data):
                proxy.start()
            if message == PhaseBegun(Phase.SAVING):
                proxy.stop()
                threading.Timer(1.0, proxy.start).start()
        warnings = [one["message"] for one in told(said, "notice") if one["level"] == "warning"]
        first, *later = of_kind(said, CheckpointStored)
        assert [it for it in warnings if f"from step {first.step} elsewhere" in str(it)]
        assert later
        end = said[-1]
        assert isinstance(end, Succeeded), end
        steps = [step for one in told(said, "steps") for step in one["steps"]]
        assert steps == list(range(1, 41))
        assert end.result["sha256"] == whole[0][-1].result["sha256"]
        assert storage.read(end.result["storageKey"], sha256=end.result["sha256"])


def test_a_stop_while_pictures_are_prepared_ends_it(running):
    spec = taught.training(ORGANIZATION, taught.pictures_in(running.storage, ORGANIZATION))
    body = running.begin(JobKind.TRAIN, spec)
    said = [next(body)]
    running.tools.stop.set()
    said += body
    assert isinstance(said[-1], Stopped)
    assert of_kind(said, CheckpointStored) == []


def test_settings_that_cannot_be_used_are_the_persons_fault(running):
    pictures = taught.pictures_in(running.storage, ORGANIZATION)
    spec = taught.training(ORGANIZATION, pictures, learningRate=-1)
    (end,) = running.all_of(JobKind.TRAIN, spec)
    assert isinstance(end, Failed)
    assert (end.error.code, end.error.fault) == ("invalidSettings", Fault.THEIRS)
    assert "learningRate" in end.error.message


def test_a_picture_that_is_gone_is_our_fault(running):
    pictures = taught.pictures_in(running.storage, ORGANIZATION)
    running.storage.delete(pictures[0].storage_key)
    end = running.all_of(JobKind.TRAIN, taught.training(ORGANIZATION, pictures))[-1]
    assert isinstance(end, Failed)
    assert (end.error.code, end.error.fault) == ("notFound", Fault.OURS)


def drawn(messages: Sequence[Message]) -> list[DrawnPicture]:
    return [one.picture for one in of_kind(messages, PictureStored)]


@pytest.mark.slow
def test_pictures_are_drawn_with_the_lora_and_without(whole, running):
    messages, storage = whole
    lora = taught.lora_of(TrainResult.from_json(messages[-1].result))
    running.storage.put(lora.storage_key, storage.read(lora.storage_key))
    spec = taught.drawing(
        ORGANIZATION,
        taught.picture(0, lora),
        taught.picture(1),
        taught.picture(2, lora, loraScale=0),
        taught.picture(3, lora, format="jpeg"),
        taught.picture(4, format="webp", width=48),
    )
    said = running.all_of(JobKind.GENERATE, spec)
    assert isinstance(said[-1], Succeeded), said[-1]
    by_position = {one.position: one for one in drawn(said)}
    assert sorted(by_position) == [0, 1, 2, 3, 4]
    assert len([one for one in of_kind(said, PhaseBegun) if one.phase == "loadingBaseModel"]) <= 1

    images = {}
    for position, one in by_position.items():
        content = running.storage.read(one.storage_key)
        with Image.open(io.BytesIO(content)) as image:
            image.load()
            images[position] = image
    assert [images[n].format for n in range(5)] == ["PNG", "PNG", "PNG", "JPEG", "WEBP"]
    assert images[0].tobytes() != images[1].tobytes()
    assert images[2].tobytes() == images[1].tobytes()  # at scale 0 it is the base model alone
    assert images[4].size == (48, 32) == (by_position[4].width, by_position[4].height)
    assert "Steps: 4" in images[0].info["parameters"]
    for number in (3, 4):
        exif = images[number].getexif()
        assert b"S\0t\0e\0p\0s" in exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment]
        assert '"seed": 3' in exif[ExifTags.Base.ImageDescription]
    assert by_position[3].parameters == {
        "prompt": "lvff creature in the snow",
        "negativePrompt": "",
        "steps": 4,
        "guidanceScale": by_position[0].parameters["guidanceScale"],
        "loraScale": 1.0,
        "scheduler": None,
        "format": "jpeg",
        "baseModel": taught.BASE,
        "trainingId": str(taught.TRAINING),
    }

    again = running.all_of(JobKind.GENERATE, spec, drawn=frozenset({0, 1, 2, 4}))
    assert [one.position for one in drawn(again)] == [3]
    assert all(one.phase == "drawing" for one in of_kind(again, PhaseBegun))  # it was warm


def test_the_end_of_a_long_prompt_that_is_not_read_is_told_once(running):
    long = "lvff creature in the snow, " * 30 + "with a red hat"
    spec = taught.drawing(
        ORGANIZATION,
        taught.picture(0, prompt=long, steps=1),
        taught.picture(1, prompt=long, steps=1, seed=4),
        taught.picture(2, steps=1),
    )
    said = running.all_of(JobKind.GENERATE, spec)
    assert isinstance(said[-1], Succeeded), said[-1]
    (notice,) = told(said, "notice")
    assert (notice["level"], notice["setting"]) == ("warning", "prompt")
    assert "reads 30 tokens of it" in str(notice["message"])
    assert len(drawn(said)) == 3


def test_a_lora_that_is_not_what_was_stored_is_not_used(running):
    lora = taught.lora_of(
        TrainResult(
            storage_key="organizations/lora.safetensors",
            sha256="0" * 64,
            byte_count=3,
            base_model=taught.BASE,
            base_revision=None,
            family="",
            steps=1,
        )
    )
    running.storage.put(lora.storage_key, b"bad")
    spec = taught.drawing(ORGANIZATION, taught.picture(0, lora))
    end = running.all_of(JobKind.GENERATE, spec)[-1]
    assert isinstance(end, Failed)
    assert end.error.code == "fileDamaged"


def archive(*entries: ZipEntry) -> ZipSpec:
    return ZipSpec(
        run_id=UUID(int=1),
        step_id="zip",
        organization_id=ORGANIZATION,
        filename="result.zip",
        entries=entries,
        storage_prefix="organizations/runs/1/zip",
    )


def test_an_archive_holds_files_and_texts_and_its_jpegs_are_jpegs(running):
    png = io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(png, format="PNG")
    kept = running.storage.put("organizations/a.png", png.getvalue())
    large = running.storage.put("organizations/b.bin", (b"x" * 2**20 for _ in range(3)))
    spec = archive(
        ZipEntry(name="img_draw_1.jpg", storage_key=kept.key, sha256=kept.sha256),
        ZipEntry(name="large.bin", storage_key=large.key, sha256=large.sha256),
        ZipEntry(name="objects.json", text=json.dumps({"a": "ü"}, ensure_ascii=False)),
    )
    end = running.all_of(JobKind.ZIP, spec)[-1]
    assert isinstance(end, Succeeded), end
    content = running.storage.read(str(end.result["storageKey"]))
    assert len(content) == end.result["byteCount"]
    with zipfile.ZipFile(io.BytesIO(content)) as found:
        assert found.namelist() == ["img_draw_1.jpg", "large.bin", "objects.json"]
        assert found.testzip() is None
        assert json.loads(found.read("objects.json")) == {"a": "ü"}
        with Image.open(found.open("img_draw_1.jpg")) as picture:
            assert picture.format == "JPEG"
    again = running.all_of(JobKind.ZIP, spec)[-1]
    assert again.result["sha256"] == end.result["sha256"]


@pytest.mark.parametrize("name", ["a.bin", "a.jpg"])  # a JPEG would have to be made of it
def test_an_archive_of_a_damaged_file_is_none(running, name):
    kept = running.storage.put("organizations/a.bin", b"a")
    end = running.all_of(
        JobKind.ZIP, archive(ZipEntry(name=name, storage_key=kept.key, sha256="0" * 64))
    )[-1]
    assert isinstance(end, Failed)
    assert end.error.code == "fileDamaged"
    assert not list(running.storage.keys("organizations/runs"))


SCHEMA = {
    "type": "object",
    "properties": {"name": {"$ref": "#/$defs/name"}},
    "required": ["name"],
    "$defs": {"name": {"type": "string", "maxLength": 5}},
}


def objects(**more: object) -> GenerateObjectsSpec:
    usual = {
        "run_id": UUID(int=1),
        "step_id": "write",
        "organization_id": ORGANIZATION,
        "description": "names for a cat",
        "object_schema": SCHEMA,
        "input": {"colour": "red"},
        "amount": 1,
        "creativity": None,
        "context": None,
    }
    return GenerateObjectsSpec.model_validate({**usual, **more})


@pytest.fixture
def asking(storage: FolderFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(generate_objects, "PAUSE", 0.01)

    def ask(url: str | None, spec: GenerateObjectsSpec) -> list[Message]:
        words = {"object_generator_key": "s" * 20, "object_generator_model": "small"}
        given = {"object_generator_endpoint": url, **words} if url else {}
        return Running(storage, tmp_path, **given).all_of(JobKind.GENERATE_OBJECTS, spec)

    return ask


def test_an_object_is_written_that_fits_its_schema(asking):
    with serve_vision(says('```json\n{"name": "Ada"}\n```')) as endpoint:
        end = asking(endpoint.url, objects(creativity=5, context={"a": 1}))[-1]
    assert isinstance(end, Succeeded), end
    assert end.result["result"] == {"name": "Ada"}
    assert end.result["tokens"] > 0
    (asked,) = endpoint.asked
    assert asked.path == "/v1/chat/completions"
    assert asked.authorization == "Bearer " + "s" * 20
    assert (asked.body["model"], asked.body["temperature"]) == ("small", 0.5)
    assert asked.body["response_format"]["json_schema"]["schema"] == SCHEMA
    question = asked.body["messages"][0]["content"]
    assert "names for a cat" in question
    assert '"colour": "red"' in question
    assert '"a": 1' in question


def test_several_objects_come_as_a_list(asking):
    written = json.dumps({"list": [{"name": "Ada"}, {"name": "Bob"}]})
    with serve_vision(says(written)) as endpoint:
        end = asking(endpoint.url, objects(amount=2))[-1]
    assert end.result["result"] == json.loads(written)
    (asked,) = endpoint.asked
    assert asked.body["temperature"] == 1.0
    wanted = asked.body["response_format"]["json_schema"]["schema"]
    assert wanted["properties"]["list"]["items"]["properties"]["name"] == {
        "$ref": "#/properties/list/items/$defs/name"
    }


@pytest.mark.parametrize("misfit", ['{"name": "too long"}', "no JSON", "{}", '{"name": NaN}'])
def test_what_does_not_fit_is_asked_for_once_more(asking, misfit):
    with serve_vision(says(misfit), says('{"name": "Ada"}')) as endpoint:
        said = asking(endpoint.url, objects())
    assert isinstance(said[-1], Succeeded)
    assert len(told(said, "objectsDidNotFit")) == 1
    assert len(endpoint.asked[1].body["messages"]) == 3


def test_what_never_fits_is_a_failure_that_says_what_is_wrong(asking):
    with serve_vision(says('{"name": "too long"}')) as endpoint:
        end = asking(endpoint.url, objects())[-1]
    assert isinstance(end, Failed)
    assert (end.error.code, end.error.fault) == ("objectsUnusable", Fault.THEIRS)
    assert "/name" in end.error.message
    assert len(endpoint.asked) == 2


def test_a_busy_language_model_is_asked_again(asking):
    with serve_vision(refuses(503), says('{"name": "Ada"}')) as endpoint:
        assert isinstance(asking(endpoint.url, objects())[-1], Succeeded)


def test_a_language_model_that_does_not_answer_is_our_fault_and_may_pass(asking):
    with serve_vision(refuses(500)) as endpoint:
        end = asking(endpoint.url, objects())[-1]
    assert (end.error.code, end.may_pass) == ("objectGeneratorUnavailable", True)
    with serve_vision(refuses(401)) as endpoint:
        end = asking(endpoint.url, objects())[-1]
    assert (end.error.code, end.may_pass) == ("objectGeneratorRefused", False)
    assert "s" * 20 not in end.error.message
    end = asking(None, objects())[-1]
    assert end.error.fault is Fault.OURS
    assert "No language model" in end.error.message
