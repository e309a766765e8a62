"""Which kind of base model a set of files is, told without loading a single weight.

In come the names and sizes of files and a way to read the small ones, out come the family, what it
predicts, its native size and the files that are needed.  Where the files lie, on a disk or on a
hub, is not known here.
"""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, Protocol

from modelgenerator.errors import BaseModelUnsupported


class FamilyName(StrEnum):
    """The kinds of base model that are recognised."""

    STABLE_DIFFUSION_1 = "stable-diffusion-1"
    STABLE_DIFFUSION_2 = "stable-diffusion-2"
    STABLE_DIFFUSION_XL = "stable-diffusion-xl"
    STABLE_DIFFUSION_3 = "stable-diffusion-3"
    FLUX = "flux"


TITLES = {
    FamilyName.STABLE_DIFFUSION_1: "Stable Diffusion 1.x",
    FamilyName.STABLE_DIFFUSION_2: "Stable Diffusion 2.x",
    FamilyName.STABLE_DIFFUSION_XL: "SDXL",
    FamilyName.STABLE_DIFFUSION_3: "Stable Diffusion 3",
    FamilyName.FLUX: "FLUX",
}

INDEX = "model_index.json"
"""What a base model in diffusers' form begins with."""
PredictionType = Literal["epsilon", "v_prediction", "flow"]


class Files(Protocol):
    """Files of one base model, wherever they lie."""

    @property
    def sizes(self) -> Mapping[str, int]:
        """Bytes by name, such as `unet/config.json`."""
        ...

    def read(self, name: str) -> bytes:
        """The whole of a small file."""
        ...


@dataclass(frozen=True)
class NeededFile:
    """One file that loading will want."""

    name: str
    size: int
    """Bytes."""


@dataclass(frozen=True)
class Detected:
    """What the files say."""

    family: FamilyName
    pipeline_class: str
    prediction_type: PredictionType
    native_size: int
    """The side in pixels of the pictures that it was trained on."""
    size_step: int
    """Sides of pictures are multiples of so many pixels: 64 for Stable Diffusion, 32 for XL."""
    variant: str | None
    """`fp16` when there are only half-precision weights, which carry that in their names."""
    needed: tuple[NeededFile, ...]
    takes_guidance: bool = False
    """Whether it was distilled with guidance, and is told how much to use."""
    longest_side: int | None = None
    """In pixels, where the base model knows no places beyond; none where it has no such limit."""
    edition: str = ""
    """Which of its family it is, as ModelSpec ends the name: `dev`, `schnell`, `5-medium`."""
    configs: Mapping[str, Mapping[str, Any]] = field(
        default_factory=dict[str, Mapping[str, Any]], hash=False
    )
    """Of the parts whose size decides on memory, by part."""
    lacks: tuple[str, ...] = ()
    """Parts that a single file is without, and that are needed; by diffusers' names."""
    numbers: Mapping[str, float] = field(default_factory=dict[str, float], hash=False)
    """How many there are in each part of a single file, where that is known."""


def detect(files: Files, called: str) -> Detected:
    """Read the configurations; `called` is how the person named the base model.

    Raises:
        BaseModelUnsupported: not a diffusers base model, not a known family, weights that are
            missing or pickled, or code of its own.
    """
    if INDEX not in files.sizes:
        raise BaseModelUnsupported(why_no_index(files.sizes, called))
    index = _read_json(files, INDEX, called)
    components = _components(index, called)
    family, native_size, size_step, prediction_type = _family(index, files, called)
    variant, needed = _needed(files, components, called)
    return Detected(
        family,
        str(index["_class_name"]),
        prediction_type,
        native_size,
        size_step,
        variant,
        needed,
        *_limits(family, files, called),
        configs=_configs(files, called),
    )


def needed_of(
    files: Files, parts: Collection[str], pipeline_class: str, called: str
) -> tuple[str | None, tuple[NeededFile, ...]]:
    """The variant and the files of some parts of a base model that is loaded by `pipeline_class`.

    Raises:
        BaseModelUnsupported: it is another one, or lacks one of them.
    """
    index = _read_json(files, INDEX, called)
    if index.get("_class_name") != pipeline_class:
        raise BaseModelUnsupported(f"{called} is no {pipeline_class}.")
    components = {k: v for k, v in _components(index, called).items() if k in parts}
    if missing := set(parts) - components.keys():
        raise BaseModelUnsupported(f"{called} is not complete: it has no {min(missing)}.")
    return _needed(files, components, called)


def _configs(files: Files, called: str) -> dict[str, Mapping[str, Any]]:
    parts = ("vae", "unet", "transformer", "text_encoder", "text_encoder_2")
    present = [part for part in parts if f"{part}/config.json" in files.sizes]
    return {part: _read_json(files, f"{part}/config.json", called) for part in present}


# --- the index: what the pipeline is made of

_CODE_OF_OTHERS = (
    "{called} brings Python code of its own ({what}), and code from a base model is never run. "
    "Choose a base model that only diffusers and transformers are needed for."
)
_NOT_NEEDED = frozenset({"safety_checker", "image_encoder"})
"""Parts that training and generation do without."""


