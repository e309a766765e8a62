"""A base model in one safetensors file: what its header tells, without loading the weights.

In: the header of a file.  Out: what it is, what it predicts, its native size, and which parts it
lacks.  No torch; the numbers of a real file are gigabytes, and all of this reads a few hundred
kilobytes, from a disk or from a hub.
"""

import re
import statistics
from collections.abc import Mapping
from typing import Any

from modelgenerator.diffusion.detection import (
    TITLES,
    Detected,
    FamilyName,
    NeededFile,
    PredictionType,
    edition_of_3,
)
from modelgenerator.diffusion.original_layout import (
    AUTOENCODER,
    UNET,
    autoencoder_config,
    autoencoder_levels,
)
from modelgenerator.diffusion.original_transformers import (
    AUTOENCODER_WIDTHS,
    LATENT_SCALE_AND_SHIFT,
    TRANSFORMER_CONFIGS,
    autoencoder_prefix,
    missing_parts,
    numbers_of_parts,
)
from modelgenerator.diffusion.tensor_files import Tensors
from modelgenerator.errors import BaseModelUnsupported

PIPELINES = {
    FamilyName.STABLE_DIFFUSION_1: "StableDiffusionPipeline",
    FamilyName.STABLE_DIFFUSION_2: "StableDiffusionPipeline",
    FamilyName.STABLE_DIFFUSION_XL: "StableDiffusionXLPipeline",
    FamilyName.STABLE_DIFFUSION_3: "StableDiffusion3Pipeline",
    FamilyName.FLUX: "FluxPipeline",
}
_MARKS = {
    "double_blocks.": FamilyName.FLUX,
    "joint_blocks.": FamilyName.STABLE_DIFFUSION_3,
    "conditioner.embedders.1": FamilyName.STABLE_DIFFUSION_XL,
    "cond_stage_model.model": FamilyName.STABLE_DIFFUSION_2,
    "cond_stage_model.transformer": FamilyName.STABLE_DIFFUSION_1,
}


def is_lora(tensors: Tensors) -> bool:
    return any("lora_" in name or ".lora" in name for name in tensors.entries)


def family_of(tensors: Tensors) -> FamilyName | None:
    """By the names of the tensors; none when they are not those of a base model."""
    for mark, family in _MARKS.items():
        if any(mark in name for name in tensors.entries):
            return family
    return None


def detect_single_file(tensors: Tensors, file: NeededFile, called: str) -> Detected:
    """What the base model with these `tensors` is; `called` is how the person named it.

    Raises:
        BaseModelUnsupported: not a base model, without its denoiser, or of a kind that cannot be
            trained.
    """
    if is_lora(tensors):
        raise BaseModelUnsupported(
            f"{called} is a LoRA, not a base model. Give the base model that it was trained on."
        )
    family = family_of(tensors)
    if family is None:
        raise BaseModelUnsupported(
            f"{called} is a single file of unknown kind: it holds no base model with its text "
            "encoder. Give a base model in a single file, a folder, or a repository on the hub."
        )
    if family in TRANSFORMER_CONFIGS:
        return _detect_flow(tensors, family, file, called)
    return _detect_stable_diffusion(tensors, family, file, called)


# --- FLUX.1 and Stable Diffusion 3

_QUANTIZED = re.compile(r"scaled_fp8$|\.(scale_weight|weight_scale|comfy_quant|absmax|quant_map)$")
_WHOLE_BYTES = ("U8", "I8")


def _detect_flow(tensors: Tensors, family: FamilyName, file: NeededFile, called: str) -> Detected:
    _require_plain_numbers(tensors, called)
    try:
        transformer = TRANSFORMER_CONFIGS[family](tensors)
    except ValueError as problem:
        raise BaseModelUnsupported(
            f"{called} is not built as {TITLES[family]} is: {problem}. Choose a fine-tune of "
            "the published base model."
        ) from problem
    if transformer["in_channels"] != transformer["out_channels"]:
        raise BaseModelUnsupported(
            _MORE_CHANNELS.format(
                called=called, reads=transformer["in_channels"], answers=transformer["out_channels"]
            )
        )
    autoencoder = _autoencoder(tensors, family)
    factor = 2 ** (len(autoencoder["block_out_channels"]) - 1)
    is_flux = family is FamilyName.FLUX
    patch = 2 if is_flux else transformer["patch_size"]
    takes_guidance = is_flux and transformer["guidance_embeds"]
    return Detected(
        family=family,
        pipeline_class=PIPELINES[family],
        prediction_type="flow",
        native_size=_said_size(tensors) or 1024,
        size_step=factor * patch,
        variant=None,
        needed=(file,),
        takes_guidance=takes_guidance,
        longest_side=None if is_flux else transformer["pos_embed_max_size"] * patch * factor,
        edition=("dev" if takes_guidance else "schnell") if is_flux else edition_of_3(transformer),
        configs={"transformer": transformer, "vae": autoencoder},
        lacks=missing_parts(tensors, family),
        numbers=numbers_of_parts(tensors, family),
    )


