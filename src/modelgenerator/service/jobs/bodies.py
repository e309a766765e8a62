"""What every body of a job is given beside its assignment, and by which name each kind is found.

In: nothing.  Out: `Tools`, and the table of bodies.  They are named, not imported: the process that
answers requests knows this table and never loads torch.
"""

import importlib
import threading
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from modelgenerator.service.config import ServiceConfig
from modelgenerator.service.jobs.messages import Assignment, Said
from modelgenerator.service.records.jobs import JobKind
from modelgenerator.service.store.files import Files, StoredFile
from modelgenerator.service.store.patience import RESTARTING, patiently


@dataclass(frozen=True, kw_only=True)
class Tools:
    """What a body works with."""

    config: ServiceConfig
    files: Files
    folder: Path
    """Empty, for this attempt alone, and removed after it."""
    checkpoint_seconds: float
    stop: threading.Event = field(default_factory=threading.Event)
    """Set when the body is to keep what it has and end with `Stopped`, soon."""
    gpu_kind: str | None = None
    """See `Place`."""


Body = Callable[[Assignment, Tools], Generator[Said, None, None]]
_BODIES: Mapping[JobKind, str] = {
    JobKind.TRAIN: "train",
    JobKind.GENERATE: "generate",
    JobKind.ZIP: "zip",
    JobKind.GENERATE_OBJECTS: "generate_objects",
}


def body_of(kind: JobKind) -> Body:
    """The function `run` of the kind's module beside this one; imports what it needs."""
    return importlib.import_module(f"modelgenerator.service.jobs.{_BODIES[kind]}").run


def kept(files: Files, key: str, content: Path | bytes) -> StoredFile:
    """What a body made, in the storage, also where that is away for a minute.

    Raises:
        StorageFull, StorageUnreachable: see `Files.put`.
    """
    attempts = count()
    return patiently(lambda: files.put(key, content, again=next(attempts) > 0), RESTARTING)
