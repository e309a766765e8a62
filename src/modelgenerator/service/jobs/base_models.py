"""A base model brought here, and loaded, with the job's watchers told.

In: a looked-at base model.  Out: messages, then the base model.
"""

from collections.abc import Generator
from typing import TypeVar

from modelgenerator.diffusion.bringing import Brought, bring, bring_and_load
from modelgenerator.diffusion.downloads import DownloadProgress
from modelgenerator.diffusion.family import ModelFamily
from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.service.jobs.messages import Message, Phase, PhaseBegun, Progressed, Told

Base = TypeVar("Base")


def loaded(files: BaseModelFiles, compute_dtype: str) -> Generator[Message, None, ModelFamily]:
    """As `bring_and_load`."""
    return (yield from _told(bring_and_load(files, compute_dtype)))


def brought(files: BaseModelFiles) -> Generator[Message, None, BaseModelFiles]:
    """As `bring`: other processes load it."""
    return (yield from _told(bring(files)))


def _told(steps: Generator[Brought, None, Base]) -> Generator[Message, None, Base]:
    yield PhaseBegun(Phase.LOADING_BASE_MODEL)
    while True:
        try:
            event = next(steps)
        except StopIteration as end:
            return end.value
        if isinstance(event, DownloadProgress):
            yield Progressed({"bytes": event.bytes_done, "totalBytes": event.bytes_total})
        else:
            name = type(event).__name__
            yield Told(name[0].lower() + name[1:], {"baseModel": event.reference})
