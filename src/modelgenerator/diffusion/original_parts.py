"""The networks in a single file, as diffusers' and transformers' classes, with nothing missing.

In: a file and its header.  Out: one network at a time.  diffusers' own way from the original layout
to its classes is taken where it has one; what it would ask the hub for, configurations, is read
from the shapes.  Which networks make up a base model is not known here.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers.loaders import single_file_utils
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel
from diffusers.models.transformers.transformer_sd3 import SD3Transformer2DModel
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from safetensors import safe_open
from torch import Tensor
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    T5Config,
    T5EncoderModel,
)

from modelgenerator.diffusion.detection import FamilyName
from modelgenerator.diffusion.original_layout import (
    AUTOENCODER,
    UNET,
    autoencoder_config,
    clip_config,
    open_clip_config,
    unet_config,
)
from modelgenerator.diffusion.original_transformers import (
    T5,
    TRANSFORMER_CONFIGS,
    t5_config,
    transformer_prefix,
)
from modelgenerator.diffusion.original_weights import transformer_weights
from modelgenerator.diffusion.tensor_files import Tensors

# diffusers' annotations do not describe these functions
_convert_unet: Any = single_file_utils.convert_ldm_unet_checkpoint
_convert_autoencoder: Any = single_file_utils.convert_ldm_vae_checkpoint
_convert_open_clip: Any = single_file_utils.convert_open_clip_checkpoint

TEXT_MODEL = "text_model."
PROJECTION = "text_projection.weight"
_TRANSFORMERS: Mapping[FamilyName, Any] = {
    FamilyName.FLUX: FluxTransformer2DModel,
    FamilyName.STABLE_DIFFUSION_3: SD3Transformer2DModel,
}


class OriginalParts:
    """An open file, and where its parts go."""

    def __init__(
        self, path: Path, tensors: Tensors, *, device: torch.device, dtype: torch.dtype
    ) -> None:
        self._path, self.tensors, self._device, self._dtype = path, tensors, device, dtype

    def unet(self, native_size: int) -> Any:
        config = unet_config(self.tensors, native_size=native_size)
        converted = _convert_unet(self._read(UNET), config)
        return self._filled(_empty(UNet2DConditionModel, config), converted, self._dtype)

    def transformer(self, family: FamilyName) -> Any:
        model = _empty(_TRANSFORMERS[family], TRANSFORMER_CONFIGS[family](self.tensors))
        prefix = transformer_prefix(self.tensors)
        # before they are taken apart: there are number formats that can only be converted
        tensors = {
            name.removeprefix(prefix): tensor.to(self._dtype)
            for name, tensor in self._read(prefix).items()
        }
        weights = transformer_weights(model.state_dict(), tensors, family)
        return self._filled(model, weights, self._dtype)

    def autoencoder(
        self, *, scaling_factor: float, shift_factor: float = 0, prefix: str = AUTOENCODER
    ) -> Any:
        """Half precision overflows in many autoencoders: always fp32."""
        config = autoencoder_config(
            self.tensors, scaling_factor=scaling_factor, shift_factor=shift_factor, prefix=prefix
        )
        converted = _convert_autoencoder(self._read(prefix), config)
        return self._filled(_empty(AutoencoderKL, config), converted, torch.float32)

    def clip(
        self, prefix: str, *, kind: Any = CLIPTextModel, activation: str = "quick_gelu"
    ) -> Any:
        """A text encoder in transformers' layout; old files leave one level of names out."""
        inner = f"{prefix}{TEXT_MODEL}"
        if not self.tensors.has(inner):
            inner = prefix
        config = clip_config(self.tensors, inner, activation=activation)
        read = self._read(inner).items()
        weights = {name.removeprefix(inner): tensor for name, tensor in read}
        if kind is CLIPTextModelWithProjection:
            weights[PROJECTION] = self._projection(prefix, config["projection_dim"])
        return self._text_model(kind, config, weights)

    def open_clip(self, prefix: str, kind: Any, *, cut: int = 0) -> Any:
        """A text encoder in OpenCLIP's layout, without its last `cut` layers."""
        config = open_clip_config(self.tensors, prefix)
        config["num_hidden_layers"] -= cut
        empty = _Sized(CLIPTextConfig(**config))
        weights = _convert_open_clip(empty, self._read(prefix), prefix=prefix)
        return self._text_model(kind, config, weights)

    def t5(self) -> Any:
        with torch.device("meta"):
            model = T5EncoderModel(T5Config(**t5_config(self.tensors)))
        weights = {name.removeprefix(T5): tensor for name, tensor in self._read(T5).items()}
        weights["encoder.embed_tokens.weight"] = weights["shared.weight"]
        filled = self._filled(model, weights, self._dtype)
        filled.tie_weights()
        return filled

    def _projection(self, prefix: str, width: int) -> Tensor:
        """Stable Diffusion 3 was published without that of its first CLIP: it is none.

        Source: diffusers, loaders/single_file_utils.py, `create_diffusers_clip_model_from_ldm`.
        """
        name = f"{prefix}{PROJECTION}"
        return self._read(name)[name] if name in self.tensors else torch.eye(width)

    def _read(self, prefix: str) -> dict[str, Tensor]:
        with safe_open(self._path, "pt") as file:
            names = [name for name in self.tensors.entries if name.startswith(prefix)]
            return {name: file.get_tensor(name) for name in names}

    def _text_model(
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
        wanted = model.state_dict()
        if missing := wanted.keys() - weights.keys():
            raise ValueError(f"it lacks what becomes {min(missing)}")
        for name, empty in wanted.items():
            if weights[name].shape != empty.shape:
                shapes = f"{tuple(weights[name].shape)} and not {tuple(empty.shape)}"
                raise ValueError(f"what becomes {name} has the shape {shapes}")
        placed = {name: weights[name].to(self._device, dtype) for name in wanted}
        model.load_state_dict(placed, assign=True)
        for name, positions in list(model.named_buffers()):
            if name not in wanted:
                assert name.endswith("position_ids"), f"{name} is in no file"
                owner = model.get_submodule(name.rpartition(".")[0])
                owner.position_ids = torch.arange(positions.shape[-1], device=self._device)[None]
        return model


class _Sized:
    """What diffusers asks of a text encoder that it converts weights for: how wide it is."""

    def __init__(self, config: CLIPTextConfig) -> None:
        self.config = config


def _empty(kind: Any, config: Mapping[str, Any]) -> Any:
    """One of diffusers' networks, without numbers."""
    with torch.device("meta"):
        return kind.from_config(config)
