"""What FLUX and Stable Diffusion 3 have in common: a transformer that learns a straight flow.

In: the parts of a diffusers folder.  Out: all of a `ModelFamily` but how prompts become
conditioning, how the transformer is asked, and how it draws.

The transformer and the CLIP text encoders are on the device from the start.  The autoencoder and
T5, which may be as large as the transformer, come when they are needed and never learn.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from modelgenerator.diffusion.family import Conditioning, LatentPosterior, Tokens
from modelgenerator.diffusion.noising import FlowNoising, Noising
from modelgenerator.diffusion.parts import (
    byte_count,
    decoded,
    drawing_pipeline,
    fingerprint,
    freeze,
    load_part,
    on_device,
    posterior_of,
    scale_factor,
    start_noise,
)
from modelgenerator.diffusion.picture_request import PictureRequest
from modelgenerator.diffusion.unseen import UnseenText, unseen_text
from modelgenerator.lora.inject import TargetRule
from modelgenerator.lora.key_names import LayerNames

CLIP_TARGETS = (TargetRule(within=("CLIPAttention", "CLIPMLP")),)
"""q, k, v, out, fc1 and fc2, as kohya's TEXT_ENCODER_TARGET_REPLACE_MODULE."""
_PROMPTS = re.compile(r"text_encoder|tokenizer")
"""The parts of a diffusers pipeline that encode prompts."""
T5_STATES = "t5_states_BLD"
"""Among tokens: what T5 says, in the place of what it would read."""


def load_parts(
    kinds: Mapping[str, Any], folder: Path, *, variant: str | None, dtype: torch.dtype
) -> dict[str, Any]:
    """Parts of a diffusers folder by name, each by its class, on the CPU until they are needed.

    Raises:
        ValueError: a weight is missing.
    """

    def part(kind: Any, name: str) -> Any:
        if name.startswith("tokenizer"):
            return kind.from_pretrained(folder / name)
        # half precision overflows in the autoencoder
        own = torch.float32 if name == "vae" else dtype
        here = torch.device("cpu")
        return load_part(kind, folder / name, variant=variant, device=here, dtype=own)

    return {name: part(kind, name) for name, kind in kinds.items()}


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
        names: LayerNames,
        device: torch.device,
    ) -> None:
        """`token_counts` by text encoder; the one that is not among `clips` is T5."""
        self._parts, self._scheduler = dict(parts), dict(scheduler)
        freeze(part for part in parts.values() if isinstance(part, nn.Module))
        self._vae, self._transformer = parts["vae"], parts["transformer"].to(device)
        self._clips = {name: parts[name].to(device) for name in clips}
        self._t5 = next((name for name in token_counts if name not in clips), None)
        self._token_counts, self._targets, self._names = dict(token_counts), targets, names
        self._noising = FlowNoising(float(self._scheduler.get("shift", 1)))
        # asking diffusers walks through all modules
        self._device, self._dtype = self._transformer.device, self._transformer.dtype

    @property
    def device(self) -> torch.device:
        return self._device

    @property
    def byte_count(self) -> int:
        return byte_count(self._parts.values())

    @property
    def noising(self) -> Noising:
        return self._noising

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
        return self._names

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
        return fingerprint(*(self._parts[name] for name in self._token_counts))

    def encode_pictures(self, pixels_B3HW: Tensor) -> LatentPosterior:
        posterior = posterior_of(self._vae, pixels_B3HW, device=self._device)
        return replace(posterior, mean_BCHW=posterior.mean_BCHW - self._latent_shift)

    def tokenize(self, captions: Sequence[str]) -> Tokens:
        return {name: self._read(name, captions) for name in self._token_counts}

    def unseen(self, caption: str) -> UnseenText | None:
        """T5 has the most room; without it, CLIP has."""
        longest = max(self._token_counts, key=lambda name: self._token_counts[name])
        return unseen_text(self._tokenizer(longest), caption, length=self._token_counts[longest])

    def encode_fixed(self, tokens: Tokens) -> Conditioning:
        return {} if self._t5 is None else {T5_STATES: self._t5_states(tokens)}

    @abstractmethod
    def encode_prompts(self, tokens: Tokens) -> Conditioning: ...

    @abstractmethod
    def predict(
        self,
        noised_BCHW: Tensor,
        times_B: Tensor,
        prompts: Conditioning,
        framing_B6: Tensor,
        *,
        guidance: float = 1.0,
    ) -> Tensor: ...

    @torch.no_grad()
    def draw(self, requests: Sequence[PictureRequest]) -> list[Image.Image]:
        chances = [torch.Generator().manual_seed(request.seed) for request in requests]
        channels, factor = self._vae.config.latent_channels, scale_factor(self._vae)
        noise_BCHW = torch.cat(
            [
                start_noise(request, chance, channels=channels, factor=factor)
                for request, chance in zip(requests, chances, strict=True)
            ]
        )
        self._vae.to(self._device)
        drawn_BCHW = self._drawn(requests, noise_BCHW.to(self._device, self._dtype), chances)
        return [decoded(self._vae, latents.float() + self._latent_shift) for latents in drawn_BCHW]

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
        tokens = self._tokenizer(encoder)(
            list(captions),
            padding="max_length",
            max_length=self._token_counts[encoder],
            truncation=True,
        )
        return torch.tensor(tokens.input_ids)

    def _tokenizer(self, encoder: str) -> Any:
        return self._parts[encoder.replace("text_encoder", "tokenizer")]

    def _placed(self, encoder: str) -> Any:
        return on_device(self._parts[encoder], self._device)

    def _t5_states(self, tokens: Tokens) -> Tensor:
        if T5_STATES in tokens:
            return tokens[T5_STATES].to(self._device)
        assert self._t5 is not None
        with torch.no_grad():
            return self._placed(self._t5)(tokens[self._t5].to(self._device))[0]

    @property
    def _latent_shift(self) -> float:
        """What is taken off scaled latents, so that their mean is about zero."""
        return float(self._vae.config.scaling_factor) * float(self._vae.config.shift_factor or 0)

    def _pipeline_of(self, kind: Any) -> Any:
        """diffusers' way to draw, without the text encoders: prompts come encoded."""
        encoders = dict.fromkeys(filter(_PROMPTS.match, signature(kind).parameters))
        parts = {"transformer": self._transformer, "vae": self._vae, **encoders}
        return drawing_pipeline(kind, self._scheduler, **parts)
