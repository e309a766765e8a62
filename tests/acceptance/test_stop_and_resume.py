"""A training that was stopped, however rudely, ends as if it had not been."""

import shutil
import signal

import pytest
from tests.acceptance.conftest import wait_for
from tests.tiny import save_tiny_stable_diffusion

STEPS = 120


def test_a_training_ends_the_same_after_control_c_and_kill_9(modelgenerator, train_words, tmp_path):
    whole = modelgenerator(*train_words("whole", maxSteps=STEPS))
    assert whole.returncode == 0
    words = train_words("stopped", maxSteps=STEPS)

    exit_code, said = modelgenerator.stop_at(20, signal.SIGINT, *words)
    assert exit_code == 130
    assert "--resume" in said.splitlines()[-1]
    stopped = tmp_path / "stopped"
    assert (stopped / "checkpoint.safetensors").exists()
    assert not (stopped / "lora.safetensors").exists()

    refused = modelgenerator(*words)
    assert refused.returncode == 2
    assert "go on with it by --resume" in refused.stderr
    drawn = modelgenerator("generate", "--model", "stopped", "--prompt", "lvff")
    assert drawn.returncode == 2
    assert "not finished" in drawn.stderr

    resume = ["train", words[1], "--output", "stopped", "--resume"]
    assert modelgenerator.stop_at(40, signal.SIGKILL, *resume)[0] == -signal.SIGKILL
    assert modelgenerator.stop_at(60, signal.SIGTERM, *resume)[0] == 130
    (stopped / "checkpoint.safetensors").write_bytes(b"lost by the disk")
    ended = modelgenerator(*resume)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "is damaged, so the training goes on from the one before it" in ended.stdout
    file = "lora.safetensors"
    assert (stopped / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()
    assert not (stopped / "checkpoint.safetensors").exists()

    finished = modelgenerator(*resume)
    assert finished.returncode == 2
    assert "is finished" in finished.stderr


def test_a_training_killed_before_its_first_checkpoint_begins_again(
    modelgenerator, train_words, tmp_path
):
    words = train_words("out", maxSteps=STEPS)
    assert modelgenerator.stop_at(5, signal.SIGKILL, *words)[0] == -signal.SIGKILL
    resumed = modelgenerator(*words, "--resume")
    assert (resumed.returncode, resumed.stderr) == (0, "")
    assert "begins again at its first step" in resumed.stdout
    assert (tmp_path / "out/lora.safetensors").exists()


def test_a_resumed_training_must_be_what_it_was(modelgenerator, train_words, photos):
    words = train_words("out", maxSteps=STEPS)
    assert modelgenerator.stop_at(5, signal.SIGINT, *words)[0] == 130
    resume = ["train", photos, "--output", "out", "--resume"]

    other = modelgenerator(*resume, "--set", "networkDim=8")
    assert other.returncode == 2
    assert "started with another networkDim" in other.stderr

    shutil.copy(photos / "cat.png", photos / "rocket.jpg")
    changed = modelgenerator(*resume)
    assert changed.returncode == 2
    assert "photos" in changed.stderr


def test_other_weights_under_the_same_path_are_noticed(
    modelgenerator, train_words, tiny_base, photos, tmp_path
):
    base = shutil.copytree(tiny_base, tmp_path / "base")
    words = [*train_words("out", maxSteps=STEPS), "--base-model", base]
    assert modelgenerator.stop_at(5, signal.SIGINT, *words)[0] == 130
    save_tiny_stable_diffusion(base, seed=1)
    changed = modelgenerator("train", photos, "--output", "out", "--resume")
    assert changed.returncode == 2
    assert "this is not what it was: the files of the base model" in changed.stderr


def test_there_is_nothing_to_resume_in_a_new_folder(modelgenerator, train_words):
    done = modelgenerator(*train_words("out"), "--resume")
    assert done.returncode == 2
    assert "No training was started in out" in done.stderr


def test_two_trainings_do_not_share_a_folder(modelgenerator, train_words, tmp_path):
    first = modelgenerator.start(*train_words("out", maxSteps=3000))
    wait_for(lambda: (tmp_path / "out/plan.json").exists())
    second = modelgenerator(*train_words("out"), "--overwrite")
    assert second.returncode == 2
    assert "Another training is writing into out" in second.stderr
    assert first.poll() is None


def test_a_used_folder_is_replaced_only_on_request(modelgenerator, train_words, tmp_path):
    assert modelgenerator(*train_words("out", maxSteps=2)).returncode == 0
    lora = tmp_path / "out/lora.safetensors"
    before = lora.read_bytes()
    refused = modelgenerator(*train_words("out", maxSteps=3))
    assert refused.returncode == 2
    assert "--overwrite" in refused.stderr
    assert lora.read_bytes() == before
    assert modelgenerator(*train_words("out", maxSteps=3), "--overwrite").returncode == 0
    assert lora.read_bytes() != before
    assert (tmp_path / "out/events.jsonl").read_text().count("stepFinished") == 3


@pytest.mark.parametrize(("fault", "processes"), [("photos", 1), ("base", 1), ("base", 2)], ids=str)
def test_overwriting_keeps_the_old_lora_until_the_new_training_can_begin(
    modelgenerator, train_words, tiny_base, photos, tmp_path, fault, processes
):
    (tmp_path / "out").mkdir()
    old = dict.fromkeys(("lora.safetensors", "plan.json", "events.jsonl"), b"old")
    for name, content in old.items():
        (tmp_path / "out" / name).write_bytes(content)
    words = [*train_words("out", batchSize=2), "--overwrite", "--processes", processes]
    if fault == "photos":
        for file in photos.iterdir():
            file.write_text("not a picture")
    else:
        broken = shutil.copytree(tiny_base, tmp_path / "broken")
        (broken / "unet/config.json").write_text("{")
        words += ["--base-model", broken]
    done = modelgenerator(*words)
    assert done.returncode != 0
    for name, content in old.items():
        assert (tmp_path / "out" / name).read_bytes() == content
