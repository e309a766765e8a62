"""The layout that FLUX.1 and Stable Diffusion 3 were published in: what its shapes say.

In: the shapes of a single file's tensors.  Out: which parts are in it, and the configurations that
diffusers' and transformers' classes take.  Numbers that leave no trace in shapes are facts of the
families; no tensor is read here.
"""

import math
import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from modelgenerator.diffusion.detection import FamilyName
from modelgenerator.diffusion.tensor_files import Tensors

WRAPPED = "model.diffusion_model."
"""Before the transformer's names; left out as a rule where there are no other parts."""
AUTOENCODERS = ("first_stage_model.", "vae.")
"""Before the autoencoder's names: as Stability AI and as ComfyUI write it."""
CLIP_L, CLIP_G, T5 = (
    f"text_encoders.{name}.transformer." for name in ("clip_l", "clip_g", "t5xxl")
)
"""Before the text encoders' names."""
LATENT_SCALE_AND_SHIFT: Mapping[FamilyName, tuple[float, float]] = {
    FamilyName.STABLE_DIFFUSION_3: (1.5305, 0.0609),
    FamilyName.FLUX: (0.3611, 0.1159),
}
"""Source: vae/config.json of the families' repositories."""
AUTOENCODER_WIDTHS = (128, 256, 512, 512)
"""Of both families; source: as above."""
_HEAD_OF_3 = 64
_AXES_OF_A_HEAD = {128: (16, 56, 56)}
"""How FLUX divides a head among time, rows and columns, by its width."""


def transformer_prefix(tensors: Tensors) -> str:
    """What stands before the transformer's names."""
    return WRAPPED if tensors.has(WRAPPED) else ""


def autoencoder_prefix(tensors: Tensors) -> str | None:
    """What stands before the autoencoder's names; none without an autoencoder."""
    return next((prefix for prefix in AUTOENCODERS if tensors.has(prefix)), None)


def flux_config(tensors: Tensors) -> dict[str, Any]:
    """For diffusers' FluxTransformer2DModel.

    Raises:
        ValueError: not built as FLUX.1 is.
    """
    at = transformer_prefix(tensors)
    wide, channels = tensors.shape(f"{at}img_in.weight")
    # what was made from FLUX.1 in other ways lacks one of these
    pooled = tensors.shape(f"{at}vector_in.in_layer.weight")[1]
    tensors.shape(f"{at}double_blocks.0.img_mod.lin.weight")
    (head,) = tensors.shape(f"{at}double_blocks.0.img_attn.norm.query_norm.scale")
    if head not in _AXES_OF_A_HEAD:
        raise ValueError(f"its attention heads are {head} wide")
    return {
        "patch_size": 1,
        "in_channels": channels,
        "out_channels": tensors.shape(f"{at}final_layer.linear.weight")[0],
        "num_layers": tensors.count(rf"{re.escape(at)}double_blocks\.(\d+)\."),
        "num_single_layers": tensors.count(rf"{re.escape(at)}single_blocks\.(\d+)\."),
        "attention_head_dim": head,
        "num_attention_heads": wide // head,
        "joint_attention_dim": tensors.shape(f"{at}txt_in.weight")[1],
        "pooled_projection_dim": pooled,
        "guidance_embeds": tensors.has(f"{at}guidance_in."),
        "axes_dims_rope": _AXES_OF_A_HEAD[head],
    }


def stable_diffusion_3_config(tensors: Tensors) -> dict[str, Any]:
    """For diffusers' SD3Transformer2DModel.

    Raises:
        ValueError: not built as Stable Diffusion 3 is.
    """
    at = transformer_prefix(tensors)
    wide, channels, patch, _ = tensors.shape(f"{at}x_embedder.proj.weight")
    captions, told = tensors.shape(f"{at}context_embedder.weight")
    blocks = rf"{re.escape(at)}joint_blocks\.(\d+)\."
    return {
        "sample_size": 128,
        "patch_size": patch,
        "in_channels": channels,
        "out_channels": tensors.shape(f"{at}final_layer.linear.weight")[0] // patch**2,
        "num_layers": tensors.count(blocks),
        "attention_head_dim": _HEAD_OF_3,
        "num_attention_heads": wide // _HEAD_OF_3,
        "joint_attention_dim": told,
        "caption_projection_dim": captions,
        "pooled_projection_dim": tensors.shape(f"{at}y_embedder.mlp.0.weight")[1],
        "pos_embed_max_size": math.isqrt(tensors.shape(f"{at}pos_embed")[1]),
        "dual_attention_layers": sorted(tensors.found(rf"{blocks}x_block\.attn2\.")),
        "qk_norm": "rms_norm" if tensors.count(rf"{blocks}x_block\.attn\.ln_q\.") else None,
    }


