"""A training in several processes, as if it were one.

In: a plan that says how many, the pictures, a base model whose files are here.  Out: the events of
the first process, as `training.teach` would tell them; or the error of whichever met one.  This
process loads nothing and takes no part: it is never held up by those that do, sees how each of them
ends, and ends them all.
"""

import os
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import wait
from pathlib import Path
from typing import NoReturn

from modelgenerator.content_cache import ContentCache
from modelgenerator.datasets.prepare import PreparedDataset
from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.errors import TrainingProcessFailed
from modelgenerator.training.checkpoint import Checkpoint
from modelgenerator.training.events import Event, Finished
from modelgenerator.training.loop import CHECKPOINT_SECONDS
from modelgenerator.training.parallel.processes import RankProcess
from modelgenerator.training.parallel.words import (
    GO_ON,
    STOP,
    Broke,
    Done,
    LostContact,
    OutOfMemory,
    Refused,
    Said,
    Task,
    Trouble,
)
from modelgenerator.training.plan import TrainingPlan

_CAUSE_SECONDS = 5.0
"""That the cause of a lost contact may take to be known."""
_ALONE_SECONDS = 30.0
"""For a last checkpoint, where another process is gone already."""


def teach(
    plan: TrainingPlan,
    dataset: PreparedDataset,
    base: BaseModelFiles,
    folder: Path,
    *,
    cache: ContentCache,
    resume_from: Checkpoint | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    steps_behind: int | None = None,
) -> Generator[Event, None, None]:
    """Do all that `plan` says in `plan.processes` processes; see `training.teach` for events.

    `base` was brought here; `resume_from` was read from `folder`, where each process reads it.  To
    cancel, close the iterator: a last checkpoint is written.

    Raises:
        TrainingProcessFailed: one of the processes ended, or they disagree.
        MemoryError: one of them found no memory.
    """
    with _meeting() as (meeting, inherited):
        tasks = [
            Task(
                rank=rank,
                plan=plan,
                dataset=dataset,
                base=base,
                folder=folder,
                cache=cache,
                resumes=resume_from is not None,
                checkpoint_seconds=checkpoint_seconds,
                steps_behind=steps_behind,
                meeting=meeting,
            )
            for rank in range(plan.processes)
        ]
        with _started(tasks, inherited) as processes:
            try:
                yield from _events(processes)
            except GeneratorExit:
                _stop(processes)
                raise


@contextmanager
def _meeting() -> Generator[tuple[Path, list[int]], None, None]:
    """A file through which processes find each other, and what they inherit for it.

    On Linux it has no name: nothing is left of it, however we end.
    """
    if sys.platform == "linux":
        with os.fdopen(os.memfd_create("modelgenerator-meeting"), "rb") as file:
            yield Path(f"/proc/self/fd/{file.fileno()}"), [file.fileno()]
    else:
        with tempfile.TemporaryDirectory(prefix="modelgenerator-") as place:
            yield Path(place) / "meeting", []


@contextmanager
def _started(
    tasks: Sequence[Task], inherited: Sequence[int]
) -> Generator[list[RankProcess], None, None]:
    """Whatever happens, none is left."""
    with ExitStack() as ends:
        processes: list[RankProcess] = []
        for task in tasks:
            process = RankProcess(task.rank, len(tasks), inherits=inherited)
            ends.callback(process.kill)
            processes.append(process)
        for process, task in zip(processes, tasks, strict=True):
            process.send(task)  # a large one waits until it is read
        yield processes


def _events(processes: Sequence[RankProcess]) -> Generator[Event, None, None]:
    """What the first tells, up to the last event; raises what any of them met."""
    at_work = list(processes)
    processes[0].send(GO_ON)
    while processes[0] in at_work:
        for process in _who_speaks(at_work):
            match process.heard():
                case Said(event):
                    yield event
                    if isinstance(event, Finished):
                        return
                    process.send(GO_ON)
                case Done():
                    at_work.remove(process)
                case trouble:
                    _raise(process, trouble, processes)
    raise TrainingProcessFailed(
        "The first process of this training ended without a LoRA. The others were ended too."
    )


def _who_speaks(
    processes: Sequence[RankProcess], seconds: float | None = None
) -> list[RankProcess]:
    """Or ended; none when so many seconds are over."""
    speaking = wait([process.pipe for process in processes], seconds)
    return [process for process in processes if process.pipe in speaking]


def _raise(
    process: RankProcess, trouble: Trouble | None, processes: Sequence[RankProcess]
) -> NoReturn:
    """Tell the cause: whoever only lost contact may hear of it before we do."""
    if isinstance(trouble, LostContact):
        others = [one for one in processes if one is not process]
        process, trouble = _cause(others) or (process, trouble)
    name = f"Process {process.rank + 1} of {len(processes)}"
    match trouble:
        case Refused(error):
            raise error
        case OutOfMemory(words):
            raise MemoryError(f"{name} of this training: {words}")
        case Broke(trace):
            raise RuntimeError(f"{name} of this training failed:\n{trace}")
        case LostContact(words):
            how = f"lost contact with the others: {words}"
        case None:
            said = " | ".join(process.last_lines())
            how = process.how_it_ended() + (f". Its last words: {said}" if said else "")
    raise TrainingProcessFailed(f"{name} of this training {how}. The others were ended too.")


def _cause(others: Sequence[RankProcess]) -> tuple[RankProcess, Trouble | None] | None:
    """Who ended, or met something else than the end of another."""
    waiting, end = list(others), time.monotonic() + _CAUSE_SECONDS
    while waiting and (seconds := end - time.monotonic()) > 0:
        for process in _who_speaks(waiting, seconds):
            match process.heard():
                case Said() | Done():
                    pass
                case LostContact():
                    waiting.remove(process)
                case trouble:
                    return process, trouble
    return None


def _stop(processes: Sequence[RankProcess]) -> None:
    """The first writes the last checkpoint; the others wait for a step that never comes."""
    first, at_work, end = processes[0], list(processes), None
    first.send(STOP)
    while first in at_work:
        seconds = None if end is None else max(0.0, end - time.monotonic())
        speaking = _who_speaks(at_work, seconds)
        if not speaking:
            return
        for process in speaking:
            if not isinstance(process.heard(), Said):
                at_work.remove(process)
                end = end or time.monotonic() + _ALONE_SECONDS
