"""From one safetensors file to a loaded base model, without asking a model hub.

In: a file that was looked at, its family, the device, and the folder of its companion where it
lacks parts.  Out: a `ModelFamily`, as from a folder.  CLIP's tokenizers are in the package.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import CLIPTextModel, CLIPTextModelWithProjection

from modelgenerator.diffusion import flux, stable_diffusion_3
from modelgenerator.diffusion.clip.tokenizer import clip_tokenizer
from modelgenerator.diffusion.clip.vocabulary import END
from modelgenerator.diffusion.detection import Detected, FamilyName, NeededFile
from modelgenerator.diffusion.family import CompanionFolder, ModelFamily
from modelgenerator.diffusion.flow_transformer import load_parts
from modelgenerator.diffusion.original_layout import scheduler_config
from modelgenerator.diffusion.original_parts import OriginalParts
from modelgenerator.diffusion.original_transformers import (
    CLIP_G,
    CLIP_L,
    LATENT_SCALE_AND_SHIFT,
    T5,
    autoencoder_prefix,
    flow_scheduler_config,
)
from modelgenerator.diffusion.parts import loading
from modelgenerator.diffusion.single_files import detect_single_file
from modelgenerator.diffusion.stable_diffusion import StableDiffusion
from modelgenerator.diffusion.stable_diffusion_xl import StableDiffusionXL
from modelgenerator.diffusion.tensor_files import read_tensors

PAD_OF_OPEN_CLIP = "!"
"""The token of number 0, which OpenCLIP fills short prompts up with."""


@dataclass(frozen=True, slots=True)
class _Loading:
    """One base model on its way."""

    source: OriginalParts
    found: Detected
    companion: CompanionFolder | None
    device: torch.device
    dtype: torch.dtype

    def borrowed(self, kinds: Mapping[str, Any]) -> dict[str, Any]:
        """The parts that the file lacks; `kinds` are the classes of all parts."""
        lacking = {name: kinds[name] for name in self.found.lacks}
        if not lacking:
            return {}
        if self.companion is None:
            raise ValueError(f"it has no {min(lacking)}")
        folder, variant = self.companion.folder, self.companion.variant
        return load_parts(lacking, folder, variant=variant, dtype=self.dtype)


def load_single_file(
    path: Path,
    family: FamilyName,
    *,
    device: torch.device,
    dtype: torch.dtype,
    companion: CompanionFolder | None = None,
) -> ModelFamily:
    """Load the base model in `path`, and what it lacks from its `companion`.

    Raises:
        BaseModelUnsupported: a part is missing or not built as it should be.
    """
    tensors = read_tensors(path)
    found = detect_single_file(tensors, NeededFile(path.name, path.stat().st_size), str(path))
    # the parts of a flow model are on the CPU until they are needed
    first = torch.device("cpu") if found.prediction_type == "flow" else device
    with loading(path):
        source = OriginalParts(path, tensors, device=first, dtype=dtype)
        return _FAMILIES[family](_Loading(source, found, companion, device, dtype))


def _stable_diffusion_1(loading: _Loading) -> ModelFamily:
    encoder = loading.source.clip("cond_stage_model.transformer.")
    tokenizer = clip_tokenizer(encoder.config.vocab_size, pad=END)
    parts = _denoiser_and_autoencoder(loading, scaling_factor=0.18215)
    text = {"text_encoder": encoder, "tokenizer": tokenizer}
    return StableDiffusion({**parts, **text}, _scheduler(loading, "DDIMScheduler"))


def _stable_diffusion_2(loading: _Loading) -> ModelFamily:
    """Its denoiser reads the last but one layer, so the last one is left out, as in folders."""
    encoder = loading.source.open_clip("cond_stage_model.model.", CLIPTextModel, cut=1)
    tokenizer = clip_tokenizer(encoder.config.vocab_size, pad=PAD_OF_OPEN_CLIP)
    parts = _denoiser_and_autoencoder(loading, scaling_factor=0.18215)
    text = {"text_encoder": encoder, "tokenizer": tokenizer}
    return StableDiffusion({**parts, **text}, _scheduler(loading, "DDIMScheduler"))


def _stable_diffusion_xl(loading: _Loading) -> ModelFamily:
    first = loading.source.clip("conditioner.embedders.0.transformer.")
    second = loading.source.open_clip("conditioner.embedders.1.model.", CLIPTextModelWithProjection)
    text = {
        "text_encoder": first,
        "text_encoder_2": second,
        "tokenizer": clip_tokenizer(first.config.vocab_size, pad=END),
        "tokenizer_2": clip_tokenizer(second.config.vocab_size, pad=PAD_OF_OPEN_CLIP),
    }
    parts = _denoiser_and_autoencoder(loading, scaling_factor=0.13025)
    return StableDiffusionXL(
        {**parts, **text},
        _scheduler(loading, "EulerDiscreteScheduler"),
        # as stabilityai/stable-diffusion-xl-base-1.0 says in its model_index.json
        empty_negative_is_zero=True,
    )


def _denoiser_and_autoencoder(loading: _Loading, *, scaling_factor: float) -> dict[str, Any]:
    """`scaling_factor` is that of latents.

    Source: `scale_factor` in the configurations of CompVis/stable-diffusion and
    Stability-AI/generative-models.
    """
    return {
        "unet": loading.source.unet(loading.found.native_size),
        "vae": loading.source.autoencoder(scaling_factor=scaling_factor),
    }


def _scheduler(loading: _Loading, class_name: str) -> dict[str, Any]:
    """`class_name` is what pictures are drawn with."""
    ends_in_noise = "ztsnr" in loading.source.tensors
    prediction_type = loading.found.prediction_type
    return scheduler_config(class_name, prediction_type, ends_in_noise=ends_in_noise)


def _stable_diffusion_3(loading: _Loading) -> ModelFamily:
    source, parts = loading.source, _flow_parts(loading, stable_diffusion_3.PARTS)
    if "text_encoder" not in parts:
        parts |= _clip("", source.clip(CLIP_L, kind=CLIPTextModelWithProjection), pad=END)
        second = source.clip(CLIP_G, kind=CLIPTextModelWithProjection, activation="gelu")
        parts |= _clip("_2", second, pad=PAD_OF_OPEN_CLIP)
    if source.tensors.has(T5):
        parts["text_encoder_3"] = source.t5()
    scheduler = flow_scheduler_config(loading.found.family, loading.found.edition)
    return stable_diffusion_3.StableDiffusion3(parts, scheduler, device=loading.device)


def _flux(loading: _Loading) -> ModelFamily:
    source, parts = loading.source, _flow_parts(loading, flux.PARTS)
    if "text_encoder" not in parts:
        parts |= _clip("", source.clip(CLIP_L), pad=END)
    if source.tensors.has(T5):
        parts["text_encoder_2"] = source.t5()
    scheduler = flow_scheduler_config(loading.found.family, loading.found.edition)
    return flux.Flux(parts, scheduler, device=loading.device)


def _flow_parts(loading: _Loading, kinds: Mapping[str, Any]) -> dict[str, Any]:
    """What is borrowed, the transformer, and the autoencoder if it is in the file."""
    family, source = loading.found.family, loading.source
    parts = {**loading.borrowed(kinds), "transformer": source.transformer(family)}
    if prefix := autoencoder_prefix(source.tensors):
        scale, shift = LATENT_SCALE_AND_SHIFT[family]
        parts["vae"] = source.autoencoder(scaling_factor=scale, shift_factor=shift, prefix=prefix)
    return parts


def _clip(number: str, encoder: Any, *, pad: str) -> dict[str, Any]:
    tokenizer = clip_tokenizer(encoder.config.vocab_size, pad=pad)
    return {f"text_encoder{number}": encoder, f"tokenizer{number}": tokenizer}


_FAMILIES: Mapping[FamilyName, Callable[[_Loading], ModelFamily]] = {
    FamilyName.STABLE_DIFFUSION_1: _stable_diffusion_1,
    FamilyName.STABLE_DIFFUSION_2: _stable_diffusion_2,
    FamilyName.STABLE_DIFFUSION_XL: _stable_diffusion_xl,
    FamilyName.STABLE_DIFFUSION_3: _stable_diffusion_3,
    FamilyName.FLUX: _flux,
}
