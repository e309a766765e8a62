"""The ways in which programs write one LoRA: kohya's, and diffusers' old and new ones.

In: the tensors of a file by their names, and its header.  Out: a correction for each layer, by what
the file calls the layer; and the way back for the two layouts that we write.  Which layer of which
model that is, is for `key_names.py`.

kohya: `<key>.lora_down.weight` (rank, inputs), `<key>.lora_up.weight` (outputs, rank) and
`<key>.alpha`.  diffusers: `<name>.lora_A.weight` and `<name>.lora_B.weight`, alpha in the header or
in the matrices already.  A convolution's down has the two sides of its kernel too, and its up two
sides of length 1.
Source: kohya-ss/sd-scripts, networks/lora.py; diffusers, utils/state_dict_utils.py and
loaders/lora_base.py; ai-toolkit writes as diffusers does.
"""

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from modelgenerator.errors import UnusableLora
from modelgenerator.lora.joined import Correction, join
from modelgenerator.lora.key_names import DIFFUSERS, KOHYA, LayerNames

ALPHA = ".alpha"


@dataclass(frozen=True, slots=True)
class Layout:
    """What ends the names of the two matrices."""

    name: str
    down: str
    up: str


LAYOUTS = (
    Layout(KOHYA, ".lora_down.weight", ".lora_up.weight"),
    Layout(DIFFUSERS, ".lora_A.weight", ".lora_B.weight"),
    Layout(DIFFUSERS, ".lora_A.default.weight", ".lora_B.default.weight"),
    Layout(f"old {DIFFUSERS}", ".lora.down.weight", ".lora.up.weight"),
    Layout(f"old {DIFFUSERS}", ".lora_linear_layer.down.weight", ".lora_linear_layer.up.weight"),
    Layout(f"old {DIFFUSERS}", "_lora.down.weight", "_lora.up.weight"),
)
OTHER_KINDS = {
    r"\.hada_": "a LoHa",
    r"\.lokr_": "a LoKr",
    r"\.oft_": "an OFT",
    r"dora_scale|lora_magnitude_vector": "a DoRA",
    r"lora_mid": "a LoRA with Tucker decomposition",
    r"\.diff(_b)?$": "a LoRA with full differences",
    r"lora_(B|up)\.(default\.)?bias$": "a LoRA with biases",
    r"\.ia3|\.on_input$": "an (IA)^3",
    r"\.glora|\.[ab][12]\.weight$": "a GLoRA",
    r"lora_(A|B)\.(?!weight$|default\.weight$|bias$)": "a LoRA with several adapters",
}
"""What else has low-rank matrices or lies beside them, by a mark in the tensors' names."""
ADAPTERS = "lora_adapter_metadata"
"""diffusers' and peft's entry of the header, with alpha."""
BAKED = "modelgenerator.alpha"
"""Our own: which alphas are in the matrices already, so that there is an exact way back."""


def read(
    tensors: Mapping[str, Tensor], metadata: Mapping[str, str]
) -> tuple[str, dict[str, Correction]]:
    """The name of the layout, and the corrections by what the file calls the layers.

    Raises:
        UnusableLora: something else is in these tensors; the message lacks the file's name.
    """
    _refuse_other_kinds(tensors)
    found = {name: layout for name in tensors for layout in LAYOUTS if name.endswith(layout.down)}
    # `_lora.down` is an ending of others too: the first layout that fits is meant
    first = {name: next(lo for lo in LAYOUTS if name.endswith(lo.down)) for name in found}
    alphas = _Alphas(metadata)
    corrections: dict[str, Correction] = {}
    known: set[str] = set()
    for name, layout in sorted(first.items()):
        layer = name.removesuffix(layout.down)
        known |= {name, layer + layout.up, layer + ALPHA}
        if layer in corrections:
            raise UnusableLora(f"corrects {layer} twice, in two layouts. Use a plain LoRA file.")
        corrections[layer] = _correction(layer, layout, tensors, alphas)
    if left_over := sorted(tensors.keys() - known):
        raise UnusableLora(
            f"has tensors that belong to no LoRA layer: {named(left_over)}. Use a plain LoRA file."
        )
    names = {layout.name: None for layout in first.values()}
    return " and ".join(names), corrections


def named(names: list[str]) -> str:
    """The first few of `names`, and how many more there are."""
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"


