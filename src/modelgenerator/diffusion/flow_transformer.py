"""What FLUX and Stable Diffusion 3 have in common: a transformer that learns a straight flow.

In: the parts of a diffusers folder.  Out: all of a `ModelFamily` but how prompts become
conditioning, how the transformer is asked, and how it draws.

The transformer and the CLIP text encoders are on the device from the start.  The autoencoder and
T5, which may be as large as the transformer, come when they are needed and never learn.
"""

import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from inspect import signature
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from modelgenerator.diffusion.family import (
    Conditioning,
    LatentPosterior,
    PictureRequest,
    Tokens,
)
from modelgenerator.diffusion.noising import FlowNoising, Noising
from modelgenerator.diffusion.parts import fingerprint, scheduler_class
from modelgenerator.lora.diffusers_names import TRANSFORMER_NAMES
from modelgenerator.lora.inject import TargetRule
from modelgenerator.lora.key_names import LayerNames

CLIP_TARGETS = (TargetRule(within=("CLIPAttention", "CLIPMLP")),)
"""q, k, v, out, fc1 and fc2, as kohya's TEXT_ENCODER_TARGET_REPLACE_MODULE."""
_PROMPTS = re.compile(r"text_encoder|tokenizer")
"""The parts of a diffusers pipeline that encode prompts."""
T5_STATES = "t5_states_BLD"
"""Among tokens: what T5 says, in the place of what it would read."""


