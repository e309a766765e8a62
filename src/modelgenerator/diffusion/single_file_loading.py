"""From one safetensors file to a loaded base model, without asking a model hub.

In: a file that was looked at, its family, the device.  Out: a `ModelFamily`, as from a folder.
diffusers' own way from the original layout to its classes is taken; what it would ask the hub for,
configurations and tokenizers, is read from the shapes and carried in the package.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers.loaders import single_file_utils
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from safetensors import safe_open
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from modelgenerator.diffusion.clip.tokenizer import END, clip_tokenizer
from modelgenerator.diffusion.detection import FamilyName
from modelgenerator.diffusion.family import ModelFamily
from modelgenerator.diffusion.original_layout import (
    autoencoder_config,
    clip_config,
    open_clip_config,
    scheduler_config,
    unet_config,
)
from modelgenerator.diffusion.parts import loading
from modelgenerator.diffusion.single_files import (
    AUTOENCODER,
    UNET,
    Tensors,
    detect_single_file,
    read_header,
)
from modelgenerator.diffusion.stable_diffusion import StableDiffusion
from modelgenerator.diffusion.stable_diffusion_xl import StableDiffusionXL

# diffusers' annotations do not describe these functions
_convert_unet: Any = single_file_utils.convert_ldm_unet_checkpoint
_convert_autoencoder: Any = single_file_utils.convert_ldm_vae_checkpoint
_convert_open_clip: Any = single_file_utils.convert_open_clip_checkpoint

PAD_OF_OPEN_CLIP = "!"
"""The token of number 0, which OpenCLIP fills short prompts up with."""
TEXT_MODEL = "text_model."


def load_single_file(
    path: Path, family: FamilyName, *, device: torch.device, dtype: torch.dtype
) -> ModelFamily:
    """Load the base model in `path`.

    Raises:
        BaseModelUnsupported: a part is missing or not built as it should be.
    """
    found = detect_single_file(path, str(path))
    with loading(path):
        source = _Source(read_header(path), device, dtype)
        # half precision overflows in many autoencoders
        vae = source.autoencoder(_SCALING_FACTORS[family])
        unet = source.unet(found.native_size)
        scheduler = scheduler_config(
            _SCHEDULERS[family],
            found.prediction_type,
            ends_in_noise="ztsnr" in source.tensors,
        )
        return _FAMILIES[family]({"vae": vae, "unet": unet}, scheduler, source)


class _Source:
    """An open file, and where its parts go."""

    def __init__(self, tensors: Tensors, device: torch.device, dtype: torch.dtype) -> None:
        self.tensors, self._device, self._dtype = tensors, device, dtype

    def unet(self, native_size: int) -> Any:
        config = unet_config(self.tensors, native_size=native_size)
        converted = _convert_unet(self._read(UNET), config)
        return self._diffusers(UNet2DConditionModel, config, converted, self._dtype)

    def autoencoder(self, scaling_factor: float) -> Any:
        config = autoencoder_config(self.tensors, scaling_factor=scaling_factor)
        converted = _convert_autoencoder(self._read(AUTOENCODER), config)
        return self._diffusers(AutoencoderKL, config, converted, torch.float32)

    def clip(self, prefix: str) -> Any:
        """A text encoder in transformers' layout; old files leave one level of names out."""
        inner = f"{prefix}{TEXT_MODEL}"
        if not any(name.startswith(inner) for name in self.tensors.entries):
            inner = prefix
        config = clip_config(self.tensors, inner)
        read = self._read(inner).items()
        weights = {name.removeprefix(inner): tensor for name, tensor in read}
        return self._transformers(CLIPTextModel, config, weights)

    def open_clip(self, prefix: str, kind: Any, *, cut: int = 0) -> Any:
        """A text encoder in OpenCLIP's layout, without its last `cut` layers."""
        config = open_clip_config(self.tensors, prefix)
        config["num_hidden_layers"] -= cut
        empty = _Sized(CLIPTextConfig(**config))
        weights = _convert_open_clip(empty, self._read(prefix), prefix=prefix)
        return self._transformers(kind, config, weights)

    def _read(self, prefix: str) -> dict[str, Tensor]:
        with safe_open(self.tensors.path, "pt") as file:
            names = [name for name in self.tensors.entries if name.startswith(prefix)]
            return {name: file.get_tensor(name) for name in names}

    def _diffusers(
        self,
        kind: Any,
        config: Mapping[str, Any],
        weights: Mapping[str, Tensor],
        dtype: torch.dtype,
    ) -> Any:
        with torch.device("meta"):
            model = kind.from_config(config)
        return self._filled(model, weights, dtype)

    def _transformers(
        self, kind: Any, config: Mapping[str, Any], weights: Mapping[str, Tensor]
    ) -> Any:
        with torch.device("meta"):
            model = kind(CLIPTextConfig(**config))
        # transformers 5.6 took this level out of one of the two classes
        bare = {name.removeprefix(TEXT_MODEL): tensor for name, tensor in weights.items()}
        level = TEXT_MODEL if hasattr(model, "text_model") else ""
        named = {
            name if name.startswith("text_projection") else level + name: tensor
            for name, tensor in bare.items()
        }
        return self._filled(model, named, self._dtype)

    def _filled(self, model: Any, weights: Mapping[str, Tensor], dtype: torch.dtype) -> Any:
        """Tensors that the model does not have are left: files carry layers that nobody reads.

        Raises:
            ValueError: a weight is missing, or has another shape.
        """
        wanted = dict(model.named_parameters())
        if missing := wanted.keys() - weights.keys():
            raise ValueError(f"it lacks what becomes {min(missing)}")
        for name, parameter in wanted.items():
            if weights[name].shape != parameter.shape:
                shapes = f"{tuple(weights[name].shape)} and not {tuple(parameter.shape)}"
                raise ValueError(f"what becomes {name} has the shape {shapes}")
        placed = {name: weights[name].to(self._device, dtype) for name in wanted}
        model.load_state_dict(placed, strict=False, assign=True)
        for name, positions in list(model.named_buffers()):
            assert name.endswith("position_ids"), f"{name} is in no file"
            owner = model.get_submodule(name.rpartition(".")[0])
            owner.position_ids = torch.arange(positions.shape[-1], device=self._device)[None]
        return model