def _refuse_other_kinds(tensors: Iterable[str]) -> None:
    names = tuple(tensors)
    for mark, kind in OTHER_KINDS.items():
        if any(re.search(mark, name) for name in names):
            raise UnusableLora(f"is {kind}, which cannot be used here. Use a plain LoRA file.")
    if not any(name.endswith(layout.down) for name in names for layout in LAYOUTS):
        raise UnusableLora(
            f"is not a LoRA: none of its {len(names)} tensors is a LoRA layer. "
            "If it is a whole base model, name it as the base model."
        )


def _correction(
    layer: str, layout: Layout, tensors: Mapping[str, Tensor], alphas: "_Alphas"
) -> Correction:
    down, up = tensors[layer + layout.down], tensors.get(layer + layout.up)
    if up is None:
        down_word, up_word = _word(layout.down), _word(layout.up)
        raise UnusableLora(f"is incomplete: {layer} has a {down_word} and no {up_word}.")
    _require_matrices(layer, layout, down, up)
    correction = Correction(
        down_RI=down.float().flatten(1),
        up_OR=up.float().flatten(1),
        kernel=tuple(down.shape[2:]),
        alpha=down.shape[0],
        precision=up.dtype if up.dtype == down.dtype else torch.float32,
    )
    if not (correction.down_RI.isfinite().all() and correction.up_OR.isfinite().all()):
        raise UnusableLora(f"is damaged: {layer} holds numbers that are not finite.")
    return alphas.given_to(correction, layer, tensors.get(layer + ALPHA))


def _require_matrices(layer: str, layout: Layout, down: Tensor, up: Tensor) -> None:
    if not (down.dtype.is_floating_point and up.dtype.is_floating_point):
        raise UnusableLora(f"has whole numbers as the matrices of {layer}, which is no LoRA.")
    if any(side != 1 for side in up.shape[2:]):
        raise UnusableLora(
            f"is damaged: {_word(layout.up)} of {layer} has the shape {tuple(up.shape)}, where a "
            "LoRA has two sides of length 1."
        )
    matrices = down.ndim in (2, 4) and up.ndim >= 2 and down.numel() > 0 and up.numel() > 0
    if not (matrices and down.shape[0] == up.shape[1]):
        raise UnusableLora(
            f"is damaged: the ranks of {layer} do not fit together, {_word(layout.down)} has the "
            f"shape {tuple(down.shape)} and {_word(layout.up)} {tuple(up.shape)}."
        )


def _word(ending: str) -> str:
    return ending.strip("._").removesuffix(".weight").removesuffix(".default")


class _Alphas:
    """What the header says of alpha; a tensor says more, and none of both is the rank."""

    def __init__(self, metadata: Mapping[str, str]) -> None:
        self._adapters = _object(metadata.get(ADAPTERS))
        self._baked = _object(metadata.get(BAKED))

    def given_to(self, correction: Correction, layer: str, tensor: Tensor | None) -> Correction:
        if tensor is not None:
            return replace(correction, alpha=_single(layer, tensor))
        if layer in self._baked:
            return _unbaked(correction, self._baked[layer])
        return replace(correction, alpha=self._of_adapter(layer, correction.rank))

    def _of_adapter(self, layer: str, rank: int) -> float:
        part, _, name = layer.removeprefix("base_model.model.").partition(".")
        for prefix, inner in ((f"{part}.", name), ("", layer)):
            alpha = self._adapters.get(f"{prefix}lora_alpha")
            if isinstance(alpha, int | float) and math.isfinite(alpha):
                pattern = self._adapters.get(f"{prefix}alpha_pattern")
                for key, own in pattern.items() if isinstance(pattern, dict) else ():
                    if _is_meant(key, inner) and isinstance(own, int | float):
                        alpha = own
                        break
                root = math.sqrt(rank) if self._adapters.get(f"{prefix}use_rslora") else 1
                return float(alpha) * root
        return float(rank)


def _is_meant(pattern: str, name: str) -> bool:
    """As peft matches the keys of its patterns: the whole name, or its end after a dot.

    They are regular expressions; those of a stranger could keep a machine busy for years.
    """
    plain = pattern.removeprefix("^").removesuffix("$").replace("\\.", ".")
    if re.search(r"[^\w.-]", plain):
        raise UnusableLora(
            f"says in its header which layers have another alpha by the pattern {pattern[:40]!r}, "
            "which cannot be used here. Save it with the layers' names."
        )
    return f".{name}".endswith(f".{plain}")


def _object(text: str | None) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _single(layer: str, alpha: Tensor) -> float:
    if alpha.numel() != 1 or alpha.is_complex() or not math.isfinite(alpha.item()):
        raise UnusableLora(f"is damaged: alpha of {layer} is not one number.")
    return float(alpha.item())


