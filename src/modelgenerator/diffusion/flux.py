"""FLUX.1, dev and schnell.

In: a diffusers folder.  Out: a `ModelFamily`.  It does not know what it is trained for.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Self

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel
from torch import Tensor
from transformers import AutoTokenizer, CLIPTextModel, CLIPTokenizer, T5EncoderModel

from modelgenerator.diffusion.family import Conditioning, Tokens
from modelgenerator.diffusion.flow_transformer import FlowTransformer, load_parts
from modelgenerator.diffusion.noising import TIMESTEPS
from modelgenerator.diffusion.parts import load_scheduler, loading, sampling_with
from modelgenerator.diffusion.picture_request import PictureRequest
from modelgenerator.lora.inject import TargetRule
from modelgenerator.lora.key_names import FLUX_NAMES

PARTS: Mapping[str, Any] = {
    "vae": AutoencoderKL,
    "transformer": FluxTransformer2DModel,
    "text_encoder": CLIPTextModel,
    "text_encoder_2": T5EncoderModel,
    "tokenizer": CLIPTokenizer,
    "tokenizer_2": AutoTokenizer,
}
TARGETS = TargetRule(within=("FluxTransformerBlock", "FluxSingleTransformerBlock"))
"""All linear layers of double and single blocks, modulation among them.

Source: kohya-ss/sd-scripts, networks/lora_flux.py, FLUX_TARGET_REPLACE_MODULE_DOUBLE and _SINGLE.
"""
T5_TOKENS = {True: 512, False: 256}
"""By whether the transformer was distilled with guidance: dev was, schnell was not.

Source: kohya-ss/sd-scripts, library/flux_train_utils.py; the model card of FLUX.1-schnell.
"""


class Flux(FlowTransformer):
    """A loaded FLUX.1 base model."""

    def __init__(
        self,
        parts: Mapping[str, Any],
        scheduler: Mapping[str, Any],
        *,
        device: torch.device,
    ) -> None:
        self._takes_guidance = bool(parts["transformer"].config.guidance_embeds)
        super().__init__(
            parts,
            scheduler,
            clips=("text_encoder",),
            token_counts={
                "text_encoder": parts["tokenizer"].model_max_length,
                "text_encoder_2": T5_TOKENS[self._takes_guidance],
            },
            targets=TARGETS,
            names=FLUX_NAMES,
            device=device,
        )

    @classmethod
    def load(
        cls, folder: Path, *, variant: str | None, device: torch.device, dtype: torch.dtype
    ) -> Self:
        with loading(folder):
            parts = load_parts(PARTS, folder, variant=variant, dtype=dtype)
            scheduler = load_scheduler(folder)
        return cls(parts, scheduler, device=device)

    def encode_prompts(self, tokens: Tokens) -> Conditioning:
        """T5's states of every token, and CLIP's one vector for the whole prompt."""
        tokens_BL = tokens["text_encoder"].to(self._device)
        pooled_BD = self._placed("text_encoder")(tokens_BL).pooler_output
        return {"states_BLD": self._t5_states(tokens), "pooled_BD": pooled_BD}

    def predict(
        self,
        noised_BCHW: Tensor,
        times_B: Tensor,
        prompts: Conditioning,
        framing_B6: Tensor,  # noqa: ARG002
        *,
        guidance: float = 1.0,
    ) -> Tensor:
        count, _, height, width = noised_BCHW.shape
        states_BLD = prompts["states_BLD"].to(self._dtype)
        told = {}
        if self._takes_guidance:
            told["guidance"] = times_B.new_full((count,), guidance)
        answer_BLC = self._transformer(
            hidden_states=packed(noised_BCHW.to(self._dtype)),
            timestep=times_B / TIMESTEPS,
            encoder_hidden_states=states_BLD,
            pooled_projections=prompts["pooled_BD"].to(self._dtype),
            txt_ids=_text_positions(states_BLD.shape[1], self._device),
            img_ids=_positions(height // 2, width // 2, self._device),
            return_dict=False,
            **told,
        )[0]
        return unpacked(answer_BLC, height, width).float()

    def _drawn(
        self,
        requests: Sequence[PictureRequest],
        noise_BCHW: Tensor,
        chances: Sequence[torch.Generator],
    ) -> Tensor:
        first = requests[0]
        prompts = self.encode_prompts(self.tokenize([request.prompt for request in requests]))
        pipeline = sampling_with(self._pipeline, self._scheduler, first.sampler, is_flow=True)
        drawn_BLC = pipeline(
            prompt_embeds=prompts["states_BLD"],
            pooled_prompt_embeds=prompts["pooled_BD"],
            width=first.width,
            height=first.height,
            num_inference_steps=first.steps,
            guidance_scale=first.guidance_scale,
            latents=packed(noise_BCHW),
            generator=list(chances),
            output_type="latent",
        ).images
        return unpacked(drawn_BLC, *noise_BCHW.shape[2:])

    @cached_property
    def _pipeline(self) -> Any:
        # imported here: a training that draws nothing does without its second of imports
        import diffusers

        return self._pipeline_of(diffusers.FluxPipeline)  # pyright: ignore[reportPrivateImportUsage]


def packed(latents_BCHW: Tensor) -> Tensor:
    """Every 2 x 2 of the grid as one token, row by row: (B, H/2 * W/2, 4C)."""
    blocks_B4CL = torch.nn.functional.pixel_unshuffle(latents_BCHW, 2).flatten(2)
    return blocks_B4CL.transpose(1, 2)


def unpacked(tokens_BLC: Tensor, height: int, width: int) -> Tensor:
    """The way back to a grid of `height` x `width` latents."""
    blocks_B4CHW = tokens_BLC.transpose(1, 2).unflatten(2, (height // 2, width // 2))
    return torch.nn.functional.pixel_shuffle(blocks_B4CHW, 2)


@lru_cache(maxsize=32)
def _positions(rows: int, columns: int, device: torch.device) -> Tensor:
    """Where each token of the picture lies, as (0, row, column)."""
    row_L = torch.arange(rows).repeat_interleave(columns)
    column_L = torch.arange(columns).repeat(rows)
    return torch.stack([torch.zeros_like(row_L), row_L, column_L], dim=1).float().to(device)


@lru_cache(maxsize=4)
def _text_positions(count: int, device: torch.device) -> Tensor:
    """Words have none: their order is in T5's states."""
    return torch.zeros(count, 3, device=device)
