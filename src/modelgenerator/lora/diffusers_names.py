"""How layers are called in the LoRA files of transformers: as diffusers and PEFT call them.

In: tensors by kohya's endings.  Out: the same by those of PEFT, and the way back.  There is no
alpha in this layout: delta W = B A, so alpha / rank is already in B.

`transformer.transformer_blocks.0.attn.to_q.lora_A.weight`.  diffusers knows no other layout of
Stable Diffusion 3, and ComfyUI reads it for FLUX and Stable Diffusion 3 alike.
Source: huggingface/diffusers, loaders/lora_pipeline.py; comfyanonymous/ComfyUI, comfy/lora.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from modelgenerator.lora.key_names import TEXT_MODEL, LayerNames

ENDINGS = {".lora_down.weight": ".lora_A.weight", ".lora_up.weight": ".lora_B.weight"}
"""Kohya's, and what takes their place."""


@dataclass(frozen=True, slots=True)
class DiffusersNames(LayerNames):
    """Dotted names behind the name of the part."""

    folds_alpha: ClassVar[bool] = True

    def key(self, name: str) -> str:
        part, _, layer = name.partition(".")
        if part.startswith("text_encoder") and not layer.startswith(TEXT_MODEL):
            layer = TEXT_MODEL + layer
        return f"{self.prefixes[part]}.{layer}"

    def stored(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {
            name.removesuffix(ending) + ENDINGS[ending]: tensor
            for name, tensor in tensors.items()
            for ending in ENDINGS
            if name.endswith(ending)
        }


FLUX_NAMES = DiffusersNames({"transformer": "transformer", "text_encoder": "text_encoder"})
STABLE_DIFFUSION_3_NAMES = DiffusersNames(
    {
        "transformer": "transformer",
        "text_encoder": "text_encoder",
        "text_encoder_2": "text_encoder_2",
    }
)


def with_kohya_endings(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`tensors` of a file in this layout as if it were in kohya's; others as they are."""
    if not all(name.endswith(tuple(ENDINGS.values())) for name in tensors):
        return dict(tensors)
    return {
        name.removesuffix(ending) + kohya: tensor
        for name, tensor in tensors.items()
        for kohya, ending in ENDINGS.items()
        if name.endswith(ending)
    }
