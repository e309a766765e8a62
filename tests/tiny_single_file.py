"""Base models in one file, as they were first published, with random weights and few of them.

In goes a path, out comes a safetensors file of a few MB and the diffusers pipeline that it was
made from: what is loaded from the file must answer as the pipeline does.  Sizes that leave no trace
in the file, such as the width of an attention head, are the real ones.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    EulerDiscreteScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from safetensors.torch import save_file
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from modelgenerator.diffusion.clip.tokenizer import clip_tokenizer

WIDTH, TOKENS = 64, 600
"""Of a text encoder; 600 tokens are the bytes and the first 86 merges."""
_BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


@dataclass(frozen=True)
class TinyFile:
    path: Path
    pipeline: Any
    """diffusers' own, with the same weights."""


def save_tiny_single_file(
    path: Path,
    kind: str,
    *,
    prediction_type: str = "epsilon",
    metadata: Mapping[str, str] | None = None,
    more: Mapping[str, Tensor] | None = None,
) -> TinyFile:
    """`kind` is "1", "2" or "xl"; `more` are tensors to put in beside the weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        pipeline = {"1": _version_1, "2": _version_2, "xl": _xl}[kind](prediction_type)
    pipeline.set_progress_bar_config(disable=True)
    tensors = _original(pipeline, kind) | dict(more or {})
    save_file({name: t.contiguous() for name, t in tensors.items()}, path, dict(metadata or {}))
    return TinyFile(path, pipeline)


def _version_1(prediction_type: str) -> StableDiffusionPipeline:
    unet = _unet(attention_head_dim=8, cross_attention_dim=WIDTH)
    encoder = CLIPTextModel(_text_config("quick_gelu"))
    return _old(unet, encoder, "<|endoftext|>", prediction_type)


def _version_2(prediction_type: str) -> StableDiffusionPipeline:
    unet = _unet(attention_head_dim=(1, 2), cross_attention_dim=WIDTH, use_linear_projection=True)
    return _old(unet, CLIPTextModel(_text_config("gelu")), "!", prediction_type)


def _old(unet: Any, encoder: Any, pad: str, prediction_type: str) -> StableDiffusionPipeline:
    return StableDiffusionPipeline(
        vae=_vae(0.18215),
        text_encoder=encoder.eval(),
        tokenizer=clip_tokenizer(TOKENS, pad=pad),
        unet=unet,
        scheduler=DDIMScheduler(
            **_BETAS,
            clip_sample=False,
            set_alpha_to_one=False,
            steps_offset=1,
            prediction_type=prediction_type,
        ),
        safety_checker=None,  # pyright: ignore[reportArgumentType]
        feature_extractor=None,  # pyright: ignore[reportArgumentType]
        requires_safety_checker=False,
    )


def _xl(prediction_type: str) -> StableDiffusionXLPipeline:
    return StableDiffusionXLPipeline(
        vae=_vae(0.13025),
        text_encoder=CLIPTextModel(_text_config("quick_gelu")).eval(),
        text_encoder_2=CLIPTextModelWithProjection(_text_config("gelu")).eval(),
        tokenizer=clip_tokenizer(TOKENS, pad="<|endoftext|>"),
        tokenizer_2=clip_tokenizer(TOKENS, pad="!"),
        unet=_unet(
            attention_head_dim=(1, 2),
            cross_attention_dim=2 * WIDTH,
            use_linear_projection=True,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            transformer_layers_per_block=(1, 2),
            addition_embed_type="text_time",
            addition_time_embed_dim=256,
            projection_class_embeddings_input_dim=6 * 256 + WIDTH,
        ),
        scheduler=EulerDiscreteScheduler(
            **_BETAS,
            steps_offset=1,
            timestep_spacing="leading",
            prediction_type=prediction_type,
        ),
        add_watermarker=False,
    )


def _unet(**more: Any) -> UNet2DConditionModel:
    usual = {
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    }
    return UNet2DConditionModel(
        sample_size=8, layers_per_block=1, block_out_channels=(64, 128), **{**usual, **more}
    ).eval()


def _vae(scaling_factor: float) -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(32, 32, 32, 32),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        scaling_factor=scaling_factor,
    ).eval()


def _text_config(activation: str) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=TOKENS,
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=2,
        num_attention_heads=1,
        projection_dim=WIDTH,
        bos_token_id=TOKENS - 2,
        eos_token_id=TOKENS - 1,
        pad_token_id=TOKENS - 1,
        hidden_act=activation,
    )


# --- the way back to the original names


def _original(pipeline: Any, kind: str) -> dict[str, Tensor]:
    tensors = original_unet(pipeline.unet) | original_vae(pipeline.vae, "first_stage_model.")
    if kind == "1":
        return tensors | _clip(pipeline.text_encoder, "cond_stage_model.transformer.")
    if kind == "2":
        layer = _open_clip(pipeline.text_encoder, "cond_stage_model.model.")
        return tensors | layer | _unread_layer(layer)
    first = _clip(pipeline.text_encoder, "conditioner.embedders.0.transformer.")
    return tensors | first | _open_clip(pipeline.text_encoder_2, "conditioner.embedders.1.model.")


def original_unet(unet: Any) -> dict[str, Tensor]:
    """The weights of diffusers' `unet` by their original names."""
    return _renamed(unet, _unet_rules(unet), "model.diffusion_model.")


def original_vae(vae: Any, prefix: str) -> dict[str, Tensor]:
    """The weights of diffusers' autoencoder by their original names."""
    renamed = _renamed(vae, _vae_rules(len(vae.config.block_out_channels)), "")
    return {prefix + name: _as_kernel(name, tensor) for name, tensor in renamed.items()}


