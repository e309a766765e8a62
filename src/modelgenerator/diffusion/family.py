"""What training and generation need to know of a base model, whichever family it is of.

In: nothing.  Out: the protocol that `stable_diffusion.py` and its siblings fulfil.  The loop and
the generator speak to it and never ask which family it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from PIL import Image
from torch import Tensor, nn

from modelgenerator.diffusion.noising import Noising
from modelgenerator.diffusion.picture_request import PictureRequest
from modelgenerator.diffusion.unseen import UnseenText
from modelgenerator.lora.inject import TargetRule
from modelgenerator.lora.key_names import LayerNames

Tokens = Mapping[str, Tensor]
"""Captions as the text encoders read them, one tensor_BL for each tokenizer, by name."""
Conditioning = Mapping[str, Tensor]
"""What the denoiser is told of a prompt, by name; the first dimension of each tensor is B."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentPosterior:
    """Where the autoencoder places a picture, already scaled: draw as mean + deviation * n."""

    mean_BCHW: Tensor
    deviation_BCHW: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class CompanionFolder:
    """Where the parts are that a single file lacks, in diffusers' form."""

    folder: Path
    variant: str | None
    """What the names of its weights carry."""


class ModelFamily(Protocol):
    """A base model, loaded onto a device."""

    @property
    def device(self) -> torch.device: ...

    @property
    def byte_count(self) -> int:
        """Of all its weights, wherever they are."""
        ...

    @property
    def noising(self) -> Noising: ...

    @property
    def lora_parts(self) -> Mapping[str, nn.Module]:
        """The networks that a LoRA may correct: the denoiser first, then text encoders."""
        ...

    def lora_targets(self, names: Sequence[str]) -> Mapping[str, tuple[TargetRule, ...]]:
        """For every part, which layers are corrected.

        `names` choose among the denoiser's: "attention", "convolutions".
        """
        ...

    @property
    def lora_names(self) -> LayerNames:
        """What the layers of `lora_parts` are called in a LoRA file."""
        ...

    @property
    def autoencoder_fingerprint(self) -> str:
        """Changes when the latents of a picture would."""
        ...

    @property
    def text_fingerprint(self) -> str:
        """Changes when the conditioning of the same tokens would."""
        ...

    def encode_pictures(self, pixels_B3HW: Tensor) -> LatentPosterior:
        """`pixels_B3HW` in -1..1 and fp32, to fp32 latents."""
        ...

    def tokenize(self, captions: Sequence[str]) -> Tokens:
        """Cut or padded to the length that each text encoder takes."""
        ...

    def unseen(self, caption: str) -> UnseenText | None:
        """What of `caption` none of the text encoders has room for."""
        ...

    def encode_prompts(self, tokens: Tokens) -> Conditioning:
        """Keeps the graph when gradients are on: the text encoders may be learning."""
        ...

    def encode_fixed(self, tokens: Tokens) -> Conditioning:
        """What the text encoders that never learn say, empty where all may learn.

        `encode_prompts` takes it among the tokens and then does without these text encoders.
        """
        ...

    def predict(
        self,
        noised_BCHW: Tensor,
        times_B: Tensor,
        prompts: Conditioning,
        framing_B6: Tensor,
        *,
        guidance: float = 1.0,
    ) -> Tensor:
        """The denoiser's answer in fp32.

        `framing_B6` says how each picture was cut, in pixels: original height and width, top and
        left of the cut in the resized picture, height and width of what was cut out.  Only SDXL
        looks at it.  `guidance` is what a base model is told that was distilled with it; others
        are not told.
        """
        ...

    def draw(self, requests: Sequence[PictureRequest]) -> list[Image.Image]:
        """Pictures of one size, one number of steps and one guidance scale, in one batch.

        The noise of each depends on its own seed alone.
        """
        ...

    def free_encoders(self, *, text: bool) -> None:
        """Give the device's memory of the autoencoder back, and of the text encoder if `text`.

        What is needed later comes back by itself.
        """
        ...
