"""One part of a diffusers folder, loaded whole or refused, and told apart from every other.

In: a folder and the class that reads a part of it.  Out: the part; or a fingerprint of it.  What
the parts are for is not known here.
"""

import hashlib
import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn

from modelgenerator.errors import BaseModelUnsupported

_UNLOADABLE = (OSError, ValueError, KeyError, RuntimeError, TypeError, SafetensorError)
_SAYS_NOTHING = frozenset({"transformers_version"})
"""Entries of a configuration that change nothing, beside those that begin with an underscore."""


@contextmanager
def loading(folder: Path) -> Generator[None, None, None]:
    """Whatever the libraries say about a bad file becomes one error that says what to do.

    Raises:
        BaseModelUnsupported: a part is missing or does not fit the others.
    """
    try:
        yield
    except _UNLOADABLE as error:
        reason = str(error).strip().partition("\n")[0].rstrip(".")
        raise BaseModelUnsupported(
            f"The base model in {folder} cannot be loaded: {reason}. "
            "Download it again, or choose another base model."
        ) from error


# diffusers' and transformers' annotations do not describe what their loaders return
def load_part(kind: Any, folder: Path, *, variant: str | None, dtype: torch.dtype) -> Any:
    """The part in `folder` in main memory, frozen.

    Raises:
        ValueError: weights are missing; the libraries would fill the gaps with random numbers.
    """
    part, found = kind.from_pretrained(
        folder, variant=variant, dtype=dtype, use_safetensors=True, output_loading_info=True
    )
    if found["missing_keys"]:
        raise ValueError(f"{folder.name} lacks {min(found['missing_keys'])}")
    return part.requires_grad_(False).eval()


def read_scheduler(folder: Path) -> dict[str, Any]:
    """The configuration of the scheduler of the base model in `folder`.

    Raises:
        ValueError: this version of diffusers has none of that name.
    """
    config = json.loads((folder / "scheduler" / "scheduler_config.json").read_text())
    scheduler_class(config)
    return config


def scheduler_class(config: Mapping[str, Any]) -> Any:
    """Raises ValueError: this version of diffusers has none of that name."""
    import diffusers

    name = config["_class_name"]
    if not hasattr(diffusers, name):
        raise ValueError(f"diffusers {diffusers.__version__} has no scheduler {name}")
    return getattr(diffusers, name)


def fingerprint(module: nn.Module, config: Mapping[str, Any]) -> str:
    """Of the weights and of what else decides the answers, but not of where the files lie."""
    facts = {k: v for k, v in config.items() if not k.startswith("_") and k not in _SAYS_NOTHING}
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode())
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(name.encode())
        numbers_N = tensor.detach().cpu().contiguous().flatten()
        digest.update(numbers_N.view(torch.uint8).numpy())
    return digest.hexdigest()