def _renamed(model: Any, rules: Iterable[tuple[str, str]], prefix: str) -> dict[str, Tensor]:
    """Rules are regular expressions, one after the other."""
    renamed: dict[str, Tensor] = {}
    for name, tensor in model.state_dict().items():
        for old, new in rules:
            name = re.sub(old, new, name)
        renamed[prefix + name] = tensor
    assert len(renamed) == len(model.state_dict())
    return renamed


def _unet_rules(unet: Any) -> list[tuple[str, str]]:
    size, levels = unet.config.layers_per_block + 1, len(unet.config.block_out_channels)
    rules = [
        ("^conv_in", "input_blocks.0.0"),
        ("^time_embedding.linear_1", "time_embed.0"),
        ("^time_embedding.linear_2", "time_embed.2"),
        ("^add_embedding.linear_1", "label_emb.0.0"),
        ("^add_embedding.linear_2", "label_emb.0.2"),
        ("^conv_norm_out", "out.0"),
        ("^conv_out", "out.2"),
        (r"(resnets\..*)norm1", r"\1in_layers.0"),
        (r"(resnets\..*)conv1", r"\1in_layers.2"),
        (r"(resnets\..*)norm2", r"\1out_layers.0"),
        (r"(resnets\..*)conv2", r"\1out_layers.3"),
        ("time_emb_proj", "emb_layers.1"),
        ("conv_shortcut", "skip_connection"),
        ("^mid_block.resnets.0", "middle_block.0"),
        ("^mid_block.attentions.0", "middle_block.1"),
        ("^mid_block.resnets.1", "middle_block.2"),
    ]
    for level in range(levels):
        has_attention = "CrossAttn" in unet.config.up_block_types[level]
        place = f"output_blocks.{level * size + size - 1}.{2 if has_attention else 1}"
        rules += [
            (
                f"^down_blocks.{level}.downsamplers.0.conv",
                f"input_blocks.{(level + 1) * size}.0.op",
            ),
            (f"^up_blocks.{level}.upsamplers.0.conv", f"{place}.conv"),
        ]
        for number, part in enumerate(("resnets", "attentions")):
            for layer in range(size):
                down, up = 1 + level * size + layer, level * size + layer
                rules += [
                    (f"^down_blocks.{level}.{part}.{layer}", f"input_blocks.{down}.{number}"),
                    (f"^up_blocks.{level}.{part}.{layer}", f"output_blocks.{up}.{number}"),
                ]
    return rules


def _vae_rules(levels: int) -> list[tuple[str, str]]:
    rules = [
        (rf"^decoder.up_blocks.{level}.", f"decoder.up.{levels - 1 - level}.")
        for level in range(levels)
    ]
    return [
        *rules,
        ("down_blocks", "down"),
        ("resnets", "block"),
        ("(down|up)samplers.0", r"\1sample"),
        ("mid_block.block.0", "mid.block_1"),
        ("mid_block.block.1", "mid.block_2"),
        ("mid_block.attentions.0", "mid.attn_1"),
        ("group_norm", "norm"),
        ("to_out.0", "proj_out"),
        ("to_([qkv])", r"\1"),
        ("conv_norm_out", "norm_out"),
        ("conv_shortcut", "nin_shortcut"),
    ]


def _as_kernel(name: str, tensor: Tensor) -> Tensor:
    """The autoencoder's attention was made of 1x1 convolutions."""
    is_attention = ".attn_1." in name and tensor.ndim == 2
    return tensor[:, :, None, None] if is_attention else tensor


def _clip(encoder: Any, prefix: str) -> dict[str, Tensor]:
    return {
        f"{prefix}text_model.{name.removeprefix('text_model.')}": tensor
        for name, tensor in encoder.state_dict().items()
    }


def _open_clip(encoder: Any, prefix: str) -> dict[str, Tensor]:
    found = encoder.state_dict()
    weights = {name.removeprefix("text_model."): tensor for name, tensor in found.items()}
    tensors = {
        "positional_embedding": weights["embeddings.position_embedding.weight"],
        "token_embedding.weight": weights["embeddings.token_embedding.weight"],
        "ln_final.weight": weights["final_layer_norm.weight"],
        "ln_final.bias": weights["final_layer_norm.bias"],
        "text_projection": weights.get("text_projection.weight", torch.eye(WIDTH)).T,
    }
    renames = (("layer_norm", "ln_"), ("mlp.fc1", "mlp.c_fc"), ("mlp.fc2", "mlp.c_proj"))
    for name, tensor in weights.items():
        if not name.startswith("encoder.layers.") or "_proj." in name:
            continue
        new = name.replace("encoder.layers.", "transformer.resblocks.")
        for old, other in renames:
            new = new.replace(old, other)
        tensors[new] = tensor
    for layer in range(encoder.config.num_hidden_layers):
        here = f"encoder.layers.{layer}.self_attn"
        there = f"transformer.resblocks.{layer}.attn"
        for kind in ("weight", "bias"):
            three = [weights[f"{here}.{letter}_proj.{kind}"] for letter in "qkv"]
            tensors[f"{there}.in_proj_{kind}"] = torch.cat(three)
            tensors[f"{there}.out_proj.{kind}"] = weights[f"{here}.out_proj.{kind}"]
    return {prefix + name: tensor for name, tensor in tensors.items()}


def _unread_layer(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Version 2 was published with a last layer that nobody reads."""
    return {
        name.replace("resblocks.1.", "resblocks.2."): tensor + 1
        for name, tensor in tensors.items()
        if "resblocks.1." in name
    }
