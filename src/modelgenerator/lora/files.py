"""A LoRA as one safetensors file in kohya's layout, which every tool reads.

In: a `LoraNetwork` and what to say about it.  Out: one file, and the way back: a file and the
models it belongs to become a `LoraNetwork`.  Knows no training and no pipeline.

For every layer: `<key>.lora_down.weight` (rank, inputs), `<key>.lora_up.weight` (outputs, rank),
`<key>.alpha`.  A convolution's lora_down has the two sides of its kernel too, and its lora_up two
sides of length 1.  Alpha is the same in all layers of a file that we write.
"""

import hashlib
import json
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialize
from torch import Tensor, nn

from modelgenerator.errors import UnusableLora
from modelgenerator.lora.diffusers_names import with_kohya_endings
from modelgenerator.lora.inject import LoraNetwork, Target, attached
from modelgenerator.lora.key_names import LayerNames
from modelgenerator.lora.layers import features
from modelgenerator.whole_files import write_whole

DOWN, UP, ALPHA = ".lora_down.weight", ".lora_up.weight", ".alpha"

OTHER_KINDS = {
    "hada_": "a LoHa",
    "lokr_": "a LoKr",
    "oft_": "an OFT",
    "dora_scale": "a DoRA",
    "lora_mid": "a LoRA with Tucker decomposition",
    ".diff": "a LoRA with full differences",
    "lora_A.": "a LoRA in the layout of diffusers",
    "lora.down": "a LoRA in the layout of diffusers",
    "lora_linear_layer.": "a LoRA in the layout of diffusers",
    "_lora.down": "a LoRA in the layout of diffusers",
}
OTHER_FAMILIES = {
    "lora_unet_double_blocks": "FLUX",
    "lora_unet_single_blocks": "FLUX",
    "lora_unet_joint_blocks": "Stable Diffusion 3",
    "lora_te2_": "Stable Diffusion XL",
    "lora_unet_input_blocks": "Stable Diffusion XL",
    "lora_unet_output_blocks": "Stable Diffusion XL",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """One layer's matrices in fp32: delta W = alpha / rank * up * down."""

    down_RI: Tensor
    up_OR: Tensor
    kernel: tuple[int, ...]
    """Pixels that down sees, as (height, width): 1 x 1 for linear layers too."""
    alpha: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraFile:
    path: Path
    corrections: Mapping[str, Correction]  # by kohya's key
    metadata: Mapping[str, str]


def save(
    path: Path, network: LoraNetwork, *, names: LayerNames, metadata: Mapping[str, str]
) -> None:
    """Write `network` in fp16, with `metadata` and the hashes of the tensors in the header.

    A layer with numbers that fp16 cannot hold stays fp32.  The same numbers and metadata give the
    same bytes.  A half-written file never carries the
    final name, and an earlier file stays until the new one is complete.

    Raises:
        OutputNotWritable: the folder is missing or not writable, or the disk is full.
    """
    tensors = names.stored(_tensors(network, names))
    digest = hashlib.sha256(_body(serialize(tensors))).hexdigest()
    hashes = {"sshs_model_hash": digest, "modelspec.hash_sha256": f"0x{digest}"}
    file = serialize(tensors, metadata={**metadata, **hashes})
    write_whole(path, _in_order(file), called="The LoRA")


def load(path: Path) -> LoraFile:
    """Read a LoRA file, whatever base model it belongs to.

    Raises:
        UnusableLora: missing, damaged, or not a LoRA of the kind that we read.
    """
    tensors, metadata = _read(path)
    tensors = with_kohya_endings(tensors)
    _refuse_other_kinds(path, tensors)
    keys = sorted({name.removesuffix(DOWN) for name in tensors if name.endswith(DOWN)})
    corrections = {key: _correction(path, key, tensors) for key in keys}
    known = {key + suffix for key in keys for suffix in (DOWN, UP, ALPHA)}
    if left_over := sorted(tensors.keys() - known):
        raise UnusableLora(
            f"{path} has tensors that belong to no LoRA layer: {_named(left_over)}. "
            "Use a plain LoRA file in kohya's layout."
        )
    return LoraFile(path=path, corrections=corrections, metadata=metadata)


@contextmanager
def applied(
    lora: LoraFile,
    parts: Mapping[str, nn.Module],
    *,
    names: LayerNames,
    scale: float = 1.0,
) -> Generator[LoraNetwork, None, None]:
    """Let `parts` answer with `lora` for the length of the `with` block.

    `scale` 1 is as trained, 0 the base model exactly.  On leaving, by whatever way, `parts` are as
    before.

    Raises:
        UnusableLora: the file belongs to another base model.
    """
    network = _network(lora, parts, names)
    network.scale = scale
    with attached(network, parts.values()):
        yield network


def _tensors(network: LoraNetwork, names: LayerNames) -> dict[str, Tensor]:
    # diffusers 0.42 overlooks the alphas of attention layers where layers differ in alpha, so all
    # get the largest one and what is missing goes into the ups
    largest = max(target.alpha for target in network.targets.values())
    tensors: dict[str, Tensor] = {}
    for name, target in network.targets.items():
        layer = network.layers[name]
        alpha = target.rank if names.folds_alpha else largest
        down_RI = layer.down_RI.detach().cpu()
        up_OR = layer.up_OR.detach().cpu() * (target.alpha / alpha if alpha else 1)
        key = names.key(name)
        if isinstance(target.layer, nn.Conv2d):
            down_RI = down_RI.view(-1, *target.layer.weight.shape[1:])
            up_OR = up_OR[:, :, None, None]
        tensors[key + DOWN], tensors[key + UP] = _as_stored(down_RI, up_OR)
        tensors[key + ALPHA] = torch.tensor(float(alpha))
    return tensors


def _as_stored(*matrices: Tensor) -> list[Tensor]:
    halves = [matrix.half() for matrix in matrices]
    if all(half.isfinite().all() for half in halves):
        matrices = tuple(halves)
    return [matrix.contiguous() for matrix in matrices]


def _in_order(file: bytes) -> bytes:
    """`file` with a sorted header: safetensors orders the metadata anew each time it writes.

    Source: https://github.com/huggingface/safetensors, section "Format".
    """
    header = json.loads(file[8 : len(file) - len(_body(file))])
    text = json.dumps(header, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return b"".join((len(text).to_bytes(8, "little"), text, _body(file)))


def _body(file: bytes) -> memoryview:
    """The tensors' bytes, without the header."""
    header_length = int.from_bytes(file[:8], "little")
    return memoryview(file)[8 + header_length :]


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    if not path.is_file():
        raise UnusableLora(f"There is no LoRA file {path}. Check the path.")
    try:
        with safe_open(path, "pt") as file:
            names = file.keys()  # the file itself cannot be iterated
            return {name: file.get_tensor(name) for name in names}, dict(file.metadata() or {})
    except SafetensorError as error:
        raise UnusableLora(f"{path} {_damage(path)}") from error
    except OSError as error:
        raise UnusableLora(f"{path} cannot be read: {error.strerror or error}.") from error


def _damage(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(9)
    if start[8:] == b"{":
        return "is cut off or damaged. Copy or download it again."
    return "is not a safetensors file. Only safetensors files are read, for your safety."


def _refuse_other_kinds(path: Path, tensors: Iterable[str]) -> None:
    names = tuple(tensors)
    for mark, kind in OTHER_KINDS.items():
        if any(mark in name for name in names):
            raise UnusableLora(
                f"{path} is {kind}, which cannot be used here. "
                "Use a plain LoRA file in kohya's layout."
            )
    if not any(name.endswith(DOWN) for name in names):
        raise UnusableLora(
            f"{path} is not a LoRA: none of its {len(names)} tensors is a LoRA layer. "
            "If it is a whole base model, name it as the base model."
        )


def _correction(path: Path, key: str, tensors: Mapping[str, Tensor]) -> Correction:
    down, up = tensors[key + DOWN], tensors.get(key + UP)
    if up is None:
        raise UnusableLora(f"{path} is incomplete: {key} has a lora_down and no lora_up.")
    if any(side != 1 for side in up.shape[2:]):
        raise UnusableLora(
            f"{path} is damaged: lora_up of {key} has the shape {tuple(up.shape)}, where a LoRA "
            "has two sides of length 1."
        )
    fit = down.ndim in (2, 4) and up.ndim >= 2 and down.shape[0] == up.shape[1] > 0
    if not fit:
        raise UnusableLora(
            f"{path} is damaged: the ranks of {key} do not fit together, "
            f"lora_down has the shape {tuple(down.shape)} and lora_up {tuple(up.shape)}."
        )
    down, up = down.float(), up.float()
    if not (down.isfinite().all() and up.isfinite().all()):
        raise UnusableLora(f"{path} is damaged: {key} holds numbers that are not finite.")
    alpha = tensors.get(key + ALPHA)
    return Correction(
        down_RI=down.flatten(1),
        up_OR=up.flatten(1),
        kernel=tuple(down.shape[2:]) or (1, 1),
        alpha=float(down.shape[0] if alpha is None else alpha.item()),
    )


def _network(lora: LoraFile, parts: Mapping[str, nn.Module], names: LayerNames) -> LoraNetwork:
    layers = names.layers_by_key(parts)
    if strangers := sorted(lora.corrections.keys() - layers.keys()):
        raise UnusableLora(_strangers(lora, strangers))
    targets: dict[str, Target] = {}
    state: dict[str, Tensor] = {}
    for key, correction in lora.corrections.items():
        name, layer = layers[key]
        assert isinstance(layer, nn.Linear | nn.Conv2d)
        _require_fit(lora, key, correction, layer)
        rank = correction.down_RI.shape[0]
        targets[name] = Target(layer=layer, rank=rank, alpha=correction.alpha)
        state |= {f"{name}.down": correction.down_RI, f"{name}.up": correction.up_OR}
    network = LoraNetwork(targets)
    network.load_state(state)
    return network


def _strangers(lora: LoraFile, strangers: list[str]) -> str:
    for mark, family in OTHER_FAMILIES.items():
        if any(key.startswith(mark) for key in strangers):
            return (
                f"{lora.path} is a LoRA for {family}, not for this base model. "
                "Name the base model that it was trained on."
            )
    how_many = "None" if len(strangers) == len(lora.corrections) else "Not all"
    return (
        f"{how_many} of the {len(lora.corrections)} layers of {lora.path} are in this base model; "
        f"missing: {_named(strangers)}. Name the base model that it was trained on."
    )


def _require_fit(
    lora: LoraFile, key: str, correction: Correction, layer: nn.Linear | nn.Conv2d
) -> None:
    kernel = layer.kernel_size if isinstance(layer, nn.Conv2d) else (1, 1)
    found = (correction.up_OR.shape[0], correction.down_RI.shape[1])
    wanted = features(layer)
    if found != wanted or correction.kernel != kernel:
        raise UnusableLora(
            f"{lora.path} is a LoRA for another base model: {key} turns "
            f"{_in_words(found, correction.kernel)}, the layer here {_in_words(wanted, kernel)}. "
            "Name the base model that it was trained on."
        )


def _in_words(features: tuple[int, int], kernel: tuple[int, ...]) -> str:
    outputs, inputs = features
    height, width = kernel
    pixels = "" if kernel == (1, 1) else f" of each of {height} x {width} pixels"
    return f"{inputs // (height * width)} numbers{pixels} into {outputs}"


def _named(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"
