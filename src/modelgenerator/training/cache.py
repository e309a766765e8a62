"""What was computed once and need not be computed again, found by what it was made of.

In: facts that decide a result, and how to compute it.  Out: the result.  A file name, a date or an
order never decides: the same picture in another folder is found, a changed one is not.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from modelgenerator.errors import OutputNotWritable
from modelgenerator.whole_files import write_whole

CODE_VERSION = 1
"""Raised whenever the same facts would give other numbers."""


class ContentCache:
    """Tensors in a folder; with `folder` None everything is computed anew."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def get(
        self, facts: Mapping[str, object], compute: Callable[[], Mapping[str, Tensor]]
    ) -> tuple[dict[str, Tensor], bool]:
        """The tensors that belong to `facts`, and whether they were found."""
        if self._folder is None:
            return dict(compute()), False
        text = json.dumps({**facts, "code": CODE_VERSION}, sort_keys=True)
        file = self._folder / f"{hashlib.sha256(text.encode()).hexdigest()}.safetensors"
        if found := _kept(file):
            return found, True
        tensors = {name: tensor.contiguous() for name, tensor in compute().items()}
        self._keep(file, tensors)
        return tensors, False

    def _keep(self, file: Path, tensors: dict[str, Tensor]) -> None:
        with suppress(OSError, OutputNotWritable):  # a full disk must not stop a training
            file.parent.mkdir(parents=True, exist_ok=True)
            write_whole(file, save(tensors), called="The cache")


def _kept(file: Path) -> dict[str, Tensor]:
    """Nothing if `file` is absent or damaged: then it is made again."""
    try:
        return load_file(file)
    except (OSError, SafetensorError):
        return {}


def user_cache() -> ContentCache:
    """The cache of this user: `MODELGENERATOR_CACHE`, or modelgenerator in the XDG cache folder."""
    given = os.environ.get("MODELGENERATOR_CACHE")
    base = os.environ.get("XDG_CACHE_HOME")
    folder = Path(base) if base else Path.home() / ".cache"
    return ContentCache(Path(given) if given else folder / "modelgenerator" / "encoded")
