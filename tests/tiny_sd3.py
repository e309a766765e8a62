"""A real Stable Diffusion 3 pipeline with random weights, small enough for a unit test.

In goes an empty folder, out comes a diffusers folder of a few MB, made offline: same classes, same
file names and same configuration keys as the real ones.
"""

from pathlib import Path

import torch
from diffusers import (
    FlowMatchEulerDiscreteScheduler,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
)
from tests.tiny import clip_text_encoder, clip_tokenizer
from tests.tiny_flux import flow_vae, t5_encoder, t5_tokenizer

T5_WIDTH = 72
PLACES = 16
"""Tokens along the longest side: 256 pixels."""


def save_tiny_sd3(folder: Path, *, t5: bool = True, medium: bool = True, seed: int = 0) -> Path:
    """Write a tiny pipeline into `folder` and answer `folder`.

    `medium` is 3.5 medium, with a second attention in its first block, else it is 3.0.  The global
    random state is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        pipeline = StableDiffusion3Pipeline(
            vae=flow_vae(shift=0.0609, scale=1.5305),
            text_encoder=clip_text_encoder(projected=True),
            tokenizer=clip_tokenizer(),
            text_encoder_2=clip_text_encoder(projected=True),
            tokenizer_2=clip_tokenizer(),
            text_encoder_3=t5_encoder(T5_WIDTH) if t5 else None,  # pyright: ignore[reportArgumentType]
            tokenizer_3=t5_tokenizer() if t5 else None,  # pyright: ignore[reportArgumentType]
            transformer=_transformer(medium=medium),
            scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        )
    pipeline.set_progress_bar_config(disable=True)
    pipeline.save_pretrained(folder, safe_serialization=True)
    return folder


def _transformer(*, medium: bool) -> SD3Transformer2DModel:
    return SD3Transformer2DModel(
        sample_size=8,
        patch_size=2,
        in_channels=16,
        out_channels=16,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=4,
        caption_projection_dim=32,
        joint_attention_dim=T5_WIDTH,
        pooled_projection_dim=64,
        pos_embed_max_size=PLACES,
        dual_attention_layers=(0,) if medium else (),
        qk_norm="rms_norm" if medium else None,
    ).eval()
