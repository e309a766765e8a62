"""SDXL by the real commands: photographs in, a LoRA out, pictures back."""

import json
from pathlib import Path

from tests.tiny_xl import save_tiny_stable_diffusion_xl


def test_sdxl_learns_from_photographs_and_draws(modelgenerator, photos: Path, tmp_path: Path):
    base = save_tiny_stable_diffusion_xl(tmp_path / "xl")
    wishes = {"images": {"steps": 2, "guidanceScale": 2}, "prompts": ["{} in the snow"]}
    (base / "recommended.json").write_text(json.dumps(wishes))
    trained = modelgenerator(
        *["train", photos, "--prefix", "lvff", "--base-model", base, "--output", "out"],
        *["--set=maxSteps=3", "--set=resolution=64", "--set=networkDim=4", "--set=seed=7"],
    )
    assert (trained.returncode, trained.stderr) == (0, "")
    plan = json.loads((tmp_path / "out/plan.json").read_text())["plan"]
    assert plan["family"] == "stable-diffusion-xl"
    assert plan["text_encoders"] == ["text_encoder", "text_encoder_2"]
    drawn = modelgenerator(
        *["generate", "--model", "out", "--prompt", "lvff at sea", "--seed", 7],
        *["--steps", 2, "--output", "drawn"],
    )
    assert (drawn.returncode, drawn.stderr) == (0, "")
    assert (tmp_path / "drawn/lvff-at-sea-7.png").exists()