def _components(index: Mapping[str, Any], called: str) -> dict[str, str]:
    """Class names by component, `{"unet": "UNet2DConditionModel"}`, of those that are present."""
    components: dict[str, str] = {}
    for name, entry in index.items():
        if name.startswith("_") or not isinstance(entry, list) or name in _NOT_NEEDED:
            continue
        library, class_name = [*entry, None, None][:2]
        if class_name is None:
            continue
        if library not in ("diffusers", "transformers"):
            raise BaseModelUnsupported(_CODE_OF_OTHERS.format(called=called, what=library))
        components[name] = str(class_name)
    return components


_FAMILIES = {
    "StableDiffusionPipeline": None,  # 1.x or 2.x: the U-Net tells
    "StableDiffusionXLPipeline": FamilyName.STABLE_DIFFUSION_XL,
    "StableDiffusion3Pipeline": FamilyName.STABLE_DIFFUSION_3,
    "FluxPipeline": FamilyName.FLUX,
}


def _family(
    index: Mapping[str, Any], files: Files, called: str
) -> tuple[FamilyName, int, int, PredictionType]:
    class_name = index.get("_class_name")
    if isinstance(class_name, list):
        raise BaseModelUnsupported(_CODE_OF_OTHERS.format(called=called, what=class_name[0]))
    if class_name not in _FAMILIES:
        raise BaseModelUnsupported(
            f"{called} is a {class_name}, which is not known here. "
            f"Known are: {', '.join(TITLES.values())}."
        )
    vae = _read_json(files, "vae/config.json", called)
    scale_factor = 2 ** (len(vae.get("block_out_channels", ())) - 1)
    if class_name in ("StableDiffusion3Pipeline", "FluxPipeline"):
        transformer = _read_json(files, "transformer/config.json", called)
        family = _FAMILIES[class_name] or FamilyName.FLUX
        patch = transformer.get("patch_size", 2) if family is not FamilyName.FLUX else 2
        return family, _side(transformer, 128) * scale_factor, scale_factor * patch, "flow"
    unet = _read_json(files, "unet/config.json", called)
    _check_channels(unet, vae, called)
    family = _FAMILIES[class_name] or _one_or_two(unet)
    # every level of the U-Net but the first halves the grid, and halves must be whole
    size_step = scale_factor * 2 ** (len(unet.get("block_out_channels", (1, 2, 3, 4))) - 1)
    prediction_type = _prediction_type(files, called)
    return family, _side(unet, 64) * scale_factor, size_step, prediction_type


def _limits(family: FamilyName, files: Files, called: str) -> tuple[bool, int | None, str]:
    """Whether guidance is told, the longest side in pixels, and the edition."""
    if family not in (FamilyName.STABLE_DIFFUSION_3, FamilyName.FLUX):
        return False, None, ""
    transformer = _read_json(files, "transformer/config.json", called)
    if family is FamilyName.FLUX:
        is_dev = bool(transformer.get("guidance_embeds"))
        return is_dev, None, "dev" if is_dev else "schnell"
    vae = _read_json(files, "vae/config.json", called)
    scale_factor = 2 ** (len(vae.get("block_out_channels", ())) - 1)
    places = transformer.get("pos_embed_max_size", 96)
    longest = places * transformer.get("patch_size", 2) * scale_factor
    return False, longest, edition_of_3(transformer)


def edition_of_3(transformer: Mapping[str, Any]) -> str:
    """Only 3.5 normalises queries and keys, and only 3.5 medium attends twice in some blocks.

    Source: the configurations of the models on the hub, and kohya-ss/sd-scripts,
    library/sd3_models.py, `model_type`.
    """
    if not transformer.get("qk_norm"):
        return "m"
    return "5-medium" if transformer.get("dual_attention_layers") else "5-large"


def _one_or_two(unet: Mapping[str, Any]) -> FamilyName:
    """Version 2 reads a text encoder 1024 wide, and has linear layers around its attention."""
    if unet.get("cross_attention_dim") == 1024 or unet.get("use_linear_projection"):
        return FamilyName.STABLE_DIFFUSION_2
    return FamilyName.STABLE_DIFFUSION_1


def _check_channels(unet: Mapping[str, Any], vae: Mapping[str, Any], called: str) -> None:
    """A U-Net that reads more than the latents is for inpainting, depth, or editing."""
    reads, latents = unet.get("in_channels", 4), vae.get("latent_channels", 4)
    if reads != latents:
        raise BaseModelUnsupported(
            f"{called} reads {reads} channels where a picture has {latents}: it is made for "
            "inpainting or editing, which cannot be trained. Choose its text-to-image version."
        )


def _side(denoiser: Mapping[str, Any], default: int) -> int:
    """Of the latents; the default is the one of the pipeline's class."""
    size = denoiser.get("sample_size")
    size = max(size) if isinstance(size, list) else size
    return size if isinstance(size, int) and size > 0 else default


