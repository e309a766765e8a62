"""LoRA files in the layout that diffusers and ComfyUI read for transformers."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from modelgenerator.lora.diffusers_names import FLUX_NAMES, STABLE_DIFFUSION_3_NAMES
from modelgenerator.lora.files import load, save
from modelgenerator.lora.inject import LoraNetwork, TargetRule, choose_targets


@pytest.mark.parametrize(
    ("name", "key"),
    [
        (
            "transformer.transformer_blocks.0.attn.to_q",
            "transformer.transformer_blocks.0.attn.to_q",
        ),
        (
            "text_encoder.encoder.layers.3.mlp.fc1",
            "text_encoder.text_model.encoder.layers.3.mlp.fc1",
        ),
        (
            "text_encoder_2.text_model.encoder.layers.3.mlp.fc1",
            "text_encoder_2.text_model.encoder.layers.3.mlp.fc1",
        ),
    ],
)
def test_a_layer_has_the_name_that_diffusers_expects(name: str, key: str):
    assert STABLE_DIFFUSION_3_NAMES.key(name) == key


@pytest.fixture
def network() -> LoraNetwork:
    block = nn.ModuleDict({"to_q": nn.Linear(6, 8), "proj": nn.Linear(8, 2)})
    rules = {"transformer": (TargetRule(within=("ModuleDict",)),)}
    made = LoraNetwork(choose_targets({"transformer": block}, rules=rules, rank=4, alpha=3))
    chance = torch.Generator().manual_seed(0)
    made.load_state({k: torch.randn(v.shape, generator=chance) for k, v in made.state().items()})
    return made


def test_alpha_is_in_the_matrices_of_a_layout_without_alpha(network: LoraNetwork, tmp_path: Path):
    path = tmp_path / "lora.safetensors"
    save(path, network, names=FLUX_NAMES, metadata={})
    stored = load_file(path)
    assert stored.keys() == {
        f"transformer.{layer}.lora_{matrix}.weight" for layer in ("to_q", "proj") for matrix in "AB"
    }
    for name, layer in network.layers.items():
        wanted_OI = layer.scale * layer.up_OR @ layer.down_RI
        a, b = stored[f"{name}.lora_A.weight"].float(), stored[f"{name}.lora_B.weight"].float()
        torch.testing.assert_close(b @ a, wanted_OI.detach(), atol=0.01, rtol=0.01)


def test_it_is_read_as_it_was_written(network: LoraNetwork, tmp_path: Path):
    path = tmp_path / "lora.safetensors"
    save(path, network, names=FLUX_NAMES, metadata={"said": "yes"})
    lora = load(path)
    assert lora.metadata["said"] == "yes"
    assert lora.corrections.keys() == {"transformer.to_q", "transformer.proj"}
    for name, correction in lora.corrections.items():
        assert correction.alpha == correction.down_RI.shape[0]
        assert torch.equal(correction.down_RI, network.layers[name].down_RI.half().float())
