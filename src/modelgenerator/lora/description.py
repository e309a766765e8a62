"""What can be said of a LoRA file without its base model.

In: a LoRA file that was read.  Out: facts, all from the file itself; what its header claims is a
claim.  Only the hashes are checked.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from modelgenerator.lora.files import LONG_HASH, SHORT_HASH, LoraFile, body_hash
from modelgenerator.lora.joined import Correction
from modelgenerator.lora.recognition import FAMILIES, family_of

UNKNOWN = "unknown"


class Hashes(StrEnum):
    """What the header's hashes say about the tensors."""

    RIGHT = "right"
    WRONG = "wrong"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """Numbers by how often they occur, the most frequent first."""

    layout: str
    family: str
    size_bytes: int
    parts: Mapping[str, int]
    """Layers, as the file has them, by the part of the base model."""
    convolutions: int
    ranks: Mapping[int, int]
    alphas: Mapping[float, int]
    precisions: Mapping[str, int]
    numbers: int
    """In all matrices together."""
    title: str
    trigger_phrase: str
    base_model: str
    hashes: Hashes
    plan: Mapping[str, Any] | None
    """Of a training with this package."""
    version: str
    """Of this package, when it wrote the file."""


def describe(lora: LoraFile) -> Description:
    """Look at everything in `lora`."""
    family = family_of(lora.corrections, lora.metadata)
    all_of_them = list(lora.corrections.values())
    plan = _plan(lora.metadata)
    said = lora.metadata.get
    return Description(
        layout=lora.layout,
        family=family or UNKNOWN,
        size_bytes=lora.path.stat().st_size,
        parts=_counted(_part(written, family) for written in lora.corrections),
        convolutions=sum(1 for one in all_of_them if one.kernel not in ((), (1, 1))),
        ranks=_counted(one.rank for one in all_of_them),
        alphas=_counted(one.alpha for one in all_of_them),
        precisions=_counted(_precision(one) for one in all_of_them),
        numbers=sum(one.down_RI.numel() + one.up_OR.numel() for one in all_of_them),
        title=said("modelspec.title") or said("ss_output_name", ""),
        trigger_phrase=said("modelspec.trigger_phrase", ""),
        base_model=str((plan or {}).get("base_model") or said("ss_sd_model_name", "")),
        hashes=_hashes(lora),
        plan=plan,
        version=said("modelgenerator.version", ""),
    )


def _counted(values: Any) -> dict[Any, int]:
    return dict(Counter(values).most_common())


def _part(written: str, family: str | None) -> str:
    names = FAMILIES.get(family or "")
    place = names.place_of_written(written) if names else None
    return names.name(place.pieces[0]).partition(".")[0] if names and place else UNKNOWN


def _precision(correction: Correction) -> str:
    return str(correction.precision).removeprefix("torch.")


def _plan(metadata: Mapping[str, str]) -> dict[str, Any] | None:
    try:
        plan = json.loads(metadata["modelgenerator.plan"])
    except (KeyError, ValueError, RecursionError):
        return None
    return plan if isinstance(plan, dict) else None


def _hashes(lora: LoraFile) -> Hashes:
    claimed = {lora.metadata.get(SHORT_HASH), lora.metadata.get(LONG_HASH)} - {None, ""}
    if not claimed:
        return Hashes.ABSENT
    found = body_hash(lora.path)
    return Hashes.RIGHT if claimed <= {found, f"0x{found}"} else Hashes.WRONG