def _prediction_type(files: Files, called: str) -> PredictionType:
    config = _read_json(files, "scheduler/scheduler_config.json", called)
    found = config.get("prediction_type", "epsilon")
    if found not in ("epsilon", "v_prediction"):
        raise BaseModelUnsupported(
            f"{called} predicts `{found}` (scheduler/scheduler_config.json), which cannot be "
            "trained: only epsilon and v_prediction can."
        )
    return found


def _read_json(files: Files, name: str, called: str) -> dict[str, Any]:
    if name not in files.sizes:
        raise BaseModelUnsupported(f"{called} is not complete: {name} is missing.")
    try:
        content = json.loads(files.read(name))
    except ValueError as problem:
        raise BaseModelUnsupported(f"{called} is damaged: {name} is not JSON.") from problem
    if not isinstance(content, dict):
        raise BaseModelUnsupported(f"{called} is damaged: {name} is not a JSON object.")
    return content


# --- the files: weights as safetensors only, in one of the forms that diffusers writes

PICKLED = (".bin", ".ckpt", ".pt", ".pth", ".pkl", ".pickle")
_STEM = r"(?:model|diffusion_pytorch_model)"
_SHARD = r"(?:-\d{5}-of-\d{5})?"
_WEIGHTS = {
    None: re.compile(rf"{_STEM}{_SHARD}\.safetensors"),
    "fp16": re.compile(rf"{_STEM}\.fp16{_SHARD}\.safetensors"),
}
_WEIGHT_INDEX = {
    None: re.compile(rf"{_STEM}\.safetensors\.index\.json"),
    "fp16": re.compile(rf"{_STEM}\.safetensors\.index\.fp16\.json"),
}
_WEIGHTLESS = re.compile("Tokenizer|Scheduler|Processor|FeatureExtractor")
_TEXTS = (".json", ".txt", ".model")


def _needed(
    files: Files, components: Mapping[str, str], called: str
) -> tuple[str | None, tuple[NeededFile, ...]]:
    weighted = [name for name, kind in components.items() if not _WEIGHTLESS.search(kind)]
    variant = _variant(files.sizes, weighted, called)
    names = [INDEX]
    for component in components:
        inside = _inside(files.sizes, component)
        names += [f"{component}/{name}" for name in inside if _is_wanted(name, variant)]
    return variant, tuple(NeededFile(name, files.sizes[name]) for name in names)


def _variant(sizes: Mapping[str, int], weighted: Sequence[str], called: str) -> str | None:
    """The first form, full precision before half, that every part with weights comes in."""
    missing: list[str] = []
    for variant, form in _WEIGHTS.items():
        lacking = [part for part in weighted if not _is_whole(_inside(sizes, part), form)]
        if not lacking:
            return variant
        missing = missing or lacking
    pickled = [name for part in missing for name in _inside(sizes, part, PICKLED)]
    if pickled:
        raise BaseModelUnsupported(_PICKLE_REFUSED.format(called=called))
    raise BaseModelUnsupported(
        f"{called} is not complete: there are no .safetensors weights for {', '.join(missing)}."
    )


def _is_whole(names: Sequence[str], form: re.Pattern[str]) -> bool:
    """Whether there are weights of that form, and of weights in several files all of them."""
    found = [name for name in names if form.fullmatch(name)]
    counts = [int(count) for name in found for count in re.findall(r"-of-(\d{5})", name)]
    return bool(found) and len(found) >= max(counts, default=0)


_PICKLE_REFUSED = (
    "{called} has its weights only as pickle files (.bin, .ckpt, .pt), which can run code when "
    "they are opened and are never loaded. Choose a base model with .safetensors files."
)


def _is_wanted(name: str, variant: str | None) -> bool:
    """The weights in one form only; an index of weights that are not there confuses loading."""
    if name.endswith(".safetensors"):
        return _WEIGHTS[variant].fullmatch(name) is not None
    if ".index." in name:
        return _WEIGHT_INDEX[variant].fullmatch(name) is not None
    return name.endswith(_TEXTS)


def _inside(
    sizes: Mapping[str, int], component: str, endings: tuple[str, ...] = ("",)
) -> list[str]:
    """The names right inside a component's folder, without the folder."""
    prefix = f"{component}/"
    inside = (name.removeprefix(prefix) for name in sorted(sizes) if name.startswith(prefix))
    return [name for name in inside if "/" not in name and name.endswith(endings)]


def why_no_index(sizes: Mapping[str, int], called: str) -> str:
    """What there is in the place of a base model in diffusers' form, and what to give instead."""
    top = [name for name in sizes if "/" not in name]
    if "adapter_config.json" in top or any(LORA_FILE.search(name) for name in top):
        return f"{called} is a LoRA, not a base model. Give the base model that it was trained on."
    if any(name.endswith(".safetensors") for name in top):
        return (
            f"{called} has no model_index.json, only single .safetensors files. Give the path of "
            "one of them on this machine, or a base model in the diffusers folder form."
        )
    if any(name.endswith(PICKLED) for name in top):
        return _PICKLE_REFUSED.format(called=called)
    return (
        f"{called} is not a base model in the diffusers folder form: model_index.json is missing. "
        "Give the folder, or the repository, that holds that file."
    )


LORA_FILE = re.compile(r"lora.*\.safetensors$", re.IGNORECASE)
