"""From a looked-at base model to a loaded one on the best device of this machine.

In: what the hub told, and a number format.  Out: events of what is brought here, then a
`ModelFamily`.  Who watches is not known.
"""

import dataclasses
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import torch

from modelgenerator.diffusion.downloads import DownloadFinished, DownloadProgress, download
from modelgenerator.diffusion.family import CompanionFolder, ModelFamily
from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.diffusion.load import load, numbers_of, this_device

SMALL_BYTES = 100_000_000
"""Below this, several threads wait for each other longer than they compute: with both cores of a
machine busy, a step on the embedded base model took ten times as long on two threads as on one."""


@dataclass(frozen=True, slots=True)
class DownloadBegun:
    """Files of this base model are not here yet."""

    reference: str


@dataclass(frozen=True, slots=True)
class LoadingBegun:
    """All files of this base model are here."""

    reference: str


Brought = DownloadBegun | DownloadProgress | LoadingBegun


def bring_and_load(
    files: BaseModelFiles, compute_dtype: str
) -> Generator[Brought, None, ModelFamily]:
    """Download what is not here, then load it.

    Raises:
        BaseModelGated, HubUnreachable, BaseModelUnsupported, OutputNotWritable: see `download`.
    """
    here = yield from bring(files)
    yield LoadingBegun(files.reference)
    return load_brought(here, compute_dtype)


def bring(files: BaseModelFiles) -> Generator[Brought, None, BaseModelFiles]:
    """Download what is not here; the same base model, with the folders that it is in.

    Raises:
        BaseModelGated, HubUnreachable, BaseModelUnsupported, OutputNotWritable: see `download`.
    """
    folder, companion = (yield from _brought(files)), None
    if lent := files.companion:
        companion = dataclasses.replace(lent, folder=(yield from _brought(lent)))
    return dataclasses.replace(files, folder=folder, companion=companion)


def load_brought(files: BaseModelFiles, compute_dtype: str) -> ModelFamily:
    """Load what `bring` answered.

    Raises:
        BaseModelUnsupported: its files are not what they say.
    """
    use_threads_for(files)
    assert files.folder is not None, "it was brought here"
    companion = None
    if lent := files.companion:
        assert lent.folder is not None, "it was brought here"
        companion = CompanionFolder(folder=lent.folder, variant=lent.variant)
    return load(
        files.folder,
        files.family,
        variant=files.variant,
        device=this_device(),
        dtype=numbers_of(compute_dtype),
        companion=companion,
    )


def use_threads_for(files: BaseModelFiles) -> None:
    """As many as computing with this base model is quick with."""
    torch.set_num_threads(1 if files.size_bytes < SMALL_BYTES else _ALL_THREADS)


_ALL_THREADS = torch.get_num_threads()
"""As it was when this process began: a warm one uses small base models and large ones."""


def _brought(files: BaseModelFiles) -> Generator[Brought, None, Path]:
    """Where the files are, once they are here."""
    folder = files.folder
    if folder is None:
        yield DownloadBegun(files.reference)
    for event in download(files):
        if isinstance(event, DownloadFinished):
            folder = event.folder
        else:
            yield event
    assert folder is not None
    return folder
