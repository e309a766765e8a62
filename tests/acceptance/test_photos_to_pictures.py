"""Real photographs in, a LoRA out, pictures back, by the real commands."""

import json
from pathlib import Path

import pytest
from PIL import Image
from tests.hub import Served, serve_hub


def test_real_photographs_become_a_lora_and_pictures(modelgenerator, train_words, tmp_path):
    trained = modelgenerator(*train_words("out"))
    assert (trained.returncode, trained.stderr) == (0, "")
    made = {"lora.safetensors", "plan.json", "events.jsonl", "contact-sheet.png", "loss.png"}
    assert made <= {file.name for file in (tmp_path / "out").iterdir()}
    plan = json.loads((tmp_path / "out/plan.json").read_text())["plan"]
    captions = {picture["name"]: picture["caption"] for picture in plan["pictures"]}
    assert captions["cat.png"] == "lvff a cat that looks up"
    assert captions["rocket.jpg"] == "lvff"

    words = ["generate", "--model", "out", "--seed", 7, "--steps", 2, "--count", 2]
    prompts = ["--prompt", "lvff in the snow", "--prompt", "lvff at night"]
    drawn = modelgenerator(*words, *prompts, "--output", "one")
    assert (drawn.returncode, drawn.stderr) == (0, "")
    names = sorted(file.name for file in (tmp_path / "one").iterdir())
    assert names == [
        "contact-sheet.png",
        "lvff-at-night-7.png",
        "lvff-at-night-8.png",
        "lvff-in-the-snow-7.png",
        "lvff-in-the-snow-8.png",
    ]
    with Image.open(tmp_path / "one/lvff-at-night-8.png") as picture:
        assert picture.size == (64, 64)
        facts = json.loads(picture.info["modelgenerator"])
        assert (facts["prompt"], facts["seed"], facts["lora"]) == ("lvff at night", 8, "lora")
        assert picture.info["parameters"].startswith("lvff at night <lora:lora:1>\nSteps: 2,")

    again = modelgenerator(*words, "--prompt", "lvff at night", "--output", "two")
    assert again.returncode == 0
    assert _pixels(tmp_path / "two/lvff-at-night-8.png") == _pixels(
        tmp_path / "one/lvff-at-night-8.png"
    )
    bare = modelgenerator(
        *["generate", "--base-model", plan["base_model"], "--seed", 8, "--steps", 2],
        *["--prompt", "lvff at night", "--output", "bare"],
    )
    assert bare.returncode == 0
    assert _pixels(tmp_path / "bare/lvff-at-night-8.png") != _pixels(
        tmp_path / "one/lvff-at-night-8.png"
    )


def test_the_embedded_base_model_learns_from_photographs(modelgenerator, photos, tmp_path):
    trained = modelgenerator(
        "train", photos, "--prefix", "lvff", "--set", "maxSteps=6", "--output", "out"
    )
    assert (trained.returncode, trained.stderr) == (0, "")
    assert (tmp_path / "out/lora.safetensors").exists()
    words = ["generate", "--model", "out", "--prompt", "lvff", "--steps", 2, "--output", "drawn"]
    assert modelgenerator(*words).returncode == 0


def test_every_line_is_an_event_with_json(modelgenerator, train_words):
    done = modelgenerator(*train_words("out", maxSteps=2), "--json")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    names = [event["event"] for event in events]
    assert done.returncode == 0
    assert names.count("stepFinished") == 2
    assert "finished" in names
    assert done.stderr == ""


def test_the_output_is_plain_in_a_pipe(modelgenerator, train_words):
    done = modelgenerator(*train_words("out", maxSteps=2))
    assert "\x1b" not in done.stdout
    assert "\r" not in done.stdout
    assert "step 2/2" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--version"], "modelgenerator 0."),
        (["train", "--help"], "--resume"),
        (["settings"], "learningRate"),
        (["doctor"], "torch"),
    ],
)
def test_a_question_is_answered(modelgenerator, words, said):
    done = modelgenerator(*words)
    assert (done.returncode, said in done.stdout) == (0, True)


def test_the_settings_are_a_json_schema(modelgenerator):
    schema = json.loads(modelgenerator("settings", "--json").stdout)
    assert "epochs" in schema["properties"]


def test_a_base_model_from_a_hub_is_downloaded_once(modelgenerator, photos, tiny_base, tmp_path):
    words = ["train", photos, "--prefix", "lvff", "--base-model", "someone/tiny"]
    words += ["--set=maxSteps=2", "--set=resolution=64", "--output"]
    with serve_hub({"someone/tiny": Served(tiny_base)}) as hub:
        online = {"HF_ENDPOINT": hub.address, "HF_HUB_OFFLINE": "0"}
        first = modelgenerator(*words, "one", **online)
        assert (first.returncode, first.stderr) == (0, "")
        assert "downloading someone/tiny" in first.stdout
    offline = modelgenerator(*words, "two")
    assert (offline.returncode, offline.stderr) == (0, "")
    assert "downloading" not in offline.stdout
    assert (tmp_path / "two/lora.safetensors").exists()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("someone/gated", "wants its licence to be accepted first"),
        ("someone/none", "no base model"),
    ],
)
def test_a_repository_that_cannot_be_had_is_told_before_any_training(
    modelgenerator, photos, tiny_base, tmp_path, name, said
):
    with serve_hub({"someone/gated": Served(tiny_base, token="secret")}) as hub:
        online = {"HF_ENDPOINT": hub.address, "HF_HUB_OFFLINE": "0"}
        done = modelgenerator("train", photos, "--base-model", name, "--output", "out", **online)
    assert done.returncode == 2
    assert said in done.stderr
    assert not (tmp_path / "out/plan.json").exists()


def _pixels(file: Path) -> bytes:
    with Image.open(file) as picture:
        return picture.tobytes()


def test_steps_that_are_not_asked_for_are_the_base_models_own(modelgenerator, tmp_path):
    done = modelgenerator("generate", "--prompt", "a creature", "--output", "drawn")
    assert (done.returncode, done.stderr) == (0, "")
    assert "20 suit modelgenerator/creatures" in done.stdout
    (file,) = (tmp_path / "drawn").glob("*.png")
    with Image.open(file) as picture:
        assert "Steps: 20," in picture.info["parameters"]
