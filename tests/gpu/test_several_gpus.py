"""Trainings divided among GPUs, on a machine that has two."""

import dataclasses
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import load_file

from modelgenerator.content_cache import ContentCache
from modelgenerator.datasets.prepare import PreparedDataset
from modelgenerator.diffusion.family import ModelFamily
from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.errors import TrainingProcessFailed
from modelgenerator.training import teach
from modelgenerator.training.events import Event, Finished, StepFinished
from modelgenerator.training.parallel import together
from modelgenerator.training.plan import TrainingPlan

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices"),
]


@pytest.fixture
def both(
    found: Callable[[str], BaseModelFiles],
    photos: PreparedDataset,
    tmp_path: Path,
) -> Callable[..., Iterator[Event]]:
    def begin(planned: TrainingPlan, folder: Path) -> Iterator[Event]:
        folder.mkdir()
        divided = dataclasses.replace(planned, processes=2)
        cache = ContentCache(tmp_path / "cache")
        return together.teach(divided, photos, found("SD"), folder, cache=cache)

    return begin


@pytest.mark.parametrize("dtype", ["fp32", "bf16", "fp16"])
def test_two_gpus_learn_what_one_learns(
    dtype: str,
    plan: Callable[..., TrainingPlan],
    base: Callable[..., ModelFamily],
    both: Callable[..., Iterator[Event]],
    photos: PreparedDataset,
    tmp_path: Path,
):
    planned = plan("SD", dtype)
    (tmp_path / "one").mkdir()
    cache = ContentCache(tmp_path / "cache")
    one = list(teach.teach(planned, photos, base("SD", dtype), tmp_path / "one", cache=cache))
    two = list(both(planned, tmp_path / "two"))
    within = 1e-3 if dtype == "fp32" else 2e-2
    assert _losses(two) == pytest.approx(_losses(one), rel=within)
    assert isinstance(two[-1], Finished)
    assert all(values.isfinite().all() for values in load_file(two[-1].lora_file).values())


def test_a_killed_process_ends_the_training(
    plan: Callable[..., TrainingPlan], both: Callable[..., Iterator[Event]], tmp_path: Path
):
    events = both(plan("SD", epochs=100), tmp_path / "out")
    for event in events:
        if isinstance(event, StepFinished):
            break
    ranks = sorted(psutil.Process().children(), key=lambda child: child.pid)
    os.kill(ranks[-1].pid, signal.SIGKILL)
    with pytest.raises(TrainingProcessFailed, match="SIGKILL"):
        list(events)
    assert psutil.Process().children() == []


def _losses(events: list[Event]) -> list[float]:
    return [event.loss for event in events if isinstance(event, StepFinished)]


def test_who_starts_several_processes_leaves_the_gpus_to_them():
    code = (
        "import torch; from modelgenerator.training.this_machine import this_machine; "
        "assert this_machine(2).kind == 'cuda'; assert not torch.cuda.is_initialized()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
