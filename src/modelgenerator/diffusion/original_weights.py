"""The weights of FLUX.1 and Stable Diffusion 3 as diffusers has them, from their authors' layout.

In: the authors' tensors, and the table of layer names that LoRA files are read by.  Out: the same
numbers under diffusers' names, layers that the authors joined taken apart.  diffusers can do this
itself for one width of FLUX only; the table is needed anyway, and fits all.
"""

from collections.abc import Iterable, Mapping

from torch import Tensor

from modelgenerator.diffusion.detection import FamilyName
from modelgenerator.lora.original_names import FLUX, STABLE_DIFFUSION_3, OriginalNames, Renaming


def _norms(original: str, ours: str, names: Mapping[str, str]) -> list[Renaming]:
    return [Renaming(original + theirs, (ours + name,)) for theirs, name in names.items()]


_DOUBLE, _SINGLE = "transformer_blocks.{n}.", "single_transformer_blocks.{n}."
_FLUX = {"query_norm": "norm_q", "key_norm": "norm_k"}
_OF_3 = {"ln_q": "norm_q", "ln_k": "norm_k"}
_ADDED = {"ln_q": "norm_added_q", "ln_k": "norm_added_k"}
_TABLES: Mapping[FamilyName, OriginalNames] = {
    FamilyName.FLUX: OriginalNames(
        [
            *FLUX.renamings,
            *_norms("double_blocks.{n}.img_attn.norm.", f"{_DOUBLE}attn.", _FLUX),
            *_norms(
                "double_blocks.{n}.txt_attn.norm.",
                f"{_DOUBLE}attn.",
                {"query_norm": "norm_added_q", "key_norm": "norm_added_k"},
            ),
            *_norms("single_blocks.{n}.norm.", f"{_SINGLE}attn.", _FLUX),
        ]
    ),
    FamilyName.STABLE_DIFFUSION_3: OriginalNames(
        [
            *STABLE_DIFFUSION_3.renamings,
            *_norms("joint_blocks.{n}.x_block.attn.", f"{_DOUBLE}attn.", _OF_3),
            *_norms("joint_blocks.{n}.x_block.attn2.", f"{_DOUBLE}attn2.", _OF_3),
            *_norms("joint_blocks.{n}.context_block.attn.", f"{_DOUBLE}attn.", _ADDED),
        ]
    ),
}
"""With the norms, which no LoRA corrects."""


def transformer_weights(
    wanted: Iterable[str], tensors: Mapping[str, Tensor], family: FamilyName
) -> dict[str, Tensor]:
    """By diffusers' names, those of `wanted` that can be had; `tensors` by the authors' names."""
    layers = {name.rpartition(".")[0] for name in tensors}
    dotted = {layer.replace(".", "_"): layer for layer in layers}
    found = ((name, _weight(name, tensors, dotted, _TABLES[family])) for name in wanted)
    return {name: weight for name, weight in found if weight is not None}


def _weight(
    name: str, tensors: Mapping[str, Tensor], dotted: Mapping[str, str], table: OriginalNames
) -> Tensor | None:
    layer, _, kind = name.rpartition(".")
    flat = layer.replace(".", "_")
    place = table.place_of(flat)
    if place is None:  # called alike; a table of places has no layer around it
        return tensors.get(name, tensors.get(layer))
    original = dotted.get(place.original)
    whole = tensors.get(f"{original}.{kind}", tensors.get(f"{original}.scale"))
    if whole is None:
        return None
    inputs = tensors.get(f"{original}.weight", whole).shape[-1]
    return whole[place.joint.rows(len(whole), inputs)[place.pieces.index(flat)]]
