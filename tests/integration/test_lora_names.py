"""Every layer of every family, at its real size, has one name in each layout and a way back."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from diffusers import FluxTransformer2DModel, SD3Transformer2DModel, UNet2DConditionModel
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, T5Config, T5EncoderModel

from modelgenerator.lora.key_names import (
    FLUX_NAMES,
    STABLE_DIFFUSION_3_NAMES,
    STABLE_DIFFUSION_NAMES,
    STABLE_DIFFUSION_XL_NAMES,
    LayerNames,
)


def sdxl_unet() -> nn.Module:
    attention: dict[str, Any] = {"transformer_layers_per_block": (1, 2, 10)}
    return UNet2DConditionModel(
        block_out_channels=(320, 640, 1280),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=2048,
        attention_head_dim=(5, 10, 20),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=2816,
        **attention,
    )


def flux() -> nn.Module:
    return FluxTransformer2DModel(num_layers=19, num_single_layers=38, guidance_embeds=True)


def sd35_medium() -> nn.Module:
    return SD3Transformer2DModel(num_layers=24, dual_attention_layers=tuple(range(13)))


def clip() -> nn.Module:
    return CLIPTextModel(CLIPTextConfig(num_hidden_layers=12))


def t5() -> nn.Module:
    return T5EncoderModel(T5Config(num_layers=3, feed_forward_proj="gated-gelu"))


CASES: list[tuple[LayerNames, str, Callable[[], nn.Module]]] = [
    (STABLE_DIFFUSION_NAMES, "unet", UNet2DConditionModel),
    (STABLE_DIFFUSION_NAMES, "text_encoder", clip),
    (STABLE_DIFFUSION_XL_NAMES, "unet", sdxl_unet),
    (STABLE_DIFFUSION_XL_NAMES, "text_encoder_2", clip),
    (STABLE_DIFFUSION_3_NAMES, "transformer", sd35_medium),
    (STABLE_DIFFUSION_3_NAMES, "text_encoder_3", t5),
    (FLUX_NAMES, "transformer", flux),
    (FLUX_NAMES, "text_encoder_2", t5),
]


@pytest.mark.parametrize(
    ("names", "part", "make"), CASES, ids=lambda value: getattr(value, "__name__", "")
)
def test_every_layer_has_a_way_back_from_every_way_of_writing_it(
    names: LayerNames, part: str, make: Callable[[], nn.Module]
):
    with torch.device("meta"):
        model = make()
    layers = names.layers_by_key({part: model})
    assert len(layers) > 10
    written: dict[str, tuple[str, ...]] = {}
    for key, (name, _) in layers.items():
        dotted = names.name(key)
        assert dotted == name or dotted.replace("text_model.", "") == name
        place = names.place_of_key(key)
        assert key in place.pieces
        assert written.setdefault(place.original, place.pieces) == place.pieces
        assert names.place_of_written(place.original) == place
        for again in (dotted, key):
            found = names.place_of_written(again)
            assert found is not None
            assert found.pieces == (key,)
    assert {key for pieces in written.values() for key in pieces} == layers.keys()


def test_the_authors_names_are_those_that_are_known_of_real_files():
    def original(names: LayerNames, name: str) -> str:
        return names.place_of_key(names.key(name)).original

    known = {
        "unet.down_blocks.1.attentions.0.proj_in": "lora_unet_input_blocks_4_1_proj_in",
        "unet.down_blocks.2.attentions.1.proj_in": "lora_unet_input_blocks_8_1_proj_in",
        "unet.up_blocks.0.attentions.2.proj_out": "lora_unet_output_blocks_2_1_proj_out",
        "unet.up_blocks.1.attentions.2.proj_out": "lora_unet_output_blocks_5_1_proj_out",
        "unet.up_blocks.2.resnets.0.conv1": "lora_unet_output_blocks_6_0_in_layers_2",
        "unet.down_blocks.0.downsamplers.0.conv": "lora_unet_input_blocks_3_0_op",
        "unet.up_blocks.0.upsamplers.0.conv": "lora_unet_output_blocks_2_2_conv",
        "unet.mid_block.resnets.1.time_emb_proj": "lora_unet_middle_block_2_emb_layers_1",
    }
    for name, key in known.items():
        assert original(STABLE_DIFFUSION_XL_NAMES, name) == key
