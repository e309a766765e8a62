"""A LoRA as one safetensors file, in the layout that the programs for its base model read.

In: a `LoraNetwork` and what to say about it.  Out: one file, and the way back: a file of any common
layout and the models it belongs to become a `LoraNetwork`.  Knows no training and no pipeline.

How tensors are called and what they hold is in `layouts.py`, which layer is meant in
`key_names.py`, and whose names are whose in `original_names.py`.
"""

import hashlib
import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialize
from torch import Tensor, nn

from modelgenerator.errors import UnusableLora
from modelgenerator.lora import layouts
from modelgenerator.lora.inject import LoraNetwork, Target, attached
from modelgenerator.lora.joined import Correction, split
from modelgenerator.lora.key_names import KOHYA, LayerNames
from modelgenerator.lora.layers import features
from modelgenerator.lora.layouts import WRITERS, Rounding, named
from modelgenerator.lora.recognition import FAMILIES, family_of
from modelgenerator.whole_files import write_whole

HASHES = SHORT_HASH, LONG_HASH = "sshs_model_hash", "modelspec.hash_sha256"
"""Entries of the header with the hash of the tensors: kohya's and the ModelSpec standard's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraFile:
    path: Path
    layout: str
    """Whose way of writing it is: kohya, diffusers, old diffusers; or several with " and "."""
    corrections: Mapping[str, Correction]
    """By what the file calls the layers."""
    metadata: Mapping[str, str]


def save(
    path: Path, network: LoraNetwork, *, names: LayerNames, metadata: Mapping[str, str]
) -> None:
    """Write `network` in fp16 and its family's layout, with `metadata` and hashes in the header.

    A layer with numbers that fp16 cannot hold stays fp32.  The same numbers and metadata give the
    same bytes.  A half-written file never carries the final name, and an earlier file stays until
    the new one is complete.

    Raises:
        OutputNotWritable: the folder is missing or not writable, or the disk is full.
    """
    corrections = _of_network(network, one_alpha=names.layout == KOHYA)
    write(path, corrections, names, layout=names.layout, metadata=metadata, store=layouts.rounded)


def write(
    path: Path,
    corrections: Mapping[str, Correction],
    names: LayerNames,
    *,
    layout: str,
    metadata: Mapping[str, str] | None,
    store: Rounding,
) -> None:
    """Write `corrections`, which go by `part.dotted name`, in a `layout` of `WRITERS`.

    Without `metadata` nothing at all is said about them.

    Raises:
        UnusableLora: layers make no layer of that layout; the message lacks a file's name.
        OutputNotWritable: the folder is missing or not writable, or the disk is full.
    """
    tensors, entries = WRITERS[layout](corrections, names, store)
    if metadata is None:
        file = serialize(tensors)
    else:
        digest = hashlib.sha256(_body(serialize(tensors))).hexdigest()
        hashes = {SHORT_HASH: digest, LONG_HASH: f"0x{digest}"}
        file = serialize(tensors, metadata={**metadata, **entries, **hashes})
    write_whole(path, _in_order(file), called="The LoRA")


def load(path: Path) -> LoraFile:
    """Read a LoRA file, whatever base model it belongs to.

    Raises:
        UnusableLora: missing, damaged, or not a LoRA of the kind that we read.
    """
    tensors, metadata = _read(path)
    try:
        layout, corrections = layouts.read(tensors, metadata)
    except UnusableLora as error:
        raise UnusableLora(f"{path} {error}") from error
    return LoraFile(path=path, layout=layout, corrections=corrections, metadata=metadata)


def by_key(lora: LoraFile, names: LayerNames) -> dict[str, Correction]:
    """The corrections by the keys of diffusers' layers: what a file joins is taken apart.

    Raises:
        UnusableLora: the file belongs to another family.
    """
    found: dict[str, Correction] = {}
    strangers: list[str] = []
    for written, correction in lora.corrections.items():
        place = names.place_of_written(written)
        if place is None:
            strangers.append(written)
            continue
        try:
            pieces = split(correction, place.joint)
        except ValueError as error:
            raise UnusableLora(f"{lora.path} is damaged: {written}: {error}.") from error
        for key, piece in zip(place.pieces, pieces, strict=True):
            if key in found:
                raise UnusableLora(f"{lora.path} corrects {key} twice; the second is {written}.")
            if piece is not None:
                found[key] = piece
    if strangers:
        raise UnusableLora(_strangers(lora, strangers, names))
    return found


def body_hash(path: Path) -> str:
    """SHA-256 of the tensors of a file that `load` has read."""
    return hashlib.sha256(_body(path.read_bytes())).hexdigest()


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


def _of_network(network: LoraNetwork, *, one_alpha: bool) -> dict[str, Correction]:
    # diffusers 0.42 overlooks the alphas of attention layers where layers differ in alpha, so all
    # get the largest one and what is missing goes into the ups
    largest = max(target.alpha for target in network.targets.values())
    corrections: dict[str, Correction] = {}
    for name, target in network.targets.items():
        alpha = largest if one_alpha and largest else target.alpha
        layer, up_OR = network.layers[name], network.layers[name].up_OR.detach().cpu()
        corrections[name] = Correction(
            down_RI=layer.down_RI.detach().cpu(),
            up_OR=up_OR if alpha == target.alpha else up_OR * (target.alpha / alpha),
            kernel=tuple(target.layer.weight.shape[2:]),
            alpha=alpha,
            precision=torch.float16,
        )
    return corrections


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


def _network(lora: LoraFile, parts: Mapping[str, nn.Module], names: LayerNames) -> LoraNetwork:
    layers = names.layers_by_key(parts)
    corrections = by_key(lora, names)
    if strangers := sorted(corrections.keys() - layers.keys()):
        raise UnusableLora(_strangers(lora, strangers, names))
    targets: dict[str, Target] = {}
    state: dict[str, Tensor] = {}
    for key, correction in corrections.items():
        name, layer = layers[key]
        assert isinstance(layer, nn.Linear | nn.Conv2d)
        _require_fit(lora, key, correction, layer)
        targets[name] = Target(layer=layer, rank=correction.rank, alpha=correction.alpha)
        state |= {f"{name}.down": correction.down_RI, f"{name}.up": correction.up_OR}
    network = LoraNetwork(targets)
    network.load_state(state)
    return network


def _strangers(lora: LoraFile, strangers: list[str], names: LayerNames) -> str:
    family = family_of(lora.corrections)
    if family is not None and FAMILIES[family].family != names.family:
        return (
            f"{lora.path} is a LoRA for {family}, not for this base model. "
            "Name the base model that it was trained on."
        )
    how_many = "None" if len(strangers) == len(lora.corrections) else "Not all"
    return (
        f"{how_many} of the {len(lora.corrections)} layers of {lora.path} are in this base model; "
        f"missing: {named(strangers)}. Name the base model that it was trained on."
    )


def _require_fit(
    lora: LoraFile, key: str, correction: Correction, layer: nn.Linear | nn.Conv2d
) -> None:
    kernel = layer.kernel_size if isinstance(layer, nn.Conv2d) else (1, 1)
    found = (correction.up_OR.shape[0], correction.down_RI.shape[1])
    wanted = features(layer)
    theirs = correction.kernel or (1, 1)
    if found != wanted or theirs != kernel:
        raise UnusableLora(
            f"{lora.path} is a LoRA for another base model: {key} turns "
            f"{_in_words(found, theirs)}, the layer here {_in_words(wanted, kernel)}. "
            "Name the base model that it was trained on."
        )


def _in_words(features: tuple[int, int], kernel: tuple[int, ...]) -> str:
    outputs, inputs = features
    height, width = kernel
    pixels = "" if kernel == (1, 1) else f" of each of {height} x {width} pixels"
    return f"{inputs // (height * width)} numbers{pixels} into {outputs}"
