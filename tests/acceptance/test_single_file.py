"""A base model in a single file by the real commands, with no hub to ask."""

import json
from pathlib import Path

from tests.tiny_single_file import save_tiny_single_file


def test_a_single_file_learns_and_draws_and_another_one_is_not_taken_for_it(
    modelgenerator, photos: Path, tmp_path: Path
):
    base = tmp_path / "base.safetensors"
    small = {"modelspec.resolution": "64x64"}
    save_tiny_single_file(base, "1", metadata=small)
    words = [
        *["train", photos, "--prefix", "lvff", "--base-model", base, "--output", "out"],
        *["--set=maxSteps=3", "--set=resolution=64", "--set=networkDim=4", "--set=seed=7"],
    ]
    trained = modelgenerator(*words)
    assert (trained.returncode, trained.stderr) == (0, "")
    plan = json.loads((tmp_path / "out/plan.json").read_text())["plan"]
    assert plan["base_revision"].startswith("sha256-")
    drawn = modelgenerator(
        *["generate", "--model", "out", "--prompt", "lvff at sea", "--seed", 7],
        *["--steps", 2, "--output", "drawn"],
    )
    assert (drawn.returncode, drawn.stderr) == (0, "")

    save_tiny_single_file(base, "1", metadata={**small, "modelspec.title": "another"})
    (tmp_path / "out" / "lora.safetensors").unlink()
    again = modelgenerator(*words, "--resume")
    assert again.returncode != 0
    assert "cannot go on" in again.stderr
