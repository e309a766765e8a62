"""A base model in one safetensors file: what its header tells, without loading the weights.

In: a file.  Out: the names and shapes of its tensors, what it predicts, its native size, and what
tells it from any other file.  No torch; the numbers of a real file are gigabytes, and all of this
reads a few hundred kilobytes.
"""

import json
import re
import statistics
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelgenerator.diffusion.detection import (
    Detected,
    FamilyName,
    NeededFile,
    PredictionType,
    family_of_single_file,
)
from modelgenerator.errors import BaseModelUnsupported

UNET, AUTOENCODER = "model.diffusion_model.", "first_stage_model."
PIPELINES = {
    FamilyName.STABLE_DIFFUSION_1: "StableDiffusionPipeline",
    FamilyName.STABLE_DIFFUSION_2: "StableDiffusionPipeline",
    FamilyName.STABLE_DIFFUSION_XL: "StableDiffusionXLPipeline",
}
"""The families that can be loaded from one file."""


@dataclass(frozen=True, slots=True)
class Tensors:
    """The header of a safetensors file."""

    path: Path
    entries: Mapping[str, Mapping[str, Any]]
    """By name: `dtype`, `shape` and `data_offsets`."""
    metadata: Mapping[str, str]
    start: int
    """Bytes before the numbers."""

    def __contains__(self, name: str) -> bool:
        return name in self.entries

    def shape(self, name: str) -> tuple[int, ...]:
        """Raises ValueError: there is no such tensor."""
        if name not in self.entries:
            raise ValueError(f"it lacks {name}")
        return tuple(self.entries[name]["shape"])

    def count(self, pattern: str) -> int:
        """How many different numbers stand where `pattern`, a regular expression, has a group."""
        found = (re.match(pattern, name) for name in self.entries)
        return len({match[1] for match in found if match})

    def numbers(self, name: str) -> list[float]:
        """All of a small tensor."""
        entry = self.entries[name]
        begin, end = entry["data_offsets"]
        with self.path.open("rb") as stream:
            stream.seek(self.start + begin)
            return _unpacked(stream.read(end - begin), entry["dtype"])


def read_header(path: Path) -> Tensors:
    """Of a file that `check_safetensors` has found whole."""
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        header = json.loads(stream.read(length))
    metadata = header.pop("__metadata__", {})
    return Tensors(path, header, metadata, 8 + length)


def detect_single_file(path: Path, called: str) -> Detected:
    """What the base model in `path` is; `called` is how the person named it.

    Raises:
        BaseModelUnsupported: damaged, not a whole base model, or of a kind that cannot be trained.
    """
    family = family_of_single_file(path)
    if family is None:
        raise BaseModelUnsupported(
            f"{called} is a single file of unknown kind: it holds no base model with its text "
            "encoder. Give a base model in a single file, a folder, or a repository on the hub."
        )
    if family not in PIPELINES:
        raise BaseModelUnsupported(
            f"not available yet: {called} is a {family.value} base model in a single file, which "
            "this version does not load. Give a folder, or a repository on the hub."
        )
    tensors = read_header(path)
    _require_whole(tensors, family, called)
    prediction_type = _prediction_type(tensors, family, called)
    factor = 2 ** (tensors.count(_AUTOENCODER_LEVEL) - 1)
    halvings = sum(name.endswith(".0.op.weight") for name in tensors.entries)
    return Detected(
        family=family,
        pipeline_class=PIPELINES[family],
        prediction_type=prediction_type,
        native_size=_native_size(tensors, family, prediction_type),
        size_step=factor * 2**halvings,
        variant=None,
        needed=(NeededFile(path.name, path.stat().st_size),),
    )


_AUTOENCODER_LEVEL = rf"{re.escape(AUTOENCODER)}encoder\.down\.(\d+)\."


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
        if not any(name.startswith(prefix) for name in tensors.entries):
            raise BaseModelUnsupported(
                f"{called} is not complete: it has no {part} ({prefix}*). Give a file with all "
                "parts of the base model."
            )
    entrance, label = f"{UNET}input_blocks.0.0.weight", f"{UNET}label_emb.0.0.weight"
    reads = tensors.shape(entrance)[1] if entrance in tensors else 4
    guided = family is not FamilyName.STABLE_DIFFUSION_XL and label in tensors
    if reads != 4 or guided:
        what = (
            "a picture beside the prompt" if guided else f"{reads} channels where a picture has 4"
        )
        raise BaseModelUnsupported(
            f"{called} reads {what}: it is made for inpainting or editing, which cannot be "
            "trained. Choose its text-to-image version."
        )


def _native_size(tensors: Tensors, family: FamilyName, prediction_type: PredictionType) -> int:
    """The metadata may say it, as `1024x1024`."""
    said = re.fullmatch(r"(\d{2,4})x(\d{2,4})", tensors.metadata.get("modelspec.resolution", ""))
    if said:
        return max(map(int, said.groups()))
    if family is FamilyName.STABLE_DIFFUSION_XL:
        return 1024
    large = family is FamilyName.STABLE_DIFFUSION_2 and prediction_type == "v_prediction"
    return 768 if large else 512


def _unpacked(data: bytes, dtype: str) -> list[float]:
    if dtype == "BF16":  # the upper half of an F32
        halves = struct.unpack(f"<{len(data) // 2}H", data)
        data, dtype = struct.pack(f"<{len(halves)}I", *(half << 16 for half in halves)), "F32"
    letter, size = {"F16": ("e", 2), "F32": ("f", 4), "F64": ("d", 8)}[dtype]
    return list(struct.unpack(f"<{len(data) // size}{letter}", data))
