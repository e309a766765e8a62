"""From a looked-at base model to a loaded one, with the person watching.

Comes in: what the hub told.  Goes out: a `ModelFamily` on the best device of this machine.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from modelgenerator.cli.progress import Reporter
from modelgenerator.cli.watching import watched
from modelgenerator.diffusion import number_formats
from modelgenerator.diffusion.detection import TITLES
from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.training.plan import DeviceFacts

if TYPE_CHECKING:  # it imports torch: a wrong word is answered without
    from modelgenerator.diffusion.bringing import Brought
    from modelgenerator.diffusion.family import ModelFamily


def in_words(files: BaseModelFiles) -> str:
    """What a person wants to know before a base model is downloaded."""
    meant = files.repository if files.repository not in (None, files.reference) else None
    megabytes = f"{max(1, round(files.size_bytes / 1e6)):,} MB"
    place = "on this machine" if files.folder else "to be downloaded"
    licence = f"licence {files.licence or 'unknown'}"
    facts = (meant, TITLES[files.family], licence, f"{megabytes} {place}")
    return f"{files.reference} ({'; '.join(fact for fact in facts if fact)})"


def this_machine(processes: int = 1) -> DeviceFacts:
    """The GPU if there is one; with several processes, the fullest of theirs."""
    from modelgenerator.training import this_machine

    return this_machine.this_machine(processes)


def drawing_dtype(files: BaseModelFiles, machine: DeviceFacts) -> str:
    """The smallest number format that pictures of this base model are safe in."""
    return number_formats.drawing_dtype(files, kind=machine.kind, has_bf16=machine.has_bf16)


def load_base(files: BaseModelFiles, compute_dtype: str, report: Reporter) -> "ModelFamily":
    """Download what is not here, then load it.

    Raises:
        BaseModelGated, HubUnreachable, BaseModelUnsupported, OutputNotWritable: see `download`.
    """
    from modelgenerator.diffusion.bringing import bring_and_load

    return watched(bring_and_load(files, compute_dtype), _see(report))


def bring_base(files: BaseModelFiles, report: Reporter) -> BaseModelFiles:
    """Download what is not here; the same, with the folders that it is in.

    Raises:
        BaseModelGated, HubUnreachable, BaseModelUnsupported, OutputNotWritable: see `download`.
    """
    from modelgenerator.diffusion.bringing import bring

    return watched(bring(files), _see(report))


def _see(report: Reporter) -> "Callable[[Brought], None]":
    from modelgenerator.diffusion.bringing import DownloadBegun, LoadingBegun

    def see(event: "Brought") -> None:
        if isinstance(event, DownloadBegun):
            report.phase(f"downloading {event.reference}")
        elif isinstance(event, LoadingBegun):
            report.phase(f"loading {event.reference}")
        else:
            report.count("MB", event.bytes_done // 10**6, event.bytes_total // 10**6)

    return see
