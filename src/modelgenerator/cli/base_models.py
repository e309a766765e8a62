"""From a looked-at base model to a loaded one, with the person watching.

Comes in: what the hub told.  Goes out: a `ModelFamily` on the best device of this machine.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from modelgenerator.cli.progress import Reporter
from modelgenerator.diffusion.detection import TITLES
from modelgenerator.diffusion.downloads import DownloadFinished, download
from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.diffusion.traits import TRAITS
from modelgenerator.training.free_memory import free_memory
from modelgenerator.training.plan import DeviceFacts

if TYPE_CHECKING:  # it imports torch: a wrong word is answered without
    from modelgenerator.diffusion.family import ModelFamily

SMALL_BYTES = 100_000_000
"""Below this, several threads wait for each other longer than they compute: with both cores of a
machine busy, a step on the embedded base model took ten times as long on two threads as on one."""


def in_words(files: BaseModelFiles) -> str:
    """What a person wants to know before a base model is downloaded."""
    meant = files.repository if files.repository not in (None, files.reference) else None
    megabytes = f"{max(1, round(files.size_bytes / 1e6)):,} MB"
    place = "on this machine" if files.folder else "to be downloaded"
    licence = f"licence {files.licence or 'unknown'}"
    facts = (meant, TITLES[files.family], licence, f"{megabytes} {place}")
    return f"{files.reference} ({'; '.join(fact for fact in facts if fact)})"


def this_machine() -> DeviceFacts:
    """The GPU if there is one."""
    import torch

    if not torch.cuda.is_available():
        return DeviceFacts(kind="cpu", has_bf16=False, free_bytes=free_memory())
    has_bf16, free_bytes = torch.cuda.is_bf16_supported(), torch.cuda.mem_get_info()[0]
    return DeviceFacts(kind="cuda", has_bf16=has_bf16, free_bytes=free_bytes)


def drawing_dtype(files: BaseModelFiles, machine: DeviceFacts) -> str:
    """The smallest number format that pictures of this base model are safe in."""
    if machine.kind == "cpu":
        return "fp32"
    if TRAITS[files.family].is_flow:
        return "bf16" if machine.has_bf16 else "fp32"
    return "fp16"


def load_base(files: BaseModelFiles, compute_dtype: str, report: Reporter) -> "ModelFamily":
    """Download what is not here, then load it.

    Raises:
        BaseModelGated, HubUnreachable, BaseModelUnsupported, OutputNotWritable: see `download`.
    """
    import torch

    from modelgenerator.diffusion.family import CompanionFolder
    from modelgenerator.diffusion.load import load, numbers_of, this_device

    if files.size_bytes < SMALL_BYTES:
        torch.set_num_threads(1)
    folder, companion = _brought(files, report), None
    if lent := files.companion:
        companion = CompanionFolder(folder=_brought(lent, report), variant=lent.variant)
    report.phase(f"loading {files.reference}")
    return load(
        folder,
        files.family,
        variant=files.variant,
        device=this_device(),
        dtype=numbers_of(compute_dtype),
        companion=companion,
    )


def _brought(files: BaseModelFiles, report: Reporter) -> Path:
    """Where the files are, once they are here."""
    folder = files.folder
    if folder is None:
        report.phase(f"downloading {files.reference}")
    for event in download(files):
        if isinstance(event, DownloadFinished):
            folder = event.folder
        else:
            report.count("MB", event.bytes_done // 10**6, event.bytes_total // 10**6)
    assert folder is not None
    return folder
