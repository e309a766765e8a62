"""What each process of a training in several runs.

In: a task over a pipe, then words to go on.  Out: events, if this is the first process; and how it
ended.  It ends when whoever started it does.
"""

import os
import pickle
import queue
import threading
import traceback
from contextlib import closing
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from modelgenerator.errors import ModelGeneratorError
from modelgenerator.parent_process import end_with
from modelgenerator.training.parallel.words import (
    GO_ON,
    Broke,
    Done,
    LostContact,
    OutOfMemory,
    Refused,
    Said,
    Task,
    Trouble,
)

if TYPE_CHECKING:  # it imports torch: the pipe is listened to before
    from modelgenerator.diffusion.family import ModelFamily
    from modelgenerator.training.checkpoint import Checkpoint
    from modelgenerator.training.parallel.group import Group


def serve(descriptor: int, parent: int) -> None:
    """Do the task that comes over the pipe of that number, then wait to be ended.

    It ends with `parent`, which started it, whatever it does.
    """
    end_with(parent)
    pipe = Connection(descriptor)
    task: Task = pickle.loads(pipe.recv_bytes())
    words: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(pipe, words), daemon=True).start()
    try:
        _take_part(task, pipe, words)
        end: Done | Trouble = Done()
    except Exception as error:  # noqa: BLE001  whoever started this process tells it
        end = _trouble(error)
    pipe.send_bytes(pickle.dumps(end))
    while True:  # whoever goes first would look lost to those who still finish
        words.get()


def _listen(pipe: Connection, words: "queue.SimpleQueue[str]") -> None:
    """A second thread: the other end may close while a step is on its way."""
    while True:
        try:
            words.put(pickle.loads(pipe.recv_bytes()))
        except (EOFError, OSError):
            os._exit(1)


def _take_part(task: Task, pipe: Connection, words: "queue.SimpleQueue[str]") -> None:
    from modelgenerator.diffusion.bringing import load_brought
    from modelgenerator.training import checkpoint
    from modelgenerator.training.parallel.group import joined

    plan = task.plan
    saved = checkpoint.read(task.folder, plan_digest=plan.digest) if task.resumes else None
    base = load_brought(task.base, plan.compute_dtype)
    group = joined(task.meeting, task.rank, plan.processes, base.device)
    if task.rank:
        _follow(task, base, saved, group)
    else:
        _tell(task, base, saved, group, pipe, words)


def _tell(
    task: Task,
    base: "ModelFamily",
    saved: "Checkpoint | None",
    group: "Group",
    pipe: Connection,
    words: "queue.SimpleQueue[str]",
) -> None:
    """One event each time that it is wished; at a stop the checkpoint is written, and no more."""
    from modelgenerator.training.teach import teach

    events = teach(
        task.plan,
        task.dataset,
        base,
        task.folder,
        cache=task.cache,
        resume_from=saved,
        checkpoint_seconds=task.checkpoint_seconds,
        steps_behind=task.steps_behind,
        ranks=group,
    )
    with closing(events):
        while words.get() == GO_ON and (event := next(events, None)) is not None:
            pipe.send_bytes(pickle.dumps(Said(event)))


def _follow(task: Task, base: "ModelFamily", saved: "Checkpoint | None", group: "Group") -> None:
    from modelgenerator.training.teach import follow

    follow(
        task.plan,
        task.dataset,
        base,
        task.folder,
        cache=task.cache,
        resume_from=saved,
        steps_behind=task.steps_behind,
        ranks=group,
    )


def _trouble(error: Exception) -> Trouble:
    from modelgenerator.training.out_of_memory import is_out_of_memory
    from modelgenerator.training.parallel.group import LostContactError

    if isinstance(error, ModelGeneratorError):
        return Refused(error)
    if isinstance(error, LostContactError):
        return LostContact(str(error))
    if is_out_of_memory(error):
        return OutOfMemory(str(error))
    return Broke("".join(traceback.format_exception(error)))
