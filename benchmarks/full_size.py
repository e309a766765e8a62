"""Base models of full size with random weights: a step's time and memory do not ask what they know.

In: a family and an empty folder.  Out: a diffusers folder in bf16.  Denoisers, autoencoders and
CLIP are shaped as published; T5 keeps its width but has two layers, because it is freed before the
first step.  Weights are made on the device: FLUX takes 24 GB there and 24 GB of disk.
Source: the configurations in the repositories of Stable Diffusion 1.5, SDXL 1.0 and FLUX.1-dev.
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxTransformer2DModel,
    UNet2DConditionModel,
)
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    T5Config,
    T5EncoderModel,
)

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.tiny import clip_tokenizer
from tests.tiny_flux import t5_tokenizer

RESOLUTIONS = {"sd15": 512, "sdxl": 1024, "flux": 1024}


def sd15_unet() -> UNet2DConditionModel:
    return UNet2DConditionModel(sample_size=64, cross_attention_dim=768, attention_head_dim=8)


def sdxl_unet() -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=128,
        block_out_channels=(320, 640, 1280),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=(5, 10, 20),
        transformer_layers_per_block=(1, 2, 10),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=2816,
        cross_attention_dim=2048,
    )


def flux_transformer() -> FluxTransformer2DModel:
    return FluxTransformer2DModel(guidance_embeds=True)


DENOISERS: Mapping[str, Callable[[], Any]] = {
    "sd15": sd15_unet,
    "sdxl": sdxl_unet,
    "flux": flux_transformer,
}


def _sd15() -> Any:
    return diffusers.StableDiffusionPipeline(
        vae=_autoencoder(),
        text_encoder=_clip_l(),
        tokenizer=clip_tokenizer(),
        unet=sd15_unet(),
        scheduler=DDIMScheduler(**_NOISE, clip_sample=False, set_alpha_to_one=False),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def _sdxl() -> Any:
    return diffusers.StableDiffusionXLPipeline(
        vae=_autoencoder(scaling_factor=0.13025),
        text_encoder=_clip_l(),
        text_encoder_2=_clip_big_g(),
        tokenizer=clip_tokenizer(),
        tokenizer_2=clip_tokenizer(),
        unet=sdxl_unet(),
        scheduler=EulerDiscreteScheduler(**_NOISE),
        add_watermarker=False,
    )


def _flux() -> Any:
    autoencoder = _autoencoder(
        latent_channels=16,
        scaling_factor=0.3611,
        shift_factor=0.1159,
        use_quant_conv=False,
        use_post_quant_conv=False,
    )
    return diffusers.FluxPipeline(
        vae=autoencoder,
        text_encoder=_clip_l(),
        text_encoder_2=T5EncoderModel(
            T5Config(
                vocab_size=32128,
                d_model=4096,
                d_kv=64,
                d_ff=10240,
                num_layers=2,
                num_heads=64,
                feed_forward_proj="gated-gelu",
            )
        ),
        tokenizer=clip_tokenizer(),
        tokenizer_2=t5_tokenizer(),
        transformer=flux_transformer(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
    )


_NOISE: Mapping[str, Any] = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "steps_offset": 1,
}
_PIPELINES: Mapping[str, Callable[[], Any]] = {"sd15": _sd15, "sdxl": _sdxl, "flux": _flux}


def save_full_size(family: str, folder: Path, *, device: str = "cuda") -> Path:
    """Write the pipeline into `folder` and answer `folder`."""
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device(device):
            pipeline = _PIPELINES[family]()
    finally:
        torch.set_default_dtype(torch.float32)
    pipeline.save_pretrained(folder, safe_serialization=True)
    del pipeline
    torch.cuda.empty_cache()
    return folder


def _autoencoder(**more: Any) -> AutoencoderKL:
    published: dict[str, Any] = {
        "latent_channels": 4,
        "block_out_channels": (128, 256, 512, 512),
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
        "layers_per_block": 2,
    }
    return AutoencoderKL(**(published | more))


def _clip_l() -> CLIPTextModel:
    return CLIPTextModel(_clip_config(width=768, layers=12, heads=12, activation="quick_gelu"))


def _clip_big_g() -> CLIPTextModelWithProjection:
    return CLIPTextModelWithProjection(
        _clip_config(width=1280, layers=32, heads=20, activation="gelu")
    )


def _clip_config(*, width: int, layers: int, heads: int, activation: str) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=49408,
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        max_position_embeddings=77,
        projection_dim=width,
        hidden_act=activation,
        bos_token_id=512,
        eos_token_id=513,
        pad_token_id=513,
    )
