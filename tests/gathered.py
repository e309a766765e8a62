"""Processes that train together, played by threads of one process that torch really connects.

In: a plan, its pictures, a base model.  Out: what the first of them leaves.  Each has a base model
of its own and the collectives are gloo's; only the process around them is the test's, so that
nothing is started and loaded again for every case.
"""

import copy
import dataclasses
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import torch.distributed as dist
from safetensors.torch import load_file
from torch import Tensor

from modelgenerator.content_cache import ContentCache
from modelgenerator.datasets.prepare import PreparedDataset
from modelgenerator.diffusion.family import ModelFamily
from modelgenerator.training.checkpoint import Checkpoint
from modelgenerator.training.events import Event, Finished, StepFinished
from modelgenerator.training.parallel.group import Group
from modelgenerator.training.plan import TrainingPlan
from modelgenerator.training.teach import follow, teach


def side_by_side(count: int, work: Callable[[Group], None]) -> None:
    """`work` in so many threads, each as one process of a group; raises what the first raised."""
    store, errors = dist.HashStore(), dict[int, BaseException]()

    def one(rank: int) -> None:
        try:
            gloo = dist.ProcessGroupGloo(store, rank, count, timedelta(seconds=60))
            work(Group(gloo, store, rank, count))
        except BaseException as error:  # noqa: BLE001  the test's thread raises it
            errors[rank] = error

    threads = [threading.Thread(target=one, args=(rank,)) for rank in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[min(errors)]


def taught_by(
    count: int,
    plan: TrainingPlan,
    photos: PreparedDataset,
    base: ModelFamily,
    folder: Path,
    *,
    until: int | None = None,
    resume_from: Checkpoint | None = None,
) -> list[Event]:
    """All events; `until` closes the training after so many steps, as Ctrl-C does."""
    plan = dataclasses.replace(plan, processes=count)
    folder.mkdir(exist_ok=True)
    said: list[Event] = []

    def work(group: Group) -> None:
        words = (plan, photos, copy.deepcopy(base), folder)
        more = {"cache": ContentCache(folder / "cache"), "resume_from": resume_from}
        if group.rank:
            follow(*words, **more, ranks=group)
        else:
            said.extend(_until(teach(*words, **more, ranks=group), until))

    side_by_side(count, work)
    return said


def _until(events: Iterator[Event], step: int | None) -> Iterator[Event]:
    for event in events:
        yield event
        if isinstance(event, StepFinished) and event.step == step:
            break
    events.close()  # type: ignore[attr-defined]


def lora_of(events: list[Event]) -> dict[str, Tensor]:
    """The numbers of the finished LoRA."""
    assert isinstance(events[-1], Finished)
    return load_file(events[-1].lora_file)


def losses_of(events: list[Event]) -> list[float]:
    return [event.loss for event in events if isinstance(event, StepFinished)]
