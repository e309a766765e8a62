import pytest
from torch import nn

from modelgenerator.lora.key_names import STABLE_DIFFUSION_NAMES as NAMES


@pytest.mark.parametrize(
    ("name", "key"),
    [
        (
            "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q",
            "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q",
        ),
        (
            "unet.down_blocks.1.resnets.0.time_emb_proj",
            "lora_unet_down_blocks_1_resnets_0_time_emb_proj",
        ),
        ("unet.up_blocks.0.upsamplers.0.conv", "lora_unet_up_blocks_0_upsamplers_0_conv"),
        ("unet.mid_block.attentions.0.proj_in", "lora_unet_mid_block_attentions_0_proj_in"),
        (
            "unet.up_blocks.1.attentions.2.transformer_blocks.0.ff.net.0.proj",
            "lora_unet_up_blocks_1_attentions_2_transformer_blocks_0_ff_net_0_proj",
        ),
        (
            "text_encoder.text_model.encoder.layers.3.mlp.fc1",
            "lora_te_text_model_encoder_layers_3_mlp_fc1",
        ),
        (
            "text_encoder.encoder.layers.3.self_attn.q_proj",
            "lora_te_text_model_encoder_layers_3_self_attn_q_proj",
        ),
    ],
)
def test_a_layer_has_the_name_that_other_programs_expect(name: str, key: str):
    assert NAMES.key(name) == key


def test_the_tree_gives_the_way_back_although_names_have_underscores():
    tree = nn.ModuleDict({"to_q": nn.Linear(2, 2), "from": nn.ModuleDict({"k": nn.Linear(2, 2)})})
    found = NAMES.layers_by_key({"unet": tree})
    assert found["lora_unet_to_q"] == ("unet.to_q", tree["to_q"])
    assert found["lora_unet_from_k"][0] == "unet.from.k"


def test_layers_that_cannot_be_corrected_have_no_key():
    assert (
        NAMES.layers_by_key({"unet": nn.Sequential(nn.LayerNorm(2), nn.Conv2d(2, 2, 3, groups=2))})
        == {}
    )
