"""A base model that is not a toy: Stable Diffusion's architecture with random weights.

In: an empty folder.  Out: a diffusers folder with 39 M parameters, for pictures of 256 x 256.  It
draws noise; how fast and in how much memory it is trained does not depend on what it knows.
"""

from collections.abc import Callable
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from tokenizers import pre_tokenizers
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

WIDTH = 256
"""Of a prompt embedding."""


def save_half_width(folder: Path) -> Path:
    """The same around Stable Diffusion 1.5's U-Net at half its width: 210 M parameters."""
    return save_larger_base(folder, unet=_half_width_unet)


def save_larger_base(folder: Path, unet: Callable[[], UNet2DConditionModel] | None = None) -> Path:
    """Write the pipeline into `folder` and answer `folder`."""
    torch.manual_seed(0)
    pipeline = StableDiffusionPipeline(
        vae=_autoencoder(),
        text_encoder=_text_encoder(),
        tokenizer=_tokenizer(),
        unet=(unet or _unet)(),
        scheduler=DDIMScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            clip_sample=False,
            set_alpha_to_one=False,
            steps_offset=1,
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(folder, safe_serialization=True)
    return folder


def _unet() -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=32,
        in_channels=4,
        out_channels=4,
        layers_per_block=2,
        block_out_channels=(64, 128, 256),
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=WIDTH,
        attention_head_dim=2,  # so many heads, each 32 to 128 wide: SD has 40 to 160
    )


def _half_width_unet() -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=64,
        block_out_channels=(160, 320, 640, 640),
        cross_attention_dim=WIDTH,
        attention_head_dim=8,
    )


def _autoencoder() -> AutoencoderKL:
    """As Stable Diffusion's, half as wide."""
    return AutoencoderKL(
        latent_channels=4,
        block_out_channels=(64, 128, 256, 256),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=2,
        sample_size=256,
    )


def _text_encoder() -> CLIPTextModel:
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=514,
            hidden_size=WIDTH,
            intermediate_size=4 * WIDTH,
            num_hidden_layers=6,
            num_attention_heads=8,
            max_position_embeddings=77,
            projection_dim=WIDTH,
            bos_token_id=512,
            eos_token_id=513,
            pad_token_id=513,
        )
    )


def _tokenizer() -> CLIPTokenizer:
    """The 256 bytes, each also as the end of a word, and two marks: CLIP's order, no merges."""
    bytes_ = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = [*bytes_, *(f"{byte}</w>" for byte in bytes_), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    return CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=77)
