"""The recipe of the network that finds drawn subjects, in miniature."""

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file

from modelgenerator.datasets.segmenters.drawn import NETWORK
from modelgenerator.diffusion.builtin import mask_recipe

pytestmark = pytest.mark.slow

SMALL = ["--steps=30", "--pictures=60", "--wide-pictures=8"]


def test_it_writes_a_network_that_has_learnt_a_little_and_says_how(tmp_path: Path) -> None:
    for name in ("one", "two"):
        mask_recipe.main(["--output", str(tmp_path / name), *SMALL])
    one, two = (tmp_path / name / "network.safetensors" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()
    made = json.loads((tmp_path / "one" / "recipe.json").read_text())
    assert made["settings"] == {"steps": 30, "pictures": 60, "wide_pictures": 8, "seed": 0}
    assert set(made["overlap"]) == {"world", "worldHead", "unseen", "unseenHead"}
    shapes = [{n: t.shape for n, t in load_file(path).items()} for path in (one, NETWORK)]
    assert shapes[0] == shapes[1]


def test_the_network_that_is_shipped_says_how_good_it_is() -> None:
    made = json.loads((NETWORK.parent / "recipe.json").read_text())
    assert made["overlap"]["unseen"] > 0.95
    assert made["overlap"]["unseenHead"] > 0.85
