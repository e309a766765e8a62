"""Stable Diffusion 3 and 3.5.

In: a diffusers folder, with T5 or without.  Out: a `ModelFamily`.  It does not know what it is
trained for.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.transformers.transformer_sd3 import SD3Transformer2DModel
from torch import Tensor
from transformers import (
    AutoTokenizer,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    T5EncoderModel,
)

from modelgenerator.diffusion.family import Conditioning, Tokens
from modelgenerator.diffusion.flow_transformer import FlowTransformer, load_parts
from modelgenerator.diffusion.parts import load_scheduler, loading, sampling_with
from modelgenerator.diffusion.picture_request import PictureRequest
from modelgenerator.lora.inject import TargetRule
from modelgenerator.lora.key_names import STABLE_DIFFUSION_3_NAMES

TARGETS = TargetRule(within=("JointTransformerBlock",))
"""All linear layers of the joint blocks, modulation among them.

Source: kohya-ss/sd-scripts, networks/lora_sd3.py, SD3_TARGET_REPLACE_MODULE.
"""
CLIPS: tuple[str, ...] = ("text_encoder", "text_encoder_2")
T5 = "text_encoder_3"
WITHOUT_T5: Mapping[str, Any] = {
    "vae": AutoencoderKL,
    "transformer": SD3Transformer2DModel,
    "text_encoder": CLIPTextModelWithProjection,
    "text_encoder_2": CLIPTextModelWithProjection,
    "tokenizer": CLIPTokenizer,
    "tokenizer_2": CLIPTokenizer,
}
PARTS = {**WITHOUT_T5, T5: T5EncoderModel, "tokenizer_3": AutoTokenizer}
T5_TOKENS = 256
"""Source: diffusers, pipeline_stable_diffusion_3.py, `max_sequence_length`."""


class StableDiffusion3(FlowTransformer):
    """A loaded Stable Diffusion 3 base model."""

    def __init__(
        self, parts: Mapping[str, Any], scheduler: Mapping[str, Any], *, device: torch.device
    ) -> None:
        # both CLIPs read as many tokens as the first, as diffusers has it
        counts = dict.fromkeys(CLIPS, int(parts["tokenizer"].model_max_length))
        if T5 in parts:
            counts[T5] = T5_TOKENS
        super().__init__(
            parts,
            scheduler,
            clips=CLIPS,
            token_counts=counts,
            targets=TARGETS,
            names=STABLE_DIFFUSION_3_NAMES,
            device=device,
        )

    @classmethod
    def load(
        cls, folder: Path, *, variant: str | None, device: torch.device, dtype: torch.dtype
    ) -> Self:
        kinds = PARTS if (folder / T5).is_dir() else WITHOUT_T5
        with loading(folder):
            parts = load_parts(kinds, folder, variant=variant, dtype=dtype)
            scheduler = load_scheduler(folder)
        return cls(parts, scheduler, device=device)

    def encode_prompts(self, tokens: Tokens) -> Conditioning:
        """Both CLIPs side by side, as wide as T5 with zeros, then T5; and CLIP's two vectors.

        Source: Esser et al. 2024, https://arxiv.org/abs/2403.03206, appendix B.2.
        """
        said = [
            self._placed(name)(tokens[name].to(self._device), output_hidden_states=True)
            for name in CLIPS
        ]
        # the states before the last layer, which says too much of the caption as a whole
        clip_BLD = torch.cat([one.hidden_states[-2] for one in said], dim=-1)
        t5_BLD = self._long_states(tokens, clip_BLD)
        missing = t5_BLD.shape[-1] - clip_BLD.shape[-1]
        wide_BLD = torch.nn.functional.pad(clip_BLD, (0, missing))
        return {
            "states_BLD": torch.cat([wide_BLD, t5_BLD], dim=1),
            "pooled_BD": torch.cat([one.text_embeds for one in said], dim=-1),
        }

    def _long_states(self, tokens: Tokens, clip_BLD: Tensor) -> Tensor:
        """T5's, or the zeros that the base model has learnt to take in its place."""
        if self._t5 is not None:
            return self._t5_states(tokens).to(clip_BLD.dtype)
        width = self._transformer.config.joint_attention_dim
        return clip_BLD.new_zeros((len(clip_BLD), T5_TOKENS, width))

    def predict(
        self,
        noised_BCHW: Tensor,
        times_B: Tensor,
        prompts: Conditioning,
        framing_B6: Tensor,  # noqa: ARG002
        *,
        guidance: float = 1.0,  # noqa: ARG002
    ) -> Tensor:
        return self._transformer(
            hidden_states=noised_BCHW.to(self._dtype),
            timestep=times_B,
            encoder_hidden_states=prompts["states_BLD"].to(self._dtype),
            pooled_projections=prompts["pooled_BD"].to(self._dtype),
            return_dict=False,
        )[0].float()

    def _drawn(
        self,
        requests: Sequence[PictureRequest],
        noise_BCHW: Tensor,
        chances: Sequence[torch.Generator],
    ) -> Tensor:
        first = requests[0]
        wanted = self._encoded([request.prompt for request in requests])
        unwanted = self._encoded([request.negative_prompt for request in requests])
        pipeline = sampling_with(self._pipeline, self._scheduler, first.sampler, is_flow=True)
        return pipeline(
            prompt_embeds=wanted["states_BLD"],
            pooled_prompt_embeds=wanted["pooled_BD"],
            negative_prompt_embeds=unwanted["states_BLD"],
            negative_pooled_prompt_embeds=unwanted["pooled_BD"],
            width=first.width,
            height=first.height,
            num_inference_steps=first.steps,
            guidance_scale=first.guidance_scale,
            latents=noise_BCHW,
            generator=list(chances),
            output_type="latent",
        ).images

    def _encoded(self, prompts: Sequence[str]) -> Conditioning:
        return self.encode_prompts(self.tokenize(prompts))

    @cached_property
    def _pipeline(self) -> Any:
        # imported here: a training that draws nothing does without its second of imports
        import diffusers

        return self._pipeline_of(diffusers.StableDiffusion3Pipeline)  # pyright: ignore[reportPrivateImportUsage]
