"""Trainings in several real processes: what they leave, how they end, and how they go on."""

import dataclasses
import os
import signal
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import load_file
from tests.examples import plan_for

from modelgenerator.content_cache import ContentCache
from modelgenerator.datasets.prepare import PreparedDataset
from modelgenerator.diffusion.family import ModelFamily
from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.errors import CannotResume, TrainingProcessFailed
from modelgenerator.training import checkpoint, checkpoint_files, teach
from modelgenerator.training.events import Event, Finished, StepFinished
from modelgenerator.training.parallel import together
from modelgenerator.training.plan import TrainingPlan

Training = Callable[..., Generator[Event, None, None]]
ROUNDED = 2.5e-4
"""Values up to 0.25 are written in half precision: one place of it."""


@pytest.fixture
def plan(photos: PreparedDataset, tiny_files: BaseModelFiles) -> TrainingPlan:
    """Two epochs of three steps, of two buckets and one step with a single picture."""
    planned = plan_for(
        photos,
        tiny_files,
        resolution=64,
        epochs=2,
        batchSize=2,
        networkDim=4,
        captionPrefix="lvff",
        d0=1e-4,
        sampleEvery=1,
        samplePrompts=["lvff"],
        saveEvery=1,
    )
    return dataclasses.replace(planned, sample_steps=2)


@pytest.fixture
def training(
    photos: PreparedDataset,
    tiny_files: BaseModelFiles,
    tiny_base: ModelFamily,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Training:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")  # one each
    cache = ContentCache(tmp_path / "cache")

    def begin(
        plan: TrainingPlan, folder: Path, processes: int = 2, *, resume: bool = False
    ) -> Generator[Event, None, None]:
        folder.mkdir(exist_ok=True)
        plan = dataclasses.replace(plan, processes=processes)
        saved = checkpoint.read(folder, plan_digest=plan.digest) if resume else None
        more = {"cache": cache, "resume_from": saved, "checkpoint_seconds": 0.0}
        if processes == 1:
            return teach.teach(plan, photos, tiny_base, folder, **more)
        return together.teach(plan, photos, tiny_files, folder, **more)

    return begin


@pytest.fixture
def whole(training: Training, plan: TrainingPlan, tmp_path: Path) -> list[Event]:
    """In one process, undisturbed."""
    return list(training(plan, tmp_path / "whole", 1))


def ranks() -> list[psutil.Process]:
    """Those that take part, the first of them first."""
    children = psutil.Process().children(recursive=True)
    found = [child for child in children if "rank_process" in " ".join(child.cmdline())]
    return sorted(found, key=lambda child: child.pid)


def until(events: Iterator[Event], step: int) -> None:
    for event in events:
        if isinstance(event, StepFinished) and event.step == step:
            return
    raise AssertionError("it ended before")


def require_like(one: list[Event], other: list[Event]) -> None:
    """Both have left the same LoRA, but for rounding."""
    assert isinstance(one[-1], Finished)
    assert isinstance(other[-1], Finished)
    torch.testing.assert_close(
        load_file(other[-1].lora_file), load_file(one[-1].lora_file), atol=ROUNDED, rtol=0
    )


def test_two_processes_tell_and_leave_what_one_does(
    training: Training, plan: TrainingPlan, whole: list[Event], tmp_path: Path
):
    events = list(training(plan, tmp_path / "two"))
    assert [type(event) for event in events] == [type(event) for event in whole]
    losses = [event.loss for event in events if isinstance(event, StepFinished)]
    expected = [event.loss for event in whole if isinstance(event, StepFinished)]
    assert losses == pytest.approx(expected, rel=1e-6)
    require_like(whole, events)
    left = {path.relative_to(tmp_path / "two") for path in (tmp_path / "two").rglob("*")}
    assert left == {
        path.relative_to(tmp_path / "whole") for path in (tmp_path / "whole").rglob("*")
    }
    assert ranks() == []


def test_a_killed_process_ends_the_training_and_one_goes_on_alone(
    training: Training, plan: TrainingPlan, whole: list[Event], tmp_path: Path
):
    folder = tmp_path / "out"
    events = training(plan, folder)
    until(events, 2)
    os.kill(ranks()[1].pid, signal.SIGKILL)
    with pytest.raises(TrainingProcessFailed, match=r"2 of 2 .* was ended by SIGKILL") as raised:
        list(events)
    assert "--" not in str(raised.value), "a server may tell it"
    assert ranks() == []
    kept = checkpoint.read(folder, plan_digest=plan.digest)
    assert 1 <= kept.step < plan.total_steps
    require_like(whole, list(training(plan, folder, 1, resume=True)))


def test_two_go_on_where_one_was_stopped(
    training: Training, plan: TrainingPlan, whole: list[Event], tmp_path: Path
):
    folder = tmp_path / "out"
    with closing(training(plan, folder, 1)) as alone:
        until(alone, 2)
    require_like(whole, list(training(plan, folder, resume=True)))


def test_the_error_of_a_process_is_the_error_of_the_training(
    training: Training, plan: TrainingPlan, tmp_path: Path
):
    folder = tmp_path / "out"
    with closing(training(plan, folder, 1)) as alone:
        until(alone, 1)
    events = training(plan, folder, resume=True)
    for name in checkpoint_files.NAMES:
        (folder / name).write_bytes(b"lost by the disk")
    with pytest.raises(CannotResume, match="is damaged, and so is the one before it"):
        list(events)
    assert ranks() == []
