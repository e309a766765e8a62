"""Looks at this machine and says what is there, what is missing and what to do about it.

Comes in: nothing.  Goes out: one `Finding` for each thing a training needs, and a table of them.
Looking changes nothing and downloads nothing.
"""

import os
import platform
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from modelgenerator.training.free_memory import free_memory

_GIB = 2**30
_HUB_PATIENCE = 3.0  # seconds
_ENOUGH_MEMORY = 2 * _GIB  # torch, diffusers and the embedded base model together
_ENOUGH_DISK = 2 * _GIB


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    name: str
    found: str
    advice: str | None = None
    """What to do; none when all is well."""


def run() -> None:
    """Show all findings on stdout."""
    from rich.console import Console
    from rich.table import Table

    table = Table("", "", "found", "what to do", title="This machine", title_justify="left")
    for finding in findings():
        mark = "[green]ok[/]" if finding.advice is None else "[yellow]look[/]"
        table.add_row(mark, finding.name, finding.found, finding.advice or "")
    Console().print(table)


def findings() -> Iterator[Finding]:
    """Everything that a training needs, in the order in which it needs it."""
    yield Finding("modelgenerator", version("modelgenerator"))
    yield Finding("python", platform.python_version())
    yield torch_finding()
    yield device_finding()
    yield memory_finding(free_memory())
    yield disk_finding(shutil.disk_usage(Path.cwd()).free)
    yield built_in_finding()
    yield person_files_finding()
    yield hub_finding()
    yield cache_finding()


def torch_finding() -> Finding:
    """Which torch is installed, and whether what breaks it is absent."""
    try:
        import torch
    except ImportError as error:
        return Finding("torch", f"cannot be imported: {error}", "Install again: make clean test.")
    return Finding("torch", f"{torch.__version__}, {torch.get_num_threads()} threads")


def device_finding() -> Finding:
    """What a training would run on."""
    try:
        import torch
    except ImportError:
        return Finding("device", "unknown", "Mend torch first.")
    if torch.cuda.is_available():
        card = torch.cuda.get_device_properties(0)
        return Finding("device", f"{card.name}, {card.total_memory / _GIB:.0f} GiB")
    if shutil.which("nvidia-smi"):
        advice = "There is an NVIDIA driver, but this torch cannot use it: install a CUDA build."
        return Finding("device", "CPU", advice)
    cores = os.cpu_count() or 1
    found = f"CPU, {cores} {'core' if cores == 1 else 'cores'}; real base models want a GPU"
    return Finding("device", found)


def memory_finding(available: int | None) -> Finding:
    """Whether `available` bytes of memory are enough for the embedded base model."""
    if available is None:
        return Finding("memory", "unknown on this system")
    advice = "Close other programs: 2 GiB are needed." if available < _ENOUGH_MEMORY else None
    return Finding("memory", f"{available / _GIB:.1f} GiB free", advice)


def disk_finding(free: int) -> Finding:
    """Whether `free` bytes of disk are enough for a training and its results."""
    advice = "Free some space, or choose another disk: --output." if free < _ENOUGH_DISK else None
    return Finding("disk", f"{free / _GIB:.1f} GiB free in {Path.cwd()}", advice)


def built_in_finding() -> Finding:
    """Whether the embedded base model came along with the package."""
    from modelgenerator.diffusion import builtin

    folder = Path(str(builtin.__file__)).parent
    found = sorted(index.parent for index in folder.rglob("model_index.json"))
    if not found:
        advice = "The package is incomplete: install it again."
        return Finding("built-in base model", "missing", advice)
    size = sum(file.stat().st_size for file in found[0].rglob("*") if file.is_file())
    return Finding("built-in base model", f"modelgenerator/{found[0].name}, {size / 1e6:.1f} MB")


def person_files_finding() -> Finding:
    """Whether the small networks that find people in photos came along with the set-up."""
    from modelgenerator.datasets.segmenters.person_files import (
        PersonFile,
        person_file,
        person_files_folder,
    )

    missing = [name for name in PersonFile if person_file(name) is None]
    if not missing:
        return Finding("people in photos", f"found by the files in {person_files_folder()}")
    found = f"cut out by colour alone: {' and '.join(missing)} not in {person_files_folder()}"
    advice = "For better masks: python -m modelgenerator.cli.person_files"
    return Finding("people in photos", found, advice)


def hub_finding() -> Finding:
    """Whether the model hub answers."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return Finding("model hub", "switched off by HF_HUB_OFFLINE", "Unset it to download.")
    try:
        head = urllib.request.Request(constants.ENDPOINT, method="HEAD")
        with urllib.request.urlopen(head, timeout=_HUB_PATIENCE):
            pass
    except urllib.error.HTTPError as error:  # an answer all the same
        return Finding("model hub", f"{constants.ENDPOINT} answers {error.code}")
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        advice = (
            "Only cached, local and built-in base models can be used. Check the network, or name "
            "a mirror in HF_ENDPOINT."
        )
        return Finding("model hub", f"{constants.ENDPOINT} does not answer: {reason}", advice)
    return Finding("model hub", f"{constants.ENDPOINT} answers")


def cache_finding() -> Finding:
    """Which base models lie on this machine already."""
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        cached = [repo for repo in scan_cache_dir().repos if repo.repo_type == "model"]
    except CacheNotFound:
        cached = []
    if not cached:
        return Finding("cached base models", "none; one is downloaded when first named")
    names = sorted(f"{repo.repo_id} ({repo.size_on_disk / 1e9:.1f} GB)" for repo in cached)
    return Finding("cached base models", ", ".join(names))