# Writing


Rounding = Callable[[Tensor, torch.dtype], Tensor]


def rounded(matrix: Tensor, precision: torch.dtype) -> Tensor:
    """In `precision`, or in fp32 what that cannot hold: a training's numbers have noise anyway."""
    stored = matrix.to(precision)
    return stored if stored.isfinite().all() else matrix


def exact(matrix: Tensor, precision: torch.dtype) -> Tensor:
    """In `precision` if not a bit is lost, or else in fp32."""
    stored = matrix.to(precision)
    return stored if torch.equal(stored.float(), matrix) else matrix


def as_kohya(
    corrections: Mapping[str, Correction], names: LayerNames, store: Rounding
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and entries for the header; `corrections` by `part.dotted name`.

    Raises:
        UnusableLora: layers are no pieces of one; the message lacks the file's name.
    """
    by_key = {names.key(name): correction for name, correction in corrections.items()}
    tensors: dict[str, Tensor] = {}
    for key in by_key:
        place = names.place_of_key(key)
        if place.original + ALPHA in tensors:
            continue
        try:
            joined = join([by_key.get(piece) for piece in place.pieces], place.joint)
        except ValueError as error:
            raise UnusableLora(
                f"has pieces that make no layer of {KOHYA}: {key}: {error}."
            ) from error
        down, up = _stored(joined, store)
        tensors[place.original + LAYOUTS[0].down] = down
        tensors[place.original + LAYOUTS[0].up] = up
        tensors[place.original + ALPHA] = torch.tensor(float(joined.alpha))
    return tensors, {}


def as_diffusers(
    corrections: Mapping[str, Correction], names: LayerNames, store: Rounding
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """As `as_kohya`.  Alpha is worked into the ups, as not every program reads the header.

    The header tells the alphas wherever that leads back to the same bits.
    """
    tensors: dict[str, Tensor] = {}
    notes: dict[str, tuple[float, str]] = {}
    for name, correction in corrections.items():
        layer = names.name(names.key(name))
        down, up = _stored(_baked(correction), store)
        tensors[layer + LAYOUTS[1].down], tensors[layer + LAYOUTS[1].up] = down, up
        note = (correction.alpha, str(correction.precision).removeprefix("torch."))
        if correction.scale != 1 and _leads_back(correction, up, note):
            notes[layer] = note
    return tensors, {BAKED: json.dumps(notes, sort_keys=True)} if notes else {}


WRITERS = {KOHYA: as_kohya, DIFFUSERS: as_diffusers}


def _baked(correction: Correction) -> Correction:
    up_OR = correction.up_OR * correction.scale
    return replace(correction, up_OR=up_OR, alpha=correction.rank)


def _leads_back(correction: Correction, up: Tensor, note: tuple[float, str]) -> bool:
    stored = replace(correction, up_OR=up.float().flatten(1), alpha=correction.rank)
    return torch.equal(_unbaked(stored, note).up_OR, correction.up_OR)


def _unbaked(correction: Correction, note: Any) -> Correction:
    """The way back from `_baked`; the correction as it is where the note makes no sense."""
    try:
        alpha, precision = float(note[0]), getattr(torch, str(note[1]))
        up_OR = (correction.up_OR / (alpha / correction.rank)).to(precision).float()
        down_RI = correction.down_RI.to(precision).float()
    except (TypeError, ValueError, IndexError, KeyError, AttributeError, ZeroDivisionError):
        return correction
    if not up_OR.isfinite().all():
        return correction
    again = replace(correction, up_OR=up_OR, down_RI=down_RI, alpha=alpha, precision=precision)
    return again if _same_effect(again, correction) else correction


def _same_effect(one: Correction, other: Correction) -> bool:
    """A header may be of another file; the matrices are what counts."""
    ups = torch.allclose(one.up_OR * one.scale, other.up_OR * other.scale, rtol=1e-2, atol=1e-7)
    return ups and torch.allclose(one.down_RI, other.down_RI, rtol=1e-2, atol=1e-7)


def _stored(correction: Correction, store: Rounding) -> tuple[Tensor, Tensor]:
    down, up = correction.down_RI, correction.up_OR
    if correction.kernel:
        height, width = correction.kernel
        down, up = down.view(len(down), -1, height, width), up[:, :, None, None]
    stored = [store(matrix, correction.precision).contiguous() for matrix in (down, up)]
    if stored[0].dtype != stored[1].dtype:  # one precision for a layer
        stored = [down.float().contiguous(), up.float().contiguous()]
    return stored[0], stored[1]
