"""`modelgenerator lora`: look at a LoRA file, and write it in another program's layout.

Comes in: a LoRA file, or the output folder of a training.  Goes out: what the file says, or another
file.  The base model is not needed.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelgenerator.errors import OutputNotWritable

if TYPE_CHECKING:
    from modelgenerator.lora.description import Description

SHOWN = 200
"""Characters of what a header says; strangers write headers."""


def info(file: Path, *, as_json: bool) -> None:
    """Say what is in `file`, on stdout."""
    from modelgenerator.lora import files
    from modelgenerator.lora.description import describe

    file = _file(file)
    found = describe(files.load(file))
    if as_json:
        sys.stdout.write(json.dumps({"file": str(file), **_facts(found)}) + "\n")
        return
    for what, said in {"file": str(file), **_sentences(found)}.items():
        sys.stdout.write(f"{what + ':':<16}{_printable(said)}\n")


def convert(file: Path, *, to: str, output: Path, header: str, overwrite: bool) -> None:
    """Write `file` to `output` in the layout `to`."""
    from modelgenerator.lora import files
    from modelgenerator.lora.convert import convert as convert_file
    from modelgenerator.lora.description import describe

    if output.exists() and not overwrite:
        raise OutputNotWritable(
            f"{output} exists already: replace it by --overwrite, or choose another name with "
            "--output."
        )
    convert_file(files.load(_file(file)), output, layout=to, header=header)
    for what, said in {"LoRA": str(output), **_sentences(describe(files.load(output)))}.items():
        if what in ("LoRA", "layout", "family", "layers", "rank", "alpha", "size"):
            sys.stdout.write(f"{what + ':':<16}{_printable(said)}\n")


def _file(path: Path) -> Path:
    """The LoRA itself, or the one in the output folder of a training."""
    return path / "lora.safetensors" if path.is_dir() else path


def _facts(found: "Description") -> dict[str, Any]:
    return {
        "layout": found.layout,
        "family": found.family,
        "baseModel": found.base_model,
        "title": found.title,
        "triggerPhrase": found.trigger_phrase,
        "layers": found.parts,
        "convolutions": found.convolutions,
        "ranks": found.ranks,
        "alphas": found.alphas,
        "precision": found.precisions,
        "numbers": found.numbers,
        "sizeBytes": found.size_bytes,
        "hashes": found.hashes,
        "plan": found.plan,
        "version": found.version,
    }


def _sentences(found: "Description") -> dict[str, str]:
    layers = ", ".join(f"{count} in {part}" for part, count in found.parts.items())
    if found.convolutions:
        layers += f", {found.convolutions} of them convolutions"
    said = {
        "layout": found.layout,
        "family": found.family,
        "base model": found.base_model or "not said",
        "title": found.title or "not said",
        "trigger phrase": found.trigger_phrase or "not said",
        "layers": layers,
        "rank": _spread(found.ranks),
        "alpha": _spread(found.alphas),
        "precision": _spread(found.precisions),
        "size": f"{found.size_bytes / 1e6:.1f} MB, {found.numbers:,} numbers",
        "hashes": _HASHES[found.hashes],
    }
    if found.plan is not None:
        said["plan"] = f"of ModelGenerator {found.version}"
        said |= {f"  {name}": json.dumps(value) for name, value in sorted(found.plan.items())}
    return said


_HASHES = {
    "right": "right: the tensors are as they were written",
    "wrong": "wrong: the tensors were changed after the header was written, or it is another's",
    "absent": "none in the header",
}


def _spread(counts: Mapping[Any, int]) -> str:
    """One value alone, or the most frequent ones with how often they occur."""
    if len(counts) == 1:
        return _number(next(iter(counts)))
    shown = [f"{_number(value)} ({count} layers)" for value, count in list(counts.items())[:6]]
    return ", ".join(shown) + (", and others" if len(counts) > 6 else "")


def _number(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _printable(text: str) -> str:
    """On one line, and without the marks by which text steers a terminal."""
    text = "".join(letter if letter.isprintable() else "?" for letter in text)
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."