class FlowTransformer(ABC):
    """A loaded base model with a transformer, CLIP text encoders and perhaps T5."""

    def __init__(
        self,
        parts: Mapping[str, Any],
        scheduler: Mapping[str, Any],
        *,
        clips: Sequence[str],
        token_counts: Mapping[str, int],
        targets: TargetRule,
        device: torch.device,
    ) -> None:
        """`token_counts` by text encoder; the one that is not among `clips` is T5."""
        self._parts, self._scheduler = dict(parts), dict(scheduler)
        self._vae, self._transformer = parts["vae"], parts["transformer"].to(device)
        self._clips = {name: parts[name].to(device) for name in clips}
        self._t5 = next((name for name in token_counts if name not in clips), None)
        self._token_counts, self._targets = dict(token_counts), targets
        # asking diffusers walks through all modules
        self._device, self._dtype = self._transformer.device, self._transformer.dtype

    @property
    def device(self) -> torch.device:
        return self._device

    @property
    def noising(self) -> Noising:
        return FlowNoising()

    @property
    def lora_parts(self) -> Mapping[str, nn.Module]:
        return {"transformer": self._transformer, **self._clips}

    def lora_targets(self, names: Sequence[str]) -> Mapping[str, tuple[TargetRule, ...]]:
        rules = {"attention": self._targets}  # a transformer has no convolutions
        return {
            "transformer": tuple(rules[name] for name in names),
            **dict.fromkeys(self._clips, CLIP_TARGETS),
        }

    @property
    def lora_names(self) -> LayerNames:
        return TRANSFORMER_NAMES

    @property
    def autoencoder_fingerprint(self) -> str:
        return self._autoencoder_fingerprint

    @property
    def text_fingerprint(self) -> str:
        return self._text_fingerprint

    @cached_property
    def _autoencoder_fingerprint(self) -> str:
        return fingerprint(self._vae, dict(self._vae.config))

    @cached_property
    def _text_fingerprint(self) -> str:
        encoders = [self._parts[name] for name in self._token_counts]
        prints = [fingerprint(encoder, encoder.config.to_dict()) for encoder in encoders]
        return hashlib.sha256("".join(prints).encode()).hexdigest()

    def encode_pictures(self, pixels_B3HW: Tensor) -> LatentPosterior:
        vae = self._vae.to(self._device)
        with torch.no_grad():
            posterior = vae.encode(pixels_B3HW.to(self._device, torch.float32)).latent_dist
        scale, shift = self._latent_scale
        return LatentPosterior(
            mean_BCHW=(posterior.mean - shift) * scale, deviation_BCHW=posterior.std * scale
        )

    def tokenize(self, captions: Sequence[str]) -> Tokens:
        return {name: self._read(name, captions) for name in self._token_counts}

    def encode_fixed(self, tokens: Tokens) -> Conditioning:
        return {} if self._t5 is None else {T5_STATES: self._t5_states(tokens)}

    @abstractmethod
    def encode_prompts(self, tokens: Tokens) -> Conditioning: ...

    @abstractmethod
    def predict(
        self, noised_BCHW: Tensor, times_B: Tensor, prompts: Conditioning, framing_B6: Tensor
    ) -> Tensor: ...

    @torch.no_grad()
    def draw(self, requests: Sequence[PictureRequest]) -> list[Image.Image]:
        chances = [torch.Generator().manual_seed(request.seed) for request in requests]
        noise_BCHW = torch.cat(list(map(self._start_noise, requests, chances)))
        self._vae.to(self._device)
        drawn_BCHW = self._drawn(requests, noise_BCHW, chances)
        return [self._decoded(latents_CHW) for latents_CHW in drawn_BCHW]

    @abstractmethod
    def _drawn(
        self,
        requests: Sequence[PictureRequest],
        noise_BCHW: Tensor,
        chances: Sequence[torch.Generator],
    ) -> Tensor:
        """Clean latents; some schedulers draw more noise from `chances` on the way."""
        ...

    def free_encoders(self, *, text: bool) -> None:
        leaving = [self._vae, *([self._parts[self._t5]] if self._t5 else ())]
        for part in (*leaving, *(self._clips.values() if text else ())):
            part.to("cpu")

    def _read(self, encoder: str, captions: Sequence[str]) -> Tensor:
        tokens = self._parts[encoder.replace("text_encoder", "tokenizer")](
            list(captions),
            padding="max_length",
            max_length=self._token_counts[encoder],
            truncation=True,
        )
        return torch.tensor(tokens.input_ids)

    def _placed(self, encoder: str) -> Any:
        part = self._parts[encoder]
        if next(part.parameters()).device != self._device:
            part.to(self._device)
        return part

    def _t5_states(self, tokens: Tokens) -> Tensor:
        if T5_STATES in tokens:
            return tokens[T5_STATES].to(self._device)
        assert self._t5 is not None
        with torch.no_grad():
            return self._placed(self._t5)(tokens[self._t5].to(self._device))[0]

    @property
    def _latent_scale(self) -> tuple[float, float]:
        """What latents are multiplied by, and what is taken off them before."""
        config = self._vae.config
        return float(config.scaling_factor), float(config.shift_factor or 0)

    def _pipeline_of(self, kind: Any) -> Any:
        """diffusers' way to draw, without the text encoders: prompts come encoded."""
        scheduler = scheduler_class(self._scheduler).from_config(self._scheduler)
        pipeline = kind(
            transformer=self._transformer,
            vae=self._vae,
            scheduler=scheduler,
            **{name: None for name in signature(kind).parameters if _PROMPTS.match(name)},
        )
        pipeline.set_progress_bar_config(disable=True)
        return pipeline

    def _start_noise(self, request: PictureRequest, chance: torch.Generator) -> Tensor:
        """Drawn on the CPU, so that a seed means the same picture on every device."""
        config = self._vae.config
        factor = 2 ** (len(config.block_out_channels) - 1)
        shape = (1, config.latent_channels, request.height // factor, request.width // factor)
        return torch.randn(shape, generator=chance).to(self._device, self._dtype)

    def _decoded(self, latents_CHW: Tensor) -> Image.Image:
        """One at a time and in fp32: the autoencoder takes much memory."""
        scale, shift = self._latent_scale
        latents_1CHW = latents_CHW[None].float() / scale + shift
        pixels_3HW = self._vae.decode(latents_1CHW, return_dict=False)[0][0]
        pixels_HW3 = ((pixels_3HW / 2 + 0.5).clamp(0, 1) * 255).round().permute(1, 2, 0)
        return Image.fromarray(pixels_HW3.to("cpu", torch.uint8).numpy())
