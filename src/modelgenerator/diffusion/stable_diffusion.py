"""Stable Diffusion 1.x and 2.x, and every base model of that architecture.

In: a diffusers folder.  Out: a `ModelFamily`.  It does not know what it is trained for.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from PIL import Image
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from modelgenerator.diffusion.family import Conditioning, LatentPosterior, Tokens
from modelgenerator.diffusion.noising import Noising
from modelgenerator.diffusion.parts import (
    byte_count,
    clip_tokens,
    decoded,
    drawing_pipeline,
    fingerprint,
    freeze,
    load_part,
    load_scheduler,
    loading,
    noising_of,
    on_device,
    posterior_of,
    sampling_with,
    scale_factor,
    start_noise,
)
from modelgenerator.diffusion.picture_request import PictureRequest
from modelgenerator.diffusion.unseen import UnseenText, unseen_text
from modelgenerator.lora.inject import TargetRule
from modelgenerator.lora.key_names import STABLE_DIFFUSION_NAMES, LayerNames

UNET_TARGETS = {
    "attention": TargetRule(within=("Transformer2DModel",)),
    "convolutions": TargetRule(
        within=("ResnetBlock2D", "Downsample2D", "Upsample2D"), kernels=True
    ),
}
"""Attention and feed-forward with proj_in and proj_out; and everything in the blocks between.

Source: kohya-ss/sd-scripts, networks/lora.py, UNET_TARGET_REPLACE_MODULE and
UNET_TARGET_REPLACE_MODULE_CONV2D_3X3.
"""
TEXT_TARGETS = (TargetRule(within=("CLIPAttention", "CLIPMLP")),)
"""q, k, v, out, fc1 and fc2, as kohya's TEXT_ENCODER_TARGET_REPLACE_MODULE."""


class StableDiffusion:
    """A loaded Stable Diffusion base model."""

    # diffusers' and transformers' annotations do not describe what their loaders return
    def __init__(self, parts: Mapping[str, Any], scheduler: Mapping[str, Any]) -> None:
        self._vae, self._unet = parts["vae"], parts["unet"]
        self._text_encoder, self._tokenizer = parts["text_encoder"], parts["tokenizer"]
        self._scheduler = dict(scheduler)
        freeze((self._vae, self._unet, self._text_encoder))
        self._unet.to(memory_format=torch.channels_last)
        # asking diffusers walks through all modules: 4 ms of a 60 ms training step
        self._device, self._dtype = self._unet.device, self._unet.dtype
        self._noising = noising_of(self._scheduler, device=self._device)

    @classmethod
    def load(
        cls, folder: Path, *, variant: str | None, device: torch.device, dtype: torch.dtype
    ) -> Self:
        def part(kind: Any, name: str, dtype: torch.dtype) -> Any:
            return load_part(kind, folder / name, variant=variant, device=device, dtype=dtype)

        with loading(folder):
            parts = {
                # half precision overflows in many autoencoders
                "vae": part(AutoencoderKL, "vae", torch.float32),
                "unet": part(UNet2DConditionModel, "unet", dtype),
                "text_encoder": part(CLIPTextModel, "text_encoder", dtype),
                "tokenizer": CLIPTokenizer.from_pretrained(folder / "tokenizer"),
            }
            return cls(parts, load_scheduler(folder))

    @property
    def device(self) -> torch.device:
        return self._device

    @property
    def byte_count(self) -> int:
        return byte_count((self._vae, self._unet, self._text_encoder))

    @property
    def noising(self) -> Noising:
        return self._noising

    @property
    def lora_parts(self) -> Mapping[str, nn.Module]:
        return {"unet": self._unet, "text_encoder": self._text_encoder}

    def lora_targets(self, names: Sequence[str]) -> Mapping[str, tuple[TargetRule, ...]]:
        return {"unet": tuple(UNET_TARGETS[name] for name in names), "text_encoder": TEXT_TARGETS}

    @property
    def lora_names(self) -> LayerNames:
        return STABLE_DIFFUSION_NAMES

    @property
    def autoencoder_fingerprint(self) -> str:
        return self._autoencoder_fingerprint

    @property
    def text_fingerprint(self) -> str:
        return self._text_fingerprint

    @cached_property
    def _autoencoder_fingerprint(self) -> str:
        return fingerprint(self._vae)

    @cached_property
    def _text_fingerprint(self) -> str:
        return fingerprint(self._text_encoder)

    def encode_pictures(self, pixels_B3HW: Tensor) -> LatentPosterior:
        return posterior_of(self._vae, pixels_B3HW, device=self._device)

    def tokenize(self, captions: Sequence[str]) -> Tokens:
        return {"text_encoder": clip_tokens(self._tokenizer, captions)}

    def unseen(self, caption: str) -> UnseenText | None:
        return unseen_text(self._tokenizer, caption)

    def encode_prompts(self, tokens: Tokens) -> Conditioning:
        text_encoder = on_device(self._text_encoder, self._device)
        tokens_BL = tokens["text_encoder"].to(self._device)
        return {"states_BLD": text_encoder(tokens_BL).last_hidden_state}

    def encode_fixed(self, tokens: Tokens) -> Conditioning:  # noqa: ARG002
        return {}

    def predict(
        self,
        noised_BCHW: Tensor,
        times_B: Tensor,
        prompts: Conditioning,
        framing_B6: Tensor,  # noqa: ARG002
        *,
        guidance: float = 1.0,  # noqa: ARG002
    ) -> Tensor:
        noised_BCHW = noised_BCHW.to(self._dtype).contiguous(memory_format=torch.channels_last)
        states_BLD = prompts["states_BLD"].to(self._dtype)
        return self._unet(noised_BCHW, times_B, states_BLD, return_dict=False)[0].float()

    @torch.no_grad()
    def draw(self, requests: Sequence[PictureRequest]) -> list[Image.Image]:
        first = requests[0]
        chances = [torch.Generator().manual_seed(request.seed) for request in requests]
        self._vae.to(self.device)
        self._text_encoder.to(self.device)
        pipeline = sampling_with(self._pipeline, self._scheduler, first.sampler, is_flow=False)
        drawn_BCHW = pipeline(
            prompt=[request.prompt for request in requests],
            negative_prompt=[request.negative_prompt for request in requests],
            width=first.width,
            height=first.height,
            num_inference_steps=first.steps,
            guidance_scale=first.guidance_scale,
            latents=torch.cat(list(map(self._start_noise, requests, chances))),
            # some schedulers draw more noise on the way
            generator=chances,
            output_type="latent",
        ).images
        return [decoded(self._vae, latents_CHW) for latents_CHW in drawn_BCHW]

    def free_encoders(self, *, text: bool) -> None:
        self._vae.to("cpu")
        if text:
            self._text_encoder.to("cpu")

    @cached_property
    def _pipeline(self) -> Any:
        # imported here: a training that draws nothing does without its second of imports
        import diffusers

        return drawing_pipeline(
            diffusers.StableDiffusionPipeline,  # pyright: ignore[reportPrivateImportUsage]
            self._scheduler,
            vae=self._vae,
            text_encoder=self._text_encoder,
            tokenizer=self._tokenizer,
            unet=self._unet,
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )

    def _start_noise(self, request: PictureRequest, chance: torch.Generator) -> Tensor:
        channels, factor = self._unet.config.in_channels, scale_factor(self._vae)
        noise_1CHW = start_noise(request, chance, channels=channels, factor=factor)
        return noise_1CHW.to(self._device, self._dtype)
