"""The recipe of the embedded base model in miniature: it writes a base model, only a bad one."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from modelgenerator.diffusion.builtin import recipe
from modelgenerator.diffusion.hub import look_at
from modelgenerator.diffusion.load import load
from modelgenerator.diffusion.picture_request import PictureRequest

pytestmark = pytest.mark.slow

STEPS = 6
SMALL = {
    "autoencoder-steps": 2,
    "autoencoder-pictures": 64,
    "captions": 200,
    "text-steps": 2,
    "text-pictures": 96,
    "pictures": 64,
    "checkpoint-every": 2,
    "replicas": 1,
    "steps": STEPS,
}
STAGES = ("vae", "vae.json", "tokenizer", "text_encoder")


def command(folder: Path) -> list[str]:
    paths = ["--folder", str(folder), "--output", str(folder / "made")]
    return paths + [f"--{name}={value}" for name, value in SMALL.items()]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("recipe")
    recipe.main(command(folder))
    return folder


def test_what_the_recipe_makes_is_looked_at_like_any_base_model(made: Path):
    files = look_at(str(made / "made"))
    assert (files.native_size, files.prediction_type) == (32, "v_prediction")
    assert files.size_bytes < 15_000_000


def test_what_the_recipe_makes_draws_a_picture(made: Path):
    files = look_at(str(made / "made"))
    base = load(
        made / "made",
        files.family,
        variant=files.variant,
        device=torch.device("cpu"),
        dtype=torch.float32,
    )
    request = PictureRequest(
        prompt="creature in the snow",
        negative_prompt="",
        width=32,
        height=32,
        steps=2,
        guidance_scale=3.0,
        seed=1,
    )
    (picture,) = base.draw([request])
    assert picture.size == (32, 32)


def test_beside_the_weights_stands_how_they_were_made(made: Path):
    facts = json.loads((made / "made" / "recipe.json").read_text())
    assert facts["settings"]["steps"] == STEPS
    assert facts["autoencoderDecibels"].keys() >= {"world", "lvff", "unseen"}


def test_no_file_of_the_base_model_names_the_folder_where_it_was_made(made: Path):
    written = [path for path in (made / "made").rglob("*") if path.is_file()]
    assert [path for path in written if str(made).encode() in path.read_bytes()] == []


def test_an_interrupted_run_says_so_in_a_line_and_goes_on_to_the_same_weights(
    made: Path, tmp_path: Path
):
    for stage in STAGES:
        copy = shutil.copytree if (made / stage).is_dir() else shutil.copy
        copy(made / stage, tmp_path / stage)
    interrupted = subprocess.Popen(
        [sys.executable, "-m", recipe.__name__, *command(tmp_path)],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    checkpoint = tmp_path / "checkpoint.safetensors"
    while not checkpoint.exists() and interrupted.poll() is None:
        time.sleep(0.01)
    interrupted.send_signal(signal.SIGINT)
    said = interrupted.communicate()[1]

    assert interrupted.returncode == recipe.INTERRUPTED, said
    assert "Stopped." in said.splitlines()[-1]
    assert "Traceback" not in said
    assert int(load_file(checkpoint)["step"]) < STEPS
    recipe.main(command(tmp_path))
    whole, resumed = (load_file(f / "checkpoint.safetensors") for f in (made, tmp_path))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_a_finished_recipe_only_writes_its_output_again(made: Path):
    before = (made / "checkpoint.safetensors").stat().st_mtime_ns
    shutil.rmtree(made / "made")
    shutil.rmtree(made / "pipeline")
    recipe.main(command(made))
    assert (made / "checkpoint.safetensors").stat().st_mtime_ns == before
    assert look_at(str(made / "made")).folder == made / "made"
