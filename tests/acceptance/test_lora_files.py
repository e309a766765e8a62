"""`modelgenerator lora`: a LoRA of a training goes through another layout and draws the same."""

import json

import numpy as np
from PIL import Image


def test_a_trained_lora_is_told_and_converted_and_draws_the_same(
    modelgenerator, train_words, tiny_base, tmp_path
):
    assert modelgenerator(*train_words("out", maxSteps=2)).returncode == 0
    told = modelgenerator("lora", "info", "out", "--json")
    assert told.returncode == 0, told.stderr
    facts = json.loads(told.stdout)
    assert facts["layout"] == "kohya"
    assert facts["triggerPhrase"] == "lvff"
    assert facts["hashes"] == "right"
    assert facts["plan"]["base_model"] == facts["baseModel"] == str(tiny_base)
    assert set(facts["layers"]) == {"unet", "text_encoder"}
    words = ["lora", "convert", "out", "--to", "diffusers", "--output", "other.safetensors"]
    done = modelgenerator(*words, "--metadata", "minimal")
    assert done.returncode == 0, done.stderr
    assert modelgenerator(*words).returncode == 2
    pictures = []
    for place, model in (("a", "out"), ("b", "other.safetensors")):
        words = ["--model", model, "--base-model", tiny_base, "--output", place, "--seed", 5]
        drawn = modelgenerator("generate", "--prompt", "lvff in the snow", "--steps", 2, *words)
        assert drawn.returncode == 0, drawn.stderr
        (file,) = (tmp_path / place).glob("*.png")
        pictures.append(np.asarray(Image.open(file)))
    assert np.array_equal(*pictures)
