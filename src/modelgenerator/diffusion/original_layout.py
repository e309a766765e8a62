"""The layout that Stable Diffusion was published in: what its shapes say of how it is built.

In: the shapes of a single file's tensors.  Out: the configurations that diffusers' and
transformers' classes take.  Numbers that leave no trace in shapes are facts of the families; no
tensor is read here.
"""

import re
from typing import Any

from modelgenerator.diffusion.detection import PredictionType
from modelgenerator.diffusion.tensor_files import Tensors

UNET, AUTOENCODER = "model.diffusion_model.", "first_stage_model."
HEAD_WIDTH = 64
"""Of an attention head, in all text encoders, Stable Diffusion 2 and SDXL.

Source: Stability-AI/stablediffusion, configs; Stability-AI/generative-models, configs.
"""
FRAMING_WIDTH = 256
"""Of each of the six numbers that SDXL is told of a picture's framing."""


def unet_config(tensors: Tensors, *, native_size: int) -> dict[str, Any]:
    """For diffusers' UNet2DConditionModel.

    Raises:
        ValueError: not built in levels as Stable Diffusion is.
    """
    entrance, exit_ = tensors.shape(f"{UNET}input_blocks.0.0.weight"), f"{UNET}out.2.weight"
    levels = _levels(tensors)
    widths = [widths[0] for widths, _ in levels]
    depths = [depths[0] for _, depths in levels]
    for level, (level_widths, level_depths) in enumerate(levels):
        if len(set(level_widths)) > 1 or len(set(level_depths)) > 1:
            raise ValueError(f"the layers of its level {level} differ")
    middle = tensors.count(rf"{UNET}middle_block\.1\.transformer_blocks\.(\d+)\.")
    attention = next(n for n in tensors.entries if n.endswith("attn2.to_k.weight") and UNET in n)
    # its entrance is a 1x1 convolution in version 1 and a linear layer since
    projection = next(n for n in tensors.entries if n.endswith(".proj_in.weight") and UNET in n)
    is_linear = len(tensors.shape(projection)) == 2
    return {
        "sample_size": native_size // 8,
        "in_channels": entrance[1],
        "out_channels": tensors.shape(exit_)[0],
        "layers_per_block": len(levels[0][0]),
        "block_out_channels": widths,
        "down_block_types": [_kind("Down", depth) for depth in depths],
        "up_block_types": [_kind("Up", depth) for depth in reversed(depths)],
        "transformer_layers_per_block": [d or 1 for d in depths[:-1]] + [depths[-1] or middle],
        "cross_attention_dim": tensors.shape(attention)[1],
        # diffusers' name for it says width, and it is the number of heads
        "attention_head_dim": [width // HEAD_WIDTH for width in widths] if is_linear else 8,
        "use_linear_projection": is_linear,
        **_framing(tensors),
    }


def autoencoder_config(
    tensors: Tensors, *, scaling_factor: float, shift_factor: float = 0, prefix: str = AUTOENCODER
) -> dict[str, Any]:
    """For diffusers' AutoencoderKL."""
    count = autoencoder_levels(tensors, prefix)
    first = rf"{re.escape(prefix)}encoder\.down\.0\.block\.(\d+)\."
    return {
        "block_out_channels": [
            tensors.shape(f"{prefix}encoder.down.{level}.block.0.conv1.weight")[0]
            for level in range(count)
        ],
        "down_block_types": ["DownEncoderBlock2D"] * count,
        "up_block_types": ["UpDecoderBlock2D"] * count,
        "layers_per_block": tensors.count(first),
        "latent_channels": tensors.shape(f"{prefix}decoder.conv_in.weight")[1],
        "use_quant_conv": f"{prefix}quant_conv.weight" in tensors,
        "use_post_quant_conv": f"{prefix}post_quant_conv.weight" in tensors,
        "scaling_factor": scaling_factor,
        "shift_factor": shift_factor or None,
    }


def autoencoder_levels(tensors: Tensors, prefix: str = AUTOENCODER) -> int:
    """All but the first halve the sides of a picture."""
    return tensors.count(rf"{re.escape(prefix)}encoder\.down\.(\d+)\.")


def clip_config(tensors: Tensors, prefix: str, *, activation: str = "quick_gelu") -> dict[str, Any]:
    """For a text encoder in transformers' own layout: OpenAI's CLIP, if nothing else is said."""
    tokens, width = tensors.shape(f"{prefix}embeddings.token_embedding.weight")
    projection = f"{prefix.removesuffix('text_model.')}text_projection.weight"
    return {
        **_text_config(tokens, width),
        "projection_dim": tensors.shape(projection)[0] if projection in tensors else width,
        "intermediate_size": tensors.shape(f"{prefix}encoder.layers.0.mlp.fc1.weight")[0],
        "num_hidden_layers": tensors.count(rf"{prefix}encoder\.layers\.(\d+)\."),
        "max_position_embeddings": tensors.shape(f"{prefix}embeddings.position_embedding.weight")[
            0
        ],
        "hidden_act": activation,
    }


def open_clip_config(tensors: Tensors, prefix: str) -> dict[str, Any]:
    """For a text encoder in OpenCLIP's layout: the one of version 2, and SDXL's second."""
    tokens, width = tensors.shape(f"{prefix}token_embedding.weight")
    projection = f"{prefix}text_projection"
    return {
        **_text_config(tokens, width),
        "intermediate_size": tensors.shape(f"{prefix}transformer.resblocks.0.mlp.c_fc.weight")[0],
        "num_hidden_layers": tensors.count(rf"{prefix}transformer\.resblocks\.(\d+)\."),
        "max_position_embeddings": tensors.shape(f"{prefix}positional_embedding")[0],
        "projection_dim": tensors.shape(projection)[1] if projection in tensors else width,
        "hidden_act": "gelu",
    }


def scheduler_config(
    class_name: str, prediction_type: PredictionType, *, ends_in_noise: bool
) -> dict[str, Any]:
    """What all of these were trained with; `ends_in_noise` if the last step has no picture in it.

    Source: CompVis/stable-diffusion, configs/stable-diffusion/v1-inference.yaml: linear_start and
    linear_end; Lin et al. 2023, https://arxiv.org/abs/2305.08891, for noise to the end.
    """
    config = {
        "_class_name": class_name,
        "num_train_timesteps": 1000,
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "prediction_type": prediction_type,
        "timestep_spacing": "leading",
        "steps_offset": 1,
        "clip_sample": False,
        "set_alpha_to_one": False,
    }
    if ends_in_noise:
        config |= {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    return config


def _levels(tensors: Tensors) -> list[tuple[list[int], list[int]]]:
    """For every level on the way down: the width of each layer, and how deep its attention is."""
    levels: list[tuple[list[int], list[int]]] = [([], [])]
    for block in range(1, tensors.count(rf"{UNET}input_blocks\.(\d+)\.")):
        place = f"{UNET}input_blocks.{block}"
        if f"{place}.0.op.weight" in tensors:
            levels.append(([], []))
            continue
        widths, depths = levels[-1]
        widths.append(tensors.shape(f"{place}.0.out_layers.3.weight")[0])
        depths.append(tensors.count(rf"{place}\.1\.transformer_blocks\.(\d+)\."))
    if not all(widths for widths, _ in levels):
        raise ValueError("it is not built as Stable Diffusion is")
    return levels


def _kind(way: str, depth: int) -> str:
    return f"CrossAttn{way}Block2D" if depth else f"{way}Block2D"


def _framing(tensors: Tensors) -> dict[str, Any]:
    label = f"{UNET}label_emb.0.0.weight"
    if label not in tensors:
        return {}
    return {
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": FRAMING_WIDTH,
        "projection_class_embeddings_input_dim": tensors.shape(label)[1],
    }


def _text_config(tokens: int, width: int) -> dict[str, Any]:
    """The marks of start and end are the last two tokens of CLIP's vocabulary."""
    return {
        "vocab_size": tokens,
        "hidden_size": width,
        "num_attention_heads": max(1, width // HEAD_WIDTH),
        "bos_token_id": tokens - 2,
        "eos_token_id": tokens - 1,
        "pad_token_id": tokens - 1,
    }
