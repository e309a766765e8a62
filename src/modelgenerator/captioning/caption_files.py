"""Captions beside their photos, where a person edits them.

In: a folder and captions.  Out: `portrait.txt` beside `portrait.jpg`, and one hidden record of who
said what, which no training reads: the text files alone count.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from modelgenerator.captioning.captions import PictureCaptioned
from modelgenerator.datasets.captions import read_caption
from modelgenerator.errors import OutputNotWritable
from modelgenerator.whole_files import write_whole

RECORD = ".captions.json"
"""Hidden, because everything else in the folder is taken for a photo or told of."""


def caption_file(photo: Path) -> Path:
    """Where its caption is, or would be."""
    found = [file for file in photo.parent.glob("*") if _captions(file, photo)]
    return found[0] if found else photo.with_suffix(".txt")


def write_caption(photo: Path, text: str, made: PictureCaptioned) -> Path:
    """Write `text` beside `photo`, and into the record how it was `made` and what it replaced.

    Raises:
        OutputNotWritable: the folder cannot be written.
    """
    file = caption_file(photo)
    try:
        replaced = read_caption(file.read_bytes()) if file.exists() else None
        # the record first: a caption whose origin is not known would count as a person's own
        _note(photo.parent, photo.name, _entry(text, made, replaced))
        write_whole(file, f"{text}\n".encode(), called="The caption")
    except (OSError, OutputNotWritable) as problem:
        cause = problem.__cause__ if isinstance(problem, OutputNotWritable) else problem
        raise OutputNotWritable(
            f"Captions cannot be written into {photo.parent}: {getattr(cause, 'strerror', cause)}. "
            "Make room or make it writable, or caption a copy of the folder."
        ) from problem
    return file


def read_record(folder: Path) -> dict[str, Any]:
    """What is known of captions in `folder` by the photos' names; empty if it cannot be read."""
    try:
        record: object = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return cast(dict[str, Any], record) if isinstance(record, dict) else {}


def _captions(file: Path, photo: Path) -> bool:
    return file.stem == photo.stem and file.suffix.lower() == ".txt" and file.is_file()


def _entry(text: str, made: PictureCaptioned, replaced: str | None) -> dict[str, str]:
    entry = {
        "caption": text,
        "original": made.original,
        "captioner": made.captioner,
        "revision": made.revision,
    }
    return entry | ({"replaced": replaced} if replaced and replaced != text else {})


def _note(folder: Path, name: str, entry: Mapping[str, str]) -> None:
    record = read_record(folder) | {name: entry}
    text = json.dumps(record, ensure_ascii=False, indent=2, sort_keys=True)
    write_whole(folder / RECORD, f"{text}\n".encode(), called="The record of captions")
