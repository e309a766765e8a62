"""How much memory each process of a training will need at its peak, in arithmetic.

In: what is known of the base model from its files, and the facts of a training that count: sizes,
batch, rank, optimizer, number format, device.  Out: bytes, phase by phase; whether gradient
checkpointing is needed to fit into what the device has free; or a refusal that names settings
which would fit.  Nothing is loaded and torch is not known here.

The constants were measured on a CPU with `benchmarks/memory.py` (docs/performance.md); those of
transformers follow from their layers and were not measured yet.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from modelgenerator.diffusion import unet_shape
from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.diffusion.number_formats import BYTES
from modelgenerator.diffusion.traits import TRAITS
from modelgenerator.diffusion.unet_shape import Residual
from modelgenerator.diffusion.weights import RUNTIME, bytes_by_part
from modelgenerator.errors import NotEnoughMemory
from modelgenerator.notices import Notice

OPTIMIZER_STATES = {
    "AdamW": 2.0,
    "AdamW8bit": 0.6,
    "AdaFactor": 0.1,
    "Prodigy": 3.5,  # the start is kept of the half that does not begin at zero
    "DAdaptation": 3.0,
    "DAdaptAdam": 3.0,
}
"""fp32 numbers that an optimizer keeps for each number of the LoRA."""
COMFORT = 0.9
"""Share of the free memory up to which nothing is saved: saving makes steps slower."""
_ENCODING_COPIES = 6.0
"""Copies of an autoencoder's widest picture that are alive at once."""
_BACKWARD_COPIES = {False: 1.0, True: 2.5}
"""Of the largest layer's activations on the way back, without and with checkpointing."""
_MAPPED = 0.6
"""Of fp32 files, on a CPU: they are mapped, and convolutions keep a copy in another order."""
_REUSED = 32 * 2**20
_SIDES = (1024, 896, 768, 640, 512, 448, 384, 320, 256, 192, 128, 96, 64, 32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """The facts of a training that its memory depends on."""

    width: int
    """Of the largest bucket, in pixels."""
    height: int
    batch_size: int
    """Of all processes together."""
    network_dim: int
    network_targets: tuple[str, ...]
    text_encoders: tuple[str, ...]
    """Those that learn."""
    optimizer: str
    compute_dtype: str
    device: str
    """`cpu` or `cuda`."""
    views: int
    """2 when mirror images are encoded too."""
    processes: int = 1

    @property
    def pictures(self) -> int:
        """Of a batch, that one process learns from at most."""
        return math.ceil(self.batch_size / self.processes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """Bytes by what they are for."""

    runtime: float
    weights: float
    """Of all parts, while pictures and captions are encoded."""
    learning_weights: float
    """Of the parts that stay while the LoRA learns."""
    encoding: float
    network: float
    """The LoRA, its gradients and the optimizer's states."""
    activations: float
    saving: float
    """A checkpoint on its way to the disk."""

    @property
    def peak(self) -> int:
        """A process keeps the activations of a step that is over, so a checkpoint comes on top."""
        encoding = self.weights + self.encoding
        learning = self.learning_weights + self.network + self.activations + self.saving
        return round(self.runtime + max(encoding, learning))


def needs(base: BaseModelFiles, work: Workload, *, checkpointing: bool) -> Needs | None:
    """None where the base model's configuration does not tell."""
    if not {"vae", TRAITS[base.family].denoiser} <= set(base.configs):
        return None
    weights = bytes_by_part(base, work.compute_dtype)
    denoiser = TRAITS[base.family].denoiser
    # on a CPU there is nowhere else to put what is not needed any more
    stays = {denoiser, *work.text_encoders} if work.device == "cuda" else set(weights)
    numbers_of_lora, activations = _denoiser(base, work, checkpointing=checkpointing)
    for part in work.text_encoders:
        lora, saved = _text_encoder(base.configs.get(part, {}), work)
        numbers_of_lora, activations = numbers_of_lora + lora, activations + saved
    states = OPTIMIZER_STATES.get(work.optimizer, 4.0)
    return Needs(
        runtime=RUNTIME[work.device] + _mapped(base, sum(weights.values()), work),
        weights=sum(weights.values()),
        learning_weights=sum(size for part, size in weights.items() if part in stays),
        encoding=_encoding(base.configs["vae"], work),
        network=4 * numbers_of_lora * (2 + states),
        activations=activations,
        saving=_saving(4 * numbers_of_lora * (1 + states), work),
    )


def settle(
    base: BaseModelFiles,
    work: Workload,
    free_bytes: int | None,
    notices: list[Notice],
    *,
    gpus: int = 1,
) -> tuple[int, bool]:
    """The estimate, 0 if there is none, and whether gradients are checkpointed.

    `free_bytes` are those of one process; so many `gpus` are here.

    Raises:
        NotEnoughMemory: it does not fit either way.
    """
    plain = needs(base, work, checkpointing=False)
    if plain is None:
        return 0, False
    if free_bytes is None or plain.peak <= COMFORT * free_bytes:
        return plain.peak, False
    saving = needs(base, work, checkpointing=True)
    assert saving is not None, "what is known without checkpointing is known with it"
    if saving.peak <= free_bytes:
        message = (
            f"About {_gigabytes(plain.peak)} would be needed and {_gigabytes(free_bytes)} are "
            f"free: gradient checkpointing brings it down to {_gigabytes(saving.peak)} and makes "
            "steps slower. The LoRA is the same."
        )
        if count := _enough_gpus(base, work, COMFORT * free_bytes, gpus, checkpointing=False):
            message += f" In {count} processes it would not be needed: --processes {count}."
        notices.append(Notice("info", None, message))
        return saving.peak, True
    fitting = " or ".join(_fitting(base, work, free_bytes, gpus))
    cure = f"{fitting} would fit" if fitting else "no setting would fit: free some memory"
    who = "This training" if work.processes == 1 else "Each process of this training"
    each = "" if work.processes == 1 else " for each"
    raise NotEnoughMemory(
        f"{who} needs about {_gigabytes(saving.peak)} of memory, and this machine has "
        f"{_gigabytes(free_bytes)} free{each}: {cure}."
    )


def _enough_gpus(
    base: BaseModelFiles, work: Workload, free_bytes: float, gpus: int, *, checkpointing: bool
) -> int:
    """Among how many GPUs of this machine the batch must be divided to fit; 0 if none will do."""
    for count in range(work.processes + 1, min(gpus, work.batch_size) + 1):
        found = needs(base, replace(work, processes=count), checkpointing=checkpointing)
        if found is not None and found.peak <= free_bytes:
            return count
    return 0


def _fitting(base: BaseModelFiles, work: Workload, free_bytes: int, gpus: int) -> Iterator[str]:
    """One change that is enough, of every kind that has one; else two together."""

    def fits(changed: Workload) -> bool:
        found = needs(base, changed, checkpointing=True)
        return found is not None and found.peak <= free_bytes

    def resized(side: int, work: Workload) -> Workload:
        return replace(work, width=side, height=side)

    area = work.width * work.height
    sides = [s for s in _SIDES if s * s < area and s % base.size_step == 0]
    one = replace(work, batch_size=1)
    side = next((s for s in sides if fits(resized(s, work))), None)
    batch = next(
        (b for b in range(work.batch_size - 1, 0, -1) if fits(replace(work, batch_size=b))), 0
    )
    if count := _enough_gpus(base, work, free_bytes, gpus, checkpointing=True):
        yield f"--processes {count}"
    if side:
        yield f"resolution {side}"
    if batch:
        yield f"batchSize {batch}"
    if not side and not batch:
        both = next((s for s in sides if fits(resized(s, one))), None)
        if both:
            yield f"resolution {both} with batchSize 1"


def _mapped(base: BaseModelFiles, weights: float, work: Workload) -> float:
    """What stays of the files in memory when their numbers are used as they are."""
    files = sum(file.size for file in base.needed if file.name.endswith(".safetensors"))
    return _MAPPED * files if work.device == "cpu" and files > 0.9 * weights else 0.0


def _saving(checkpoint: float, work: Workload) -> float:
    """The file's bytes, without its seal and with it; on a GPU they are in main memory.

    Blocks up to `_REUSED` are taken from what the process has kept and cost nothing more.
    Source: glibc, malloc/malloc.c, DEFAULT_MMAP_THRESHOLD_MAX.
    """
    return 2 * checkpoint if work.device == "cpu" and checkpoint > _REUSED else 0.0


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:.1f} GB"


def _latents(base: BaseModelFiles, work: Workload) -> tuple[int, int]:
    factor = 2 ** (len(base.configs["vae"].get("block_out_channels", (0,) * 4)) - 1)
    return work.height // factor, work.width // factor


def _encoding(vae: Mapping[str, Any], work: Workload) -> float:
    """No gradients: only what one layer reads and writes, at its widest."""
    widths = vae.get("block_out_channels", (128, 256, 512, 512))
    widest = max(width / 4**level for level, width in enumerate(widths))
    return 4 * _ENCODING_COPIES * widest * work.width * work.height * work.views


def _denoiser(base: BaseModelFiles, work: Workload, *, checkpointing: bool) -> tuple[float, float]:
    """Numbers of the LoRA, and bytes of activations."""
    kind = TRAITS[base.family].denoiser
    count = {"unet": _unet, "transformer": _transformer}[kind]
    lora, layers = count(base.configs[kind], *_latents(base, work), work)
    each = BYTES[work.compute_dtype] * work.pictures
    largest = max(layer.inside for layer in layers)
    kept = sum(layer.kept if checkpointing else layer.inside for layer in layers)
    again = largest if checkpointing else 0  # computed again, one at a time
    return lora, each * (kept + again + _BACKWARD_COPIES[checkpointing] * largest)


@dataclass(frozen=True, slots=True)
class _Layer:
    """Numbers that a layer keeps for the way back, for one sample."""

    inside: float
    kept: float
    """With gradient checkpointing."""


def _unet(
    config: Mapping[str, Any], height: int, width: int, work: Workload
) -> tuple[float, list[_Layer]]:
    """Every norm, activation and linear layer keeps what it read.

    28 for a transformer: 3 norms with what they read and wrote (6), queries, keys, values and
    answers of both attentions (6), and 16 of the feed-forward, which is gated and 4 times as wide.
    """
    rank, told, time = (
        work.network_dim,
        unet_shape.prompt_width(config),
        unet_shape.time_width(config),
    )
    convolutions = "convolutions" in work.network_targets
    lora, found = 0.0, list[_Layer]()
    for layer in unet_shape.layers(config, height, width):
        if isinstance(layer, Residual):
            wide, out = layer.channels_in, layer.channels_out
            lora_rows = 3 * rank if convolutions else 0
            inside = (3 * (wide + out) + lora_rows) * layer.pixels
            found.append(_Layer(inside, wide * layer.pixels))
            if convolutions:
                lora += rank * (9 * wide + 12 * out + time + (wide + out) * (wide != out))
        else:
            c, deep = layer.channels, layer.depth
            inside = ((28 * deep + 4) * c + rank * (8 * deep + 2)) * layer.pixels
            found.append(_Layer(inside, (deep + 4) * c * layer.pixels))
            lora += rank * (4 * c + deep * (28 * c + 2 * told))
    return lora, found


def _transformer(
    config: Mapping[str, Any], height: int, width: int, work: Workload
) -> tuple[float, list[_Layer]]:
    """Stable Diffusion 3's joint blocks, or FLUX's double and single ones."""
    wide = int(config.get("num_attention_heads", 24)) * int(config.get("attention_head_dim", 64))
    tokens = height * width // 4 + _PROMPT_TOKENS
    double = int(config.get("num_layers", 19))
    single = int(config.get("num_single_layers", 0))
    kept = wide * tokens
    layers = [_Layer(22 * kept, kept)] * double + [_Layer(25 * kept, kept)] * single
    return work.network_dim * wide * (50 * double + 21 * single), layers


_PROMPT_TOKENS = 512


def _text_encoder(config: Mapping[str, Any], work: Workload) -> tuple[float, float]:
    """CLIP's, whose 77 tokens each keep 22 times their width in every layer."""
    wide = int(config.get("hidden_size", 768))
    deep = int(config.get("num_hidden_layers", 12))
    saved = 77 * 22 * wide * deep * work.pictures * BYTES[work.compute_dtype]
    return 18.0 * wide * deep * work.network_dim, saved