TRANSFORMER_CONFIGS = {
    FamilyName.FLUX: flux_config,
    FamilyName.STABLE_DIFFUSION_3: stable_diffusion_3_config,
}


def t5_config(tensors: Tensors) -> dict[str, Any]:
    """For transformers' T5EncoderModel, version 1.1."""
    tokens, wide = tensors.shape(f"{T5}shared.weight")
    first = f"{T5}encoder.block.0.layer"
    buckets, heads = tensors.shape(f"{first}.0.SelfAttention.relative_attention_bias.weight")
    return {
        "vocab_size": tokens,
        "d_model": wide,
        "d_kv": tensors.shape(f"{first}.0.SelfAttention.q.weight")[0] // heads,
        "d_ff": tensors.shape(f"{first}.1.DenseReluDense.wi_0.weight")[0],
        "num_layers": tensors.count(rf"{re.escape(T5)}encoder\.block\.(\d+)\."),
        "num_heads": heads,
        "relative_attention_num_buckets": buckets,
        "feed_forward_proj": "gated-gelu",
    }


def flow_scheduler_config(family: FamilyName, edition: str) -> dict[str, Any]:
    """How pictures are drawn.

    Source: scheduler/scheduler_config.json of the families' repositories.
    """
    euler = {"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000}
    if family is FamilyName.STABLE_DIFFUSION_3:
        return {**euler, "shift": 3.0}
    if edition == "schnell":
        return {**euler, "shift": 1.0, "use_dynamic_shifting": False}
    lengths = {"base_image_seq_len": 256, "max_image_seq_len": 4096}
    shifts = {"shift": 3.0, "base_shift": 0.5, "max_shift": 1.15}
    return {**euler, "use_dynamic_shifting": True, **shifts, **lengths}


def numbers_of_parts(tensors: Tensors, family: FamilyName) -> dict[str, float]:
    """How many numbers each part in the file has, by diffusers' names."""
    t5 = "text_encoder_2" if family is FamilyName.FLUX else "text_encoder_3"
    places = {CLIP_L: "text_encoder", CLIP_G: "text_encoder_2", T5: t5}
    places |= dict.fromkeys(AUTOENCODERS, "vae")
    found: dict[str, float] = defaultdict(float)
    for name, entry in tensors.entries.items():
        part = next((part for at, part in places.items() if name.startswith(at)), "transformer")
        found[part] += math.prod(entry["shape"])
    return dict(found)


def missing_parts(tensors: Tensors, family: FamilyName) -> tuple[str, ...]:
    """What must come from elsewhere, by diffusers' names of the parts.

    The tokenizers of CLIP are carried in the package, that of T5 is not.  Stable Diffusion 3 was
    published with CLIP alone in the file, and does without T5.
    """
    has_t5 = tensors.has(T5)
    autoencoder = () if autoencoder_prefix(tensors) else ("vae",)
    if family is FamilyName.FLUX:
        clip = () if tensors.has(CLIP_L) else ("text_encoder", "tokenizer")
        return (*autoencoder, *clip, *_t5("_2", is_there=has_t5))
    if tensors.has(CLIP_L) and tensors.has(CLIP_G):
        return (*autoencoder, *(("tokenizer_3",) if has_t5 else ()))
    clips = ("text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2")
    return (*autoencoder, *clips, *_t5("_3", is_there=has_t5))


def _t5(number: str, *, is_there: bool) -> tuple[str, ...]:
    return (f"tokenizer{number}",) if is_there else (f"text_encoder{number}", f"tokenizer{number}")
