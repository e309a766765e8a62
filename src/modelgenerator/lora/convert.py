"""A LoRA file in another program's layout, without its base model.

In: a LoRA file that was read.  Out: a file of the wished layout that does the same.  Matrices are
copied bit for bit where the layouts have the same layers; where one joins what the other keeps
apart they are put together, or taken apart, exactly.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from modelgenerator.errors import UnusableLora
from modelgenerator.lora import layouts
from modelgenerator.lora.files import HASHES, LoraFile, by_key, write
from modelgenerator.lora.key_names import LayerNames, is_known
from modelgenerator.lora.layouts import ADAPTERS, BAKED, named
from modelgenerator.lora.metadata import minimal
from modelgenerator.lora.recognition import names_of

Header = Callable[[Mapping[str, str]], Mapping[str, str] | None]


def _full(metadata: Mapping[str, str]) -> Mapping[str, str]:
    """All but what the new layout says in another way."""
    return {k: v for k, v in metadata.items() if k not in (ADAPTERS, BAKED, *HASHES)}


def _none(metadata: Mapping[str, str]) -> None:  # noqa: ARG001
    return None


HEADERS: Mapping[str, Header] = {"full": _full, "minimal": minimal, "none": _none}
"""What the new file says about itself: the same, only what programs need to load it, or nothing."""


def convert(lora: LoraFile, path: Path, *, layout: str, header: str) -> None:
    """Write `lora` to `path` in a `layout` of `WRITERS` and with a header of `HEADERS`.

    Raises:
        UnusableLora: it is of no family that we know.
        OutputNotWritable: the folder is missing or not writable, or the disk is full.
    """
    corrections = by_key(lora, names := _names(lora))
    by_name = {names.name(key): one for key, one in corrections.items()}
    known = {names.key(name) for name in by_name if is_known(name)}
    if unknown := sorted(corrections.keys() - known):
        raise UnusableLora(f"{lora.path} has layers with unknown names: {named(unknown)}.")
    try:
        write(
            path,
            by_name,
            names,
            layout=layout,
            metadata=HEADERS[header](lora.metadata),
            store=layouts.exact,
        )
    except UnusableLora as error:
        raise UnusableLora(f"{lora.path} {error}") from error


def _names(lora: LoraFile) -> LayerNames:
    try:
        return names_of(lora.corrections, lora.metadata)[1]
    except UnusableLora as error:
        raise UnusableLora(f"{lora.path} {error}") from error
