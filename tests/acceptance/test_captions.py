"""Photos without words get some, beside them, where a person can mend them."""

import json
import shutil

import pytest
from tests.hub import Served, serve_hub
from tests.tiny_captioners import save_tiny_florence2
from tests.vision_endpoint import refuses, says, serve_vision

from modelgenerator.captioning.hub_models import HUB_MODELS

WOMAN = ("--kind", "person", "--class-name", "woman")


def captions(photos):
    return {file.name: file.read_text().strip() for file in photos.glob("*.txt")}


def test_without_a_captioner_photos_get_the_class_name_and_their_own_words_stay(
    modelgenerator, photos
):
    done = modelgenerator("caption", photos, *WOMAN)
    assert (done.returncode, done.stderr) == (0, "")
    assert captions(photos) == {
        "astronaut.txt": "a woman in an orange suit",
        "cat.txt": "a cat that looks up",
        "coffee.txt": "a photo of a woman",
        "rocket.txt": "a photo of a woman",
    }
    assert "--captioner florence2, which downloads" in done.stdout
    assert "coffee.txt: a photo of a woman [template]" in done.stdout
    assert "2 for 4 pictures; 2 had theirs and kept them" in done.stdout

    again = modelgenerator("caption", photos, *WOMAN)
    assert "captions written: 0 for 4 pictures" in again.stdout


def test_captions_that_were_written_are_trained_with_and_the_record_is_no_photo(
    modelgenerator, photos, train_words
):
    modelgenerator("caption", photos, *WOMAN)
    (photos / "rocket.txt").write_text("a rocket, as I say")
    done = modelgenerator(*train_words("out", maxSteps=2))
    assert (done.returncode, done.stderr) == (0, "")
    assert "captions.json" not in done.stdout
    assert (photos / ".captions.json").exists()


def test_an_endpoint_describes_each_photo_once(modelgenerator, photos):
    (photos / "cat.txt").unlink()
    sentences = [f"The image shows thing {n}." for n in (1, 2, 3)]
    with serve_vision(*[says(one) for one in sentences], refuses(400)) as server:
        where = {
            "MODELGENERATOR_CAPTIONER_URL": server.url,
            "MODELGENERATOR_CAPTIONER_MODEL": "eyes-7b",
            "MODELGENERATOR_CAPTIONER_KEY": "sk-secret",
        }
        done = modelgenerator("caption", photos, "--prefix", "lvff", "--json", **where)
        assert (done.returncode, done.stderr) == (0, "")
        first = captions(photos)
        for name in ("cat.txt", "coffee.txt", "rocket.txt"):
            (photos / name).unlink()
        again = modelgenerator("caption", photos, "--prefix", "lvff", **where)
        assert (again.returncode, again.stderr) == (0, "")
    assert captions(photos) == first
    assert first["cat.txt"] == "lvff thing 1."
    assert first["astronaut.txt"] == "a woman in an orange suit"
    assert len(server.asked) == 3
    record = json.loads((photos / ".captions.json").read_text())
    assert record["cat.png"] == {
        "caption": "lvff thing 1.",
        "original": "The image shows thing 1.",
        "captioner": "endpoint",
        "revision": f"eyes-7b at {server.url}",
    }
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert {"event": "result", "what": "cat.txt", "value": "lvff thing 1. [endpoint]"} in events
    assert "sk-secret" not in done.stdout + again.stdout + json.dumps(record)


def test_overwrite_replaces_a_persons_words_and_remembers_them(modelgenerator, photos):
    done = modelgenerator("caption", photos, *WOMAN, "--overwrite")
    assert (done.returncode, done.stderr) == (0, "")
    assert set(captions(photos).values()) == {"a photo of a woman"}
    record = json.loads((photos / ".captions.json").read_text())
    assert record["cat.png"]["replaced"] == "a cat that looks up"


def test_a_captioner_that_is_named_is_downloaded_and_then_taken_by_itself(
    modelgenerator, photos, tmp_path
):
    model = HUB_MODELS["florence2"]
    folder = save_tiny_florence2(tmp_path / "florence2")
    words = ("caption", photos, "--captioner", "florence2", "--max-tokens", "12")
    with serve_hub({model.repository: Served(folder, model.commit)}) as hub:
        done = modelgenerator(*words, HF_ENDPOINT=hub.address, HF_HUB_OFFLINE="0")
    assert (done.returncode, done.stderr) == (0, "")
    made = captions(photos)
    assert made["coffee.txt"] != made["rocket.txt"]
    assert all(len(made[name].split()) <= 12 for name in ("coffee.txt", "rocket.txt"))
    record = json.loads((photos / ".captions.json").read_text())
    assert record["coffee.webp"]["revision"] == f"{model.repository}@{model.commit}"

    (photos / "coffee.txt").unlink()
    shutil.rmtree(tmp_path / "cache")
    again = modelgenerator("caption", photos, "--max-tokens", "12")
    assert (again.returncode, again.stderr) == (0, "")
    assert "because it is on this machine" in again.stdout
    assert captions(photos) == made


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--captioner", "florence"], "Do you mean florence2?"),
        (["--captioner", "endpoint"], "set MODELGENERATOR_CAPTIONER_URL to one such as"),
        (["--captioner", "florence2"], "is not on this machine, and the model hub at"),
        ([], "say what the subject is: --class-name woman"),
    ],
)
def test_what_cannot_be_done_is_told_and_nothing_is_written(modelgenerator, photos, words, said):
    before = captions(photos)
    done = modelgenerator("caption", photos, *words)
    assert done.returncode == 2, done.stdout
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr + done.stdout
    assert said in done.stderr
    assert captions(photos) == before
    assert not (photos / ".captions.json").exists()


def test_an_archive_is_refused_because_captions_go_beside_photos(modelgenerator, photos):
    archive = shutil.make_archive(str(photos), "zip", photos)
    done = modelgenerator("caption", archive, *WOMAN)
    assert done.returncode == 2
    assert "unpack an archive first" in done.stderr


def test_an_endpoint_that_refuses_the_key_is_told(modelgenerator, photos):
    with serve_vision(refuses(401)) as server:
        done = modelgenerator(
            "caption",
            photos,
            MODELGENERATOR_CAPTIONER_URL=server.url,
            MODELGENERATOR_CAPTIONER_MODEL="eyes-7b",
        )
    assert done.returncode == 2
    assert "does not accept MODELGENERATOR_CAPTIONER_KEY. It is not set" in done.stderr
