"""A real FLUX.1 pipeline with random weights, small enough for a unit test.

In goes an empty folder, out comes a diffusers folder of a few MB, made offline: same classes, same
file names and same configuration keys as the real ones.
"""

from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
)
from tests.tiny import NATIVE_SIDE, clip_text_encoder, clip_tokenizer
from transformers import T5Config, T5EncoderModel, T5Tokenizer

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,!?-_'\"<>"
T5_WIDTH = 24


def save_tiny_flux(folder: Path, *, dev: bool = True, seed: int = 0) -> Path:
    """Write a tiny pipeline into `folder` and answer `folder`.

    `dev` is distilled with guidance, else it is schnell.  The global random state is left as it
    was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        pipeline = FluxPipeline(
            vae=flow_vae(shift=0.1159, scale=0.3611),
            text_encoder=clip_text_encoder(),
            tokenizer=clip_tokenizer(),
            text_encoder_2=t5_encoder(T5_WIDTH),
            tokenizer_2=t5_tokenizer(),
            transformer=_transformer(dev=dev),
            scheduler=FlowMatchEulerDiscreteScheduler(
                shift=3.0 if dev else 1.0,
                use_dynamic_shifting=dev,
                base_shift=0.5,
                max_shift=1.15,
                base_image_seq_len=256,
                max_image_seq_len=4096,
            ),
        )
    pipeline.set_progress_bar_config(disable=True)
    pipeline.save_pretrained(folder, safe_serialization=True)
    return folder


def t5_tokenizer() -> T5Tokenizer:
    """Letters, the space, and T5's marks in their order."""
    marks = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("\u2581", -2.0)]
    vocabulary = marks + [(letter, -3.0) for letter in LETTERS]
    return T5Tokenizer(vocab=vocabulary, extra_ids=0, model_max_length=512)


def t5_encoder(width: int) -> T5EncoderModel:
    config = T5Config(
        vocab_size=128,
        d_model=width,
        d_kv=8,
        d_ff=48,
        num_layers=2,
        num_heads=2,
        feed_forward_proj="gated-gelu",
    )
    return T5EncoderModel(config).eval()


def flow_vae(*, shift: float, scale: float, groups: int = 4) -> AutoencoderKL:
    """With 16 channels and a shift, as those of FLUX and Stable Diffusion 3.

    The real ones norm 32 `groups`.
    """
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        latent_channels=16,
        block_out_channels=(2 * groups,) + (4 * groups,) * 3,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        norm_num_groups=groups,
        sample_size=NATIVE_SIDE,
        shift_factor=shift,
        scaling_factor=scale,
        use_quant_conv=False,
        use_post_quant_conv=False,
    ).eval()


def _transformer(*, dev: bool) -> FluxTransformer2DModel:
    return FluxTransformer2DModel(
        patch_size=1,
        in_channels=64,
        num_layers=1,
        num_single_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=T5_WIDTH,
        pooled_projection_dim=32,
        guidance_embeds=dev,
        axes_dims_rope=(4, 6, 6),
    ).eval()
