"""SDXL, and every base model of that architecture.

In: a diffusers folder.  Out: a `ModelFamily`.  It does not know what it is trained for.

Two text encoders read every prompt.  The denoiser sees the last but one layer of both side by side,
a summary by the second one, and how the picture was framed.
Source: Podell et al. 2023, https://arxiv.org/abs/2307.01952, section 2.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from PIL import Image
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

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
from modelgenerator.diffusion.stable_diffusion import TEXT_TARGETS, UNET_TARGETS
from modelgenerator.diffusion.unseen import UnseenText, unseen_text
from modelgenerator.lora.inject import TargetRule
from modelgenerator.lora.key_names import LayerNames, stable_diffusion_xl_names

_TEXT_ENCODERS = ("text_encoder", "text_encoder_2")
_PENULTIMATE = -2


class StableDiffusionXL:
    """A loaded SDXL base model."""

    # diffusers' and transformers' annotations do not describe what their loaders return
    def __init__(
        self,
        parts: Mapping[str, Any],
        scheduler: Mapping[str, Any],
        *,
        empty_negative_is_zero: bool,
    ) -> None:
        self._vae, self._unet = parts["vae"], parts["unet"]
        self._text_encoders = {name: parts[name] for name in _TEXT_ENCODERS}
        self._tokenizers = {
            "text_encoder": parts["tokenizer"],
            "text_encoder_2": parts["tokenizer_2"],
        }
        self._scheduler = dict(scheduler)
        self._empty_negative_is_zero = empty_negative_is_zero
        freeze((self._vae, self._unet, *self._text_encoders.values()))
        self._unet.to(memory_format=torch.channels_last)
        # asking diffusers walks through all modules: 5 ms of a training step
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
                # half precision overflows in this autoencoder
                "vae": part(AutoencoderKL, "vae", torch.float32),
                "unet": part(UNet2DConditionModel, "unet", dtype),
                "text_encoder": part(CLIPTextModel, "text_encoder", dtype),
                "text_encoder_2": part(CLIPTextModelWithProjection, "text_encoder_2", dtype),
                "tokenizer": CLIPTokenizer.from_pretrained(folder / "tokenizer"),
                "tokenizer_2": CLIPTokenizer.from_pretrained(folder / "tokenizer_2"),
            }
            _require_plain_latents(parts["vae"])
            index = json.loads((folder / "model_index.json").read_text())
            return cls(
                parts,
                load_scheduler(folder),
                empty_negative_is_zero=index.get("force_zeros_for_empty_prompt", True),
            )

    @property
    def device(self) -> torch.device:
        return self._device

    @property
    def byte_count(self) -> int:
        return byte_count((self._vae, self._unet, *self._text_encoders.values()))

    @property
    def noising(self) -> Noising:
        return self._noising

    @property
    def lora_parts(self) -> Mapping[str, nn.Module]:
        return {"unet": self._unet, **self._text_encoders}

    def lora_targets(self, names: Sequence[str]) -> Mapping[str, tuple[TargetRule, ...]]:
        """The last layer of each encoder is among them, though little or nothing reaches it.

        Source: kohya-ss/sd-scripts, networks/lora.py, which makes no difference between layers.
        """
        return {
            "unet": tuple(UNET_TARGETS[name] for name in names),
            **dict.fromkeys(_TEXT_ENCODERS, TEXT_TARGETS),
        }

    @property
    def lora_names(self) -> LayerNames:
        return stable_diffusion_xl_names(self._unet.config.layers_per_block)

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
        return fingerprint(*self._text_encoders.values())

    def encode_pictures(self, pixels_B3HW: Tensor) -> LatentPosterior:
        return posterior_of(self._vae, pixels_B3HW, device=self._device)

    def tokenize(self, captions: Sequence[str]) -> Tokens:
        return {name: clip_tokens(self._tokenizers[name], captions) for name in _TEXT_ENCODERS}

    def unseen(self, caption: str) -> UnseenText | None:
        return unseen_text(self._tokenizers["text_encoder"], caption)  # both have the same room

    def encode_fixed(self, tokens: Tokens) -> Conditioning:  # noqa: ARG002
        return {}

    def encode_prompts(self, tokens: Tokens) -> Conditioning:
        first, second = (self._read(name, tokens[name]) for name in _TEXT_ENCODERS)
        states = [said.hidden_states[_PENULTIMATE] for said in (first, second)]
        return {"states_BLD": torch.cat(states, dim=-1), "summary_BD": second.text_embeds}

    def predict(
        self,
        noised_BCHW: Tensor,
        times_B: Tensor,
        prompts: Conditioning,
        framing_B6: Tensor,
        *,
        guidance: float = 1.0,  # noqa: ARG002
    ) -> Tensor:
        noised_BCHW = noised_BCHW.to(self._dtype).contiguous(memory_format=torch.channels_last)
        return self._unet(
            noised_BCHW,
            times_B,
            prompts["states_BLD"].to(self._dtype),
            added_cond_kwargs={
                "text_embeds": prompts["summary_BD"].to(self._dtype),
                # bf16 cannot tell 1023 from 1024
                "time_ids": framing_B6.to(self._device, torch.float32),
            },
            return_dict=False,
        )[0].float()

    @torch.no_grad()
    def draw(self, requests: Sequence[PictureRequest]) -> list[Image.Image]:
        first = requests[0]
        chances = [torch.Generator().manual_seed(request.seed) for request in requests]
        self._vae.to(self._device)
        wanted = self._described([request.prompt for request in requests])
        unwanted = self._unwanted([request.negative_prompt for request in requests])
        pipeline = sampling_with(self._pipeline, self._scheduler, first.sampler, is_flow=False)
        drawn_BCHW = pipeline(
            prompt_embeds=wanted["states_BLD"],
            pooled_prompt_embeds=wanted["summary_BD"],
            negative_prompt_embeds=unwanted["states_BLD"],
            negative_pooled_prompt_embeds=unwanted["summary_BD"],
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
            for encoder in self._text_encoders.values():
                encoder.to("cpu")

    def _read(self, name: str, tokens_BL: Tensor) -> Any:
        encoder = on_device(self._text_encoders[name], self._device)
        return encoder(tokens_BL.to(self._device), output_hidden_states=True)

    def _described(self, prompts: Sequence[str]) -> Conditioning:
        return self.encode_prompts(self.tokenize(prompts))

    def _unwanted(self, prompts: Sequence[str]) -> Conditioning:
        """An empty one is all zeros where the base model was trained so, as in diffusers."""
        said = self._described(prompts)
        if not self._empty_negative_is_zero:
            return said
        is_said_B = torch.tensor([bool(prompt) for prompt in prompts], device=self._device)
        return {
            "states_BLD": said["states_BLD"] * is_said_B[:, None, None],
            "summary_BD": said["summary_BD"] * is_said_B[:, None],
        }

    @cached_property
    def _pipeline(self) -> Any:
        # imported here: a training that draws nothing does without its second of imports
        import diffusers

        return drawing_pipeline(
            diffusers.StableDiffusionXLPipeline,  # pyright: ignore[reportPrivateImportUsage]
            self._scheduler,
            vae=self._vae,
            **self._text_encoders,
            tokenizer=self._tokenizers["text_encoder"],
            tokenizer_2=self._tokenizers["text_encoder_2"],
            unet=self._unet,
            force_zeros_for_empty_prompt=self._empty_negative_is_zero,
            add_watermarker=False,
        )

    def _start_noise(self, request: PictureRequest, chance: torch.Generator) -> Tensor:
        channels, factor = self._unet.config.in_channels, scale_factor(self._vae)
        noise_1CHW = start_noise(request, chance, channels=channels, factor=factor)
        return noise_1CHW.to(self._device, self._dtype)


def _require_plain_latents(vae: Any) -> None:
    """Raises ValueError: noise of another kind, as in Playground 2.5."""
    if vae.config.get("latents_mean") is not None:
        raise ValueError("its latents are shifted and its noise is EDM's, which cannot be trained")