def _autoencoder(tensors: Tensors, family: FamilyName) -> dict[str, Any]:
    """Its configuration, or what is known of the one that it will be."""
    prefix = autoencoder_prefix(tensors)
    if prefix is None:
        return {"block_out_channels": AUTOENCODER_WIDTHS}
    scale, shift = LATENT_SCALE_AND_SHIFT[family]
    return autoencoder_config(tensors, scaling_factor=scale, shift_factor=shift, prefix=prefix)


def _require_plain_numbers(tensors: Tensors, called: str) -> None:
    """fp8 without a scale is a number format like others; with one, or in whole bytes, it is not.

    Source: the tensors in the files of ComfyUI ("scaled fp8") and of bitsandbytes.
    """
    for name, entry in tensors.entries.items():
        if _QUANTIZED.search(name) or (entry["dtype"] in _WHOLE_BYTES and name.endswith(".weight")):
            raise BaseModelUnsupported(
                f"{called} is quantized ({name}), and cannot be trained on in this form. Choose "
                "the version in bf16, fp16 or plain fp8."
            )


# --- Stable Diffusion 1, 2 and XL


def _detect_stable_diffusion(
    tensors: Tensors, family: FamilyName, file: NeededFile, called: str
) -> Detected:
    _require_whole(tensors, family, called)
    prediction_type = _prediction_type(tensors, family, called)
    factor = 2 ** (autoencoder_levels(tensors) - 1)
    halvings = sum(name.endswith(".0.op.weight") for name in tensors.entries)
    return Detected(
        family=family,
        pipeline_class=PIPELINES[family],
        prediction_type=prediction_type,
        native_size=_said_size(tensors) or _usual_size(family, prediction_type),
        size_step=factor * 2**halvings,
        variant=None,
        needed=(file,),
    )


def _prediction_type(tensors: Tensors, family: FamilyName, called: str) -> PredictionType:
    """What the denoiser predicts, as far as the file tells.

    A tensor `v_pred` is put there to say it; the metadata may say it; and the two kinds of Stable
    Diffusion 2 differ in how wide the numbers of one norm are spread.

    Raises:
        BaseModelUnsupported: noise of another kind.

    Source: ComfyUI, comfy/supported_models.py, SD20.model_type and SDXL.model_type;
    https://github.com/Stability-AI/ModelSpec, `prediction_type` and `predict_key`.
    """
    if _EDM_MARKS & tensors.entries.keys():
        raise BaseModelUnsupported(
            f"{called} is trained with EDM's noise, which cannot be trained. Choose a base model "
            "that predicts epsilon or v."
        )
    if "v_pred" in tensors:
        return "v_prediction"
    said = [tensors.metadata.get(f"modelspec.{key}") for key in ("prediction_type", "predict_key")]
    for word in filter(None, said):
        if word.lower() in _PREDICTIONS:
            return _PREDICTIONS[word.lower()]
    if family is FamilyName.STABLE_DIFFUSION_2 and _is_spread_wide(tensors):
        return "v_prediction"
    return "epsilon"


_EDM_MARKS = frozenset({"edm_mean", "edm_std", "edm_vpred.sigma_max"})
_PREDICTIONS: Mapping[str, PredictionType] = {
    "v": "v_prediction",
    "v_prediction": "v_prediction",
    "v-prediction": "v_prediction",
    "epsilon": "epsilon",
    "eps": "epsilon",
}
_TELLING_NORM = f"{UNET}output_blocks.11.1.transformer_blocks.0.norm1.bias"


def _is_spread_wide(tensors: Tensors) -> bool:
    return _TELLING_NORM in tensors and statistics.pstdev(tensors.numbers(_TELLING_NORM)) > 0.09


def _require_whole(tensors: Tensors, family: FamilyName, called: str) -> None:
    parts = {UNET: "denoiser", AUTOENCODER: "autoencoder"}
    for prefix, part in parts.items():
        if not tensors.has(prefix):
            raise BaseModelUnsupported(
                f"{called} is not complete: it has no {part} ({prefix}*). Give a file with all "
                "parts of the base model."
            )
    entrance, label = f"{UNET}input_blocks.0.0.weight", f"{UNET}label_emb.0.0.weight"
    reads = tensors.shape(entrance)[1] if entrance in tensors else 4
    if reads != 4:
        raise BaseModelUnsupported(_MORE_CHANNELS.format(called=called, reads=reads, answers=4))
    if family is not FamilyName.STABLE_DIFFUSION_XL and label in tensors:
        raise BaseModelUnsupported(
            f"{called} reads a picture beside the prompt: it is made for inpainting or editing, "
            "which cannot be trained. Choose its text-to-image version."
        )


_MORE_CHANNELS = (
    "{called} reads {reads} channels where a picture has {answers}: it is made for inpainting or "
    "editing, which cannot be trained. Choose its text-to-image version."
)


def _said_size(tensors: Tensors) -> int | None:
    """The metadata may say it, as `1024x1024`."""
    said = re.fullmatch(r"(\d{2,4})x(\d{2,4})", tensors.metadata.get("modelspec.resolution", ""))
    return max(map(int, said.groups())) if said else None


def _usual_size(family: FamilyName, prediction_type: PredictionType) -> int:
    if family is FamilyName.STABLE_DIFFUSION_XL:
        return 1024
    large = family is FamilyName.STABLE_DIFFUSION_2 and prediction_type == "v_prediction"
    return 768 if large else 512
