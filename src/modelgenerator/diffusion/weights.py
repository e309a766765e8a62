"""How many numbers the parts of a base model hold, told from names, sizes and headers of files.

In: a base model that was looked at.  Out: numbers or bytes by part, "unet" or "text_encoder".
Nothing is loaded, and what is not here yet is judged by the size of its files.
"""

import json
import math
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.diffusion.number_formats import BYTES
from modelgenerator.diffusion.traits import TRAITS

RUNTIME: Mapping[str, float] = {"cpu": 550e6, "cuda": 300e6}
"""Bytes of a process around them: Python, torch and diffusers; on a GPU its libraries'
workspaces."""


def numbers_by_part(base: BaseModelFiles) -> Mapping[str, float]:
    """How many numbers each part's weights have; parts without weights are left out."""
    if base.is_single_file:
        lent = numbers_by_part(base.companion) if base.companion else {}
        return {**lent, **base.numbers}
    found: dict[str, float] = defaultdict(float)
    for file in base.needed:
        part, _, name = file.name.rpartition("/")
        if name.endswith(".safetensors"):
            found[part] += file.size / _bytes_each(base, file.name)
    return dict(found)


def bytes_by_part(base: BaseModelFiles, dtype: str) -> Mapping[str, float]:
    """How many bytes each part has once it is loaded; autoencoders compute in fp32 everywhere."""
    return {
        part: numbers * BYTES["fp32" if part == "vae" else dtype]
        for part, numbers in numbers_by_part(base).items()
    }


def _bytes_each(base: BaseModelFiles, name: str) -> float:
    if base.folder is not None:
        return _stored(base.folder / name)
    # whoever published a flow model did it in half precision
    return 2 if base.variant == "fp16" or TRAITS[base.family].is_flow else 4


def _stored(file: Path) -> float:
    """Bytes for each number of the largest tensor; the rest of a file hardly counts."""
    with file.open("rb") as stream:
        header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
    sizes = [
        (end - begin, math.prod(entry["shape"]))
        for name, entry in header.items()
        if name != "__metadata__"
        for begin, end in [entry["data_offsets"]]
    ]
    size, numbers = max(sizes, default=(4, 1))
    return size / max(1, numbers)
