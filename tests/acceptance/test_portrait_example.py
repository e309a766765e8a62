"""The published example for portraits, typed as printed, from the hub to a LoRA."""

import json
from pathlib import Path

import pytest
from tests.hub import Served, serve_hub

EXAMPLE = Path(__file__).parents[2] / "docs" / "guide" / "portrait.json5"
REPOSITORY = "SG161222/Realistic_Vision_V6.0_B1_noVAE"


@pytest.fixture
def words(photos: Path) -> list[object]:
    """Nothing of the example is left out or changed."""
    place = ["--prefix", "lvff", "--output", "out", "--set", "seed=7"]
    return ["train", photos, "--settings", EXAMPLE, *place]


def test_the_example_is_planned_as_printed_and_nothing_is_downloaded_or_written(
    modelgenerator, words, tiny_base, tmp_path
):
    with serve_hub({REPOSITORY: Served(tiny_base)}) as hub:
        online = {"HF_ENDPOINT": hub.address, "HF_HUB_OFFLINE": "0", "COLUMNS": "200"}
        shown = modelgenerator(*words, "--dry-run", **online)
        told = modelgenerator(*words, "--dry-run", "--json", **online)
        asked = [line for line in hub.requests if line.endswith("safetensors")]
    assert (shown.returncode, shown.stderr, told.returncode, told.stderr) == (0, "", 0, "")
    plan = json.loads(told.stdout)["plan"]
    assert (plan["resolution"], plan["total_steps"], plan["optimizer"]) == (1024, 320, "Prodigy")
    assert (plan["normalize_dataset"], plan["body_mask_shade"]) == (True, 200)
    assert {tuple(picture["bucket"]) for picture in plan["pictures"]} == {(1024, 1024)}
    for name in ("epochs", "alphaDim", "headMaskShade", "backgroundMaskShade", "total steps"):
        assert f" {name} " in shown.stdout
    assert "1024 is 16 times the size" in shown.stdout
    assert asked == []
    assert not (tmp_path / "out").exists()


def test_the_example_trains_end_to_end(modelgenerator, words, tiny_base, tmp_path):
    short = ["--set", "maxSteps=4", "--set", "resolution=64"]
    with serve_hub({REPOSITORY: Served(tiny_base)}) as hub:
        online = {"HF_ENDPOINT": hub.address, "HF_HUB_OFFLINE": "0"}
        done = modelgenerator(*words, *short, **online)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "out/lora.safetensors").exists()
    record = json.loads((tmp_path / "out/plan.json").read_text())
    assert record["plan"]["masked_loss"]
    cuts = {picture["name"]: picture["crop"] for picture in record["plan"]["pictures"]}
    assert all(right - left == bottom - top for left, top, right, bottom in cuts.values())
    middle = [(600 - 400) // 2, 0, (600 + 400) // 2, 400]
    assert cuts["coffee.webp"] != middle  # it follows the cup
    assert record["plan"]["total_steps"] == 4
    assert record["settings"]["epochs"] == 80
    drawn = modelgenerator(
        "generate", "--model", "out", "--prompt", "lvff in the snow", "--steps", 2
    )
    assert (drawn.returncode, drawn.stderr) == (0, "")
