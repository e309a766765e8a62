"""What base models made of diffusers' and transformers' parts have in common.

In: a part's class and its folder, or loaded parts.  Out: parts that are complete and frozen,
latents, tokens, pictures, fingerprints.  Which parts a family is made of is not known here.
"""

import hashlib
import json
import warnings
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from PIL import Image
from safetensors import SafetensorError
from torch import Tensor, nn

from modelgenerator.diffusion.family import LatentPosterior
from modelgenerator.diffusion.noising import Noising, scheduled_noising
from modelgenerator.diffusion.picture_request import PictureRequest
from modelgenerator.diffusion.samplers import samplers
from modelgenerator.errors import BaseModelUnsupported
from modelgenerator.settings import Sampler

# diffusers' and transformers' annotations do not describe what their loaders return, hence `Any`
_UNLOADABLE = (OSError, ValueError, KeyError, RuntimeError, TypeError, SafetensorError)


@contextmanager
def loading(place: Path) -> Generator[None, None, None]:
    """Say in the person's words what the libraries find wrong with the base model in `place`.

    Raises:
        BaseModelUnsupported: instead of what was raised in the block.
    """
    try:
        yield
    except _UNLOADABLE as error:
        reason = str(error).strip().partition("\n")[0].rstrip(".")
        raise BaseModelUnsupported(
            f"The base model in {place} cannot be loaded: {reason}. "
            "Download it again, or choose another base model."
        ) from error


def load_part(
    kind: Any,
    folder: Path,
    *,
    variant: str | None,
    device: torch.device,
    dtype: torch.dtype,
) -> Any:
    """One network from its `folder`, complete.

    Raises:
        ValueError: a weight is missing.
    """
    loaded, found = kind.from_pretrained(
        folder, variant=variant, dtype=dtype, use_safetensors=True, output_loading_info=True
    )
    # the libraries fill gaps with random numbers
    if found["missing_keys"]:
        raise ValueError(f"{folder.name} lacks {min(found['missing_keys'])}")
    return loaded.to(device)


def load_scheduler(folder: Path) -> dict[str, Any]:
    """The scheduler's configuration, whose class this version of diffusers has.

    Raises:
        ValueError: it has none of that name.
    """
    config = json.loads((folder / "scheduler" / "scheduler_config.json").read_text())
    scheduler_class(config)
    return config


def scheduler_class(config: Mapping[str, Any]) -> Any:
    """Raises ValueError: this version of diffusers has none of that name."""
    import diffusers

    name = config["_class_name"]
    if not hasattr(diffusers, name):
        raise ValueError(f"diffusers {diffusers.__version__} has no scheduler {name}")
    return getattr(diffusers, name)


def noising_of(scheduler: Mapping[str, Any], *, device: torch.device) -> Noising:
    """The table of noise that a scheduler's configuration describes."""
    schedule: Any = DDPMScheduler.from_config(dict(scheduler))
    return scheduled_noising(
        schedule.config.prediction_type, schedule.alphas_cumprod, device=device
    )


def freeze(modules: Iterable[nn.Module]) -> None:
    """Only a LoRA learns."""
    for module in modules:
        module.requires_grad_(False).eval()


def byte_count(parts: Iterable[object]) -> int:
    """Of the weights of those among `parts` that are networks."""
    networks = (part for part in parts if isinstance(part, nn.Module))
    tensors = (it for network in networks for it in (*network.parameters(), *network.buffers()))
    return sum(tensor.nbytes for tensor in tensors)


def on_device(module: nn.Module, device: torch.device) -> Any:
    """`module`, moved only if it is elsewhere: moving walks through all of it, every time."""
    if next(module.parameters()).device != device:
        module.to(device)
    return module


def posterior_of(vae: Any, pixels_B3HW: Tensor, *, device: torch.device) -> LatentPosterior:
    """Where the autoencoder places pictures, scaled as the denoiser wants them."""
    with torch.no_grad():
        posterior = vae.to(device).encode(pixels_B3HW.to(device, torch.float32)).latent_dist
    scale = float(vae.config.scaling_factor)
    return LatentPosterior(mean_BCHW=posterior.mean * scale, deviation_BCHW=posterior.std * scale)


def clip_tokens(tokenizer: Any, captions: Sequence[str]) -> Tensor:
    """tokens_BL, cut or padded to the length that the text encoder takes."""
    tokens = tokenizer(
        list(captions),
        padding="max_length",
        max_length=tokenizer.model_max_length,
        truncation=True,
    )
    return torch.tensor(tokens.input_ids)


def start_noise(
    request: PictureRequest, chance: torch.Generator, *, channels: int, factor: int
) -> Tensor:
    """noise_1CHW, drawn on the CPU, so that a seed means the same picture on every device."""
    shape = (1, channels, request.height // factor, request.width // factor)
    return torch.randn(shape, generator=chance)


def scale_factor(vae: Any) -> int:
    """Pixels to a side of one latent."""
    return 2 ** (len(vae.config.block_out_channels) - 1)


def decoded(vae: Any, latents_CHW: Tensor) -> Image.Image:
    """One at a time and in fp32: the autoencoder takes the most memory of all."""
    scaled_1CHW = latents_CHW[None].float() / vae.config.scaling_factor
    pixels_3HW = vae.decode(scaled_1CHW, return_dict=False)[0][0]
    pixels_HW3 = ((pixels_3HW / 2 + 0.5).clamp(0, 1) * 255).round().permute(1, 2, 0)
    return Image.fromarray(pixels_HW3.to("cpu", torch.uint8).numpy())


def drawing_pipeline(kind: Any, scheduler: Mapping[str, Any], **parts: Any) -> Any:
    """One of diffusers' pipelines that says nothing."""
    with warnings.catch_warnings():
        # it mends the configurations of old base models, and tells their authors
        warnings.simplefilter("ignore", FutureWarning)
        pipeline = kind(scheduler=scheduler_class(scheduler).from_config(dict(scheduler)), **parts)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def sampling_with(
    pipeline: Any, own: Mapping[str, Any], sampler: Sampler | None, *, is_flow: bool
) -> Any:
    """`pipeline`, from now on with the scheduler that `sampler` names, or with its `own`."""
    config, options = dict(own), dict[str, object]()
    if sampler is not None:
        choice = samplers(is_flow=is_flow)[sampler]
        config["_class_name"], options = choice.class_name, dict(choice.options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        pipeline.scheduler = scheduler_class(config).from_config(dict(own), **options)
    return pipeline


_SAYS_NOTHING = frozenset({"transformers_version"})
"""Entries of a configuration that change nothing, beside those that begin with an underscore."""


def fingerprint(*modules: Any) -> str:
    """Of the weights and of what else decides the answers, but not of where the files lie."""
    digest = hashlib.sha256()
    for module in modules:
        digest.update(json.dumps(_facts(module), sort_keys=True, default=str).encode())
        for name, tensor in sorted(module.state_dict().items()):
            digest.update(name.encode())
            numbers_N = tensor.detach().cpu().contiguous().flatten()
            digest.update(numbers_N.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _facts(module: Any) -> dict[str, Any]:
    # transformers' configurations are objects, diffusers' are mappings
    config = module.config.to_dict() if hasattr(module.config, "to_dict") else dict(module.config)
    return {k: v for k, v in config.items() if not k.startswith("_") and k not in _SAYS_NOTHING}
