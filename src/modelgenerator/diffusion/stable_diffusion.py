"""Stable Diffusion 1.x and 2.x, and every base model of that architecture.

In: a diffusers folder.  Out: a `ModelFamily`.  It does not know what it is trained for.
"""

import hashlib
import json
import warnings
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from PIL import Image
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from modelgenerator.diffusion.family import (
    Conditioning,
    LatentPosterior,
    PictureRequest,
    Tokens,
)
from modelgenerator.diffusion.noising import Noising, scheduled_noising
from modelgenerator.diffusion.unseen import UnseenText, unseen_text
from modelgenerator.errors import BaseModelUnsupported
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
_UNLOADABLE = (OSError, ValueError, KeyError, RuntimeError, TypeError, SafetensorError)


class StableDiffusion:
    """A loaded Stable Diffusion base model."""

    # diffusers' and transformers' annotations do not describe what their loaders return
    def __init__(self, parts: Mapping[str, Any], scheduler: Mapping[str, Any]) -> None:
        self._vae, self._unet = parts["vae"], parts["unet"]
        self._text_encoder, self._tokenizer = parts["text_encoder"], parts["tokenizer"]
        self._scheduler = dict(scheduler)
        for part in (self._vae, self._unet, self._text_encoder):
            part.requires_grad_(False).eval()
        self._unet.to(memory_format=torch.channels_last)
        # asking diffusers walks through all modules: 4 ms of a 60 ms training step
        self._device, self._dtype = self._unet.device, self._unet.dtype
        schedule: Any = DDPMScheduler.from_config(self._scheduler)
        self._noising = scheduled_noising(
            schedule.config.prediction_type, schedule.alphas_cumprod, device=self.device
        )

    @classmethod
    def load(
        cls, folder: Path, *, variant: str | None, device: torch.device, dtype: torch.dtype
    ) -> Self:
        def part(kind: Any, name: str, dtype: torch.dtype) -> Any:
            loaded, found = kind.from_pretrained(
                folder / name,
                variant=variant,
                dtype=dtype,
                use_safetensors=True,
                output_loading_info=True,
            )
            # the libraries fill gaps with random numbers
            if found["missing_keys"]:
                raise ValueError(f"{name} lacks {min(found['missing_keys'])}")
            return loaded.to(device)

        try:
            parts = {
                # half precision overflows in many autoencoders
                "vae": part(AutoencoderKL, "vae", torch.float32),
                "unet": part(UNet2DConditionModel, "unet", dtype),
                "text_encoder": part(CLIPTextModel, "text_encoder", dtype),
                "tokenizer": CLIPTokenizer.from_pretrained(folder / "tokenizer"),
            }
            scheduler = json.loads((folder / "scheduler" / "scheduler_config.json").read_text())
            _scheduler_class(scheduler)
        except _UNLOADABLE as error:
            reason = str(error).strip().partition("\n")[0].rstrip(".")
            raise BaseModelUnsupported(
                f"The base model in {folder} cannot be loaded: {reason}. "
                "Download it again, or choose another base model."
            ) from error
        return cls(parts, scheduler)

    @property
    def device(self) -> torch.device:
        return self._device

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
        return _fingerprint(self._vae, dict(self._vae.config))

    @cached_property
    def _text_fingerprint(self) -> str:
        return _fingerprint(self._text_encoder, self._text_encoder.config.to_dict())

    def encode_pictures(self, pixels_B3HW: Tensor) -> LatentPosterior:
        vae = self._vae.to(self.device)
        with torch.no_grad():
            posterior = vae.encode(pixels_B3HW.to(self.device, torch.float32)).latent_dist
        scale = float(vae.config.scaling_factor)
        return LatentPosterior(
            mean_BCHW=posterior.mean * scale, deviation_BCHW=posterior.std * scale
        )

    def tokenize(self, captions: Sequence[str]) -> Tokens:
        tokens = self._tokenizer(
            list(captions),
            padding="max_length",
            max_length=self._tokenizer.model_max_length,
            truncation=True,
        )
        return {"text_encoder": torch.tensor(tokens.input_ids)}

    def unseen(self, caption: str) -> UnseenText | None:
        return unseen_text(self._tokenizer, caption)

    def encode_prompts(self, tokens: Tokens) -> Conditioning:
        text_encoder = self._text_encoder
        if next(text_encoder.parameters()).device != self._device:
            text_encoder.to(self._device)
        tokens_BL = tokens["text_encoder"].to(self._device)
        return {"states_BLD": text_encoder(tokens_BL).last_hidden_state}

    def predict(
        self,
        noised_BCHW: Tensor,
        times_B: Tensor,
        prompts: Conditioning,
        framing_B6: Tensor,  # noqa: ARG002
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
        drawn_BCHW = self._pipeline(
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
        return [self._decoded(latents_CHW) for latents_CHW in drawn_BCHW]

    def free_encoders(self, *, text: bool) -> None:
        self._vae.to("cpu")
        if text:
            self._text_encoder.to("cpu")

    @cached_property
    def _pipeline(self) -> Any:
        # imported here: a training that draws nothing does without its second of imports
        import diffusers

        with warnings.catch_warnings():
            # it mends the configurations of old base models, and tells their authors
            warnings.simplefilter("ignore", FutureWarning)
            pipeline: Any = diffusers.StableDiffusionPipeline(  # pyright: ignore[reportPrivateImportUsage]
                vae=self._vae,
                text_encoder=self._text_encoder,
                tokenizer=self._tokenizer,
                unet=self._unet,
                scheduler=_scheduler_class(self._scheduler).from_config(self._scheduler),
                safety_checker=None,  # pyright: ignore[reportArgumentType]
                feature_extractor=None,  # pyright: ignore[reportArgumentType]
                requires_safety_checker=False,
            )
        pipeline.set_progress_bar_config(disable=True)
        return pipeline

    def _start_noise(self, request: PictureRequest, chance: torch.Generator) -> Tensor:
        """Drawn on the CPU, so that a seed means the same picture on every device."""
        factor = 2 ** (len(self._vae.config.block_out_channels) - 1)
        channels = self._unet.config.in_channels
        shape = (1, channels, request.height // factor, request.width // factor)
        return torch.randn(shape, generator=chance).to(self._device, self._dtype)

    def _decoded(self, latents_CHW: Tensor) -> Image.Image:
        """One at a time and in fp32: the autoencoder takes the most memory of all."""
        scaled_1CHW = latents_CHW[None].float() / self._vae.config.scaling_factor
        pixels_3HW = self._vae.decode(scaled_1CHW, return_dict=False)[0][0]
        pixels_HW3 = ((pixels_3HW / 2 + 0.5).clamp(0, 1) * 255).round().permute(1, 2, 0)
        return Image.fromarray(pixels_HW3.to("cpu", torch.uint8).numpy())


def _scheduler_class(config: Mapping[str, Any]) -> Any:
    """Raises ValueError: this version of diffusers has none of that name."""
    import diffusers

    name = config["_class_name"]
    if not hasattr(diffusers, name):
        raise ValueError(f"diffusers {diffusers.__version__} has no scheduler {name}")
    return getattr(diffusers, name)


_SAYS_NOTHING = frozenset({"transformers_version"})
"""Entries of a configuration that change nothing, beside those that begin with an underscore."""


def _fingerprint(module: nn.Module, config: Mapping[str, Any]) -> str:
    """Of the weights and of what else decides the answers, but not of where the files lie."""
    facts = {k: v for k, v in config.items() if not k.startswith("_") and k not in _SAYS_NOTHING}
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode())
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(name.encode())
        numbers_N = tensor.detach().cpu().contiguous().flatten()
        digest.update(numbers_N.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
