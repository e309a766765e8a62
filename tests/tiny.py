"""A real Stable Diffusion pipeline with random weights, small enough for a unit test.

In goes an empty folder, out comes a diffusers folder of under 3 MB, made offline in well under a
second: same classes, same file names and same configuration keys as the real ones.  It knows
nothing of pictures: what it draws is noise.
"""

from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from tokenizers import pre_tokenizers
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
)

PROMPT_WIDTH = 32
"""Width of a prompt embedding, `D` in `prompts_BLD`."""
LATENT_SIDE = 8
SCALE_FACTOR = 8
NATIVE_SIDE = LATENT_SIDE * SCALE_FACTOR
"""The side of a picture in pixels that the tiny U-Net says it was trained on."""


def save_tiny_stable_diffusion(
    folder: Path, *, prediction_type: str = "epsilon", sd2: bool = False, seed: int = 0
) -> Path:
    """Write a tiny pipeline into `folder` and answer `folder`.

    `sd2` writes what tells Stable Diffusion 2 from 1: linear projections around attention and a
    text encoder with plain GELU.  The global random state is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        pipeline = StableDiffusionPipeline(
            vae=_vae(),
            text_encoder=clip_text_encoder(sd2=sd2),
            tokenizer=clip_tokenizer(),
            unet=_unet(sd2=sd2),
            scheduler=_scheduler(prediction_type),
            safety_checker=None,  # pyright: ignore[reportArgumentType]
            feature_extractor=None,  # pyright: ignore[reportArgumentType]
            image_encoder=None,  # pyright: ignore[reportArgumentType]
            requires_safety_checker=False,
        )
    pipeline.set_progress_bar_config(disable=True)
    pipeline.save_pretrained(folder, safe_serialization=True)
    return folder


def clip_tokenizer() -> CLIPTokenizer:
    """The 256 bytes, each also as the end of a word, and two marks: CLIP's own order, no merges."""
    bytes_ = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = [*bytes_, *(f"{byte}</w>" for byte in bytes_), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    return CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=77)


def clip_text_encoder(
    *, sd2: bool = False, projected: bool = False
) -> CLIPTextModel | CLIPTextModelWithProjection:
    config = CLIPTextConfig(
        vocab_size=514,
        hidden_size=PROMPT_WIDTH,
        intermediate_size=2 * PROMPT_WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=77,
        projection_dim=PROMPT_WIDTH,
        bos_token_id=512,
        eos_token_id=513,
        pad_token_id=513,
        hidden_act="gelu" if sd2 else "quick_gelu",
    )
    kind = CLIPTextModelWithProjection if projected else CLIPTextModel
    return kind(config).eval()


def _vae() -> AutoencoderKL:
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        latent_channels=4,
        block_out_channels=(8, 16, 16, 16),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        norm_num_groups=4,
        sample_size=NATIVE_SIDE,
    ).eval()


def _unet(*, sd2: bool) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=LATENT_SIDE,
        in_channels=4,
        out_channels=4,
        layers_per_block=1,
        block_out_channels=(16, 32, 48),
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=PROMPT_WIDTH,
        attention_head_dim=4,
        norm_num_groups=8,
        use_linear_projection=sd2,
    ).eval()


def _scheduler(prediction_type: str) -> DDIMScheduler:
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type=prediction_type,
    )