class _Sized:
    """What diffusers asks of a text encoder that it converts weights for: how wide it is."""

    def __init__(self, config: CLIPTextConfig) -> None:
        self.config = config


def _stable_diffusion_1(
    parts: Mapping[str, Any], scheduler: Mapping[str, Any], source: _Source
) -> ModelFamily:
    encoder = source.clip("cond_stage_model.transformer.")
    tokenizer = clip_tokenizer(encoder.config.vocab_size, pad=END)
    return StableDiffusion({**parts, "text_encoder": encoder, "tokenizer": tokenizer}, scheduler)


def _stable_diffusion_2(
    parts: Mapping[str, Any], scheduler: Mapping[str, Any], source: _Source
) -> ModelFamily:
    """Its denoiser reads the last but one layer, so the last one is left out, as in folders."""
    encoder = source.open_clip("cond_stage_model.model.", CLIPTextModel, cut=1)
    tokenizer = clip_tokenizer(encoder.config.vocab_size, pad=PAD_OF_OPEN_CLIP)
    return StableDiffusion({**parts, "text_encoder": encoder, "tokenizer": tokenizer}, scheduler)


def _stable_diffusion_xl(
    parts: Mapping[str, Any], scheduler: Mapping[str, Any], source: _Source
) -> ModelFamily:
    first = source.clip("conditioner.embedders.0.transformer.")
    second = source.open_clip("conditioner.embedders.1.model.", CLIPTextModelWithProjection)
    own = {
        "text_encoder": first,
        "text_encoder_2": second,
        "tokenizer": clip_tokenizer(first.config.vocab_size, pad=END),
        "tokenizer_2": clip_tokenizer(second.config.vocab_size, pad=PAD_OF_OPEN_CLIP),
    }
    # as stabilityai/stable-diffusion-xl-base-1.0 says in its model_index.json
    return StableDiffusionXL({**parts, **own}, scheduler, empty_negative_is_zero=True)


_FAMILIES: Mapping[
    FamilyName, Callable[[Mapping[str, Any], Mapping[str, Any], _Source], ModelFamily]
] = {
    FamilyName.STABLE_DIFFUSION_1: _stable_diffusion_1,
    FamilyName.STABLE_DIFFUSION_2: _stable_diffusion_2,
    FamilyName.STABLE_DIFFUSION_XL: _stable_diffusion_xl,
}
_SCALING_FACTORS = {
    FamilyName.STABLE_DIFFUSION_1: 0.18215,
    FamilyName.STABLE_DIFFUSION_2: 0.18215,
    FamilyName.STABLE_DIFFUSION_XL: 0.13025,
}
"""Of latents.  Source: `scale_factor` in the configurations of CompVis and Stability AI."""
_SCHEDULERS = {
    FamilyName.STABLE_DIFFUSION_1: "DDIMScheduler",
    FamilyName.STABLE_DIFFUSION_2: "DDIMScheduler",
    FamilyName.STABLE_DIFFUSION_XL: "EulerDiscreteScheduler",
}
"""What pictures are drawn with."""
