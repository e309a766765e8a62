"""Samples while training: always comparable, and never the reason that a training ends."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from tests.examples import plan_for

from modelgenerator.content_cache import ContentCache
from modelgenerator.datasets.prepare import PreparedDataset
from modelgenerator.diffusion.family import ModelFamily
from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.diffusion.picture_request import PictureRequest
from modelgenerator.training.events import (
    EpochFinished,
    Event,
    Finished,
    Noticed,
    SampleReady,
    StepFinished,
)
from modelgenerator.training.plan import TrainingPlan
from modelgenerator.training.teach import teach

PROMPTS = ["lvff", "lvff at sea"]
Planner = Callable[..., TrainingPlan]
Teacher = Callable[..., list[Event]]


@pytest.fixture
def plan(photos: PreparedDataset, tiny_files: BaseModelFiles) -> Planner:
    """Two epochs of three steps, two samples after each."""

    def make(**settings: object) -> TrainingPlan:
        small = {"resolution": 64, "epochs": 2, "batchSize": 2, "networkDim": 4}
        samples = {"sampleEvery": 1, "samplePrompts": PROMPTS, "captionPrefix": "lvff"}
        resolved = plan_for(photos, tiny_files, **{**small, **samples, **settings})
        return dataclasses.replace(resolved, sample_steps=2)

    return make


@pytest.fixture(scope="module")
def teacher(
    photos: PreparedDataset, tiny_base: ModelFamily, tmp_path_factory: pytest.TempPathFactory
) -> Teacher:
    cache = ContentCache(tmp_path_factory.mktemp("cache"))

    def teach_it(plan: TrainingPlan, folder: Path, base: Any = tiny_base) -> list[Event]:
        folder.mkdir(exist_ok=True)
        return list(teach(plan, photos, base, folder, cache=cache))

    return teach_it


class Painter:
    """A base model that remembers what it drew, and fails where it is told to."""

    def __init__(self, base: ModelFamily, failures: Sequence[Exception | None] = ()) -> None:
        self._base, self._failures = base, iter(failures)
        self.asked: list[PictureRequest] = []
        self.freed = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._base, name)

    def draw(self, requests: Sequence[PictureRequest]) -> list[Image.Image]:
        self.asked += requests
        if failure := next(self._failures, None):
            raise failure
        return self._base.draw(requests)

    def free_encoders(self, *, text: bool) -> None:
        self.freed += 1
        self._base.free_encoders(text=text)


def samples(events: Sequence[Event]) -> Iterator[SampleReady]:
    return (event for event in events if isinstance(event, SampleReady))


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "lora.safetensors")


def test_every_epoch_asks_for_the_same_pictures(
    plan: Planner, teacher: Teacher, tiny_base: ModelFamily, tmp_path: Path
):
    painter = Painter(tiny_base)
    teacher(plan(), tmp_path, painter)
    assert painter.asked[:2] == painter.asked[2:]
    assert [request.prompt for request in painter.asked[:2]] == PROMPTS
    assert painter.asked[0].seed != painter.asked[1].seed


def test_a_lora_that_does_not_change_draws_the_same_bytes_again(
    plan: Planner, teacher: Teacher, tmp_path: Path
):
    still = plan(optimizer="AdamW", learningRate=1e-30, weightDecay=0.0)
    drawn = [sample.file.read_bytes() for sample in samples(teacher(still, tmp_path))]
    assert drawn[:2] == drawn[2:]
    assert drawn[0] != drawn[1]


def test_a_lora_that_learns_draws_something_else_each_time(
    plan: Planner, teacher: Teacher, tmp_path: Path
):
    quick = plan(optimizer="AdamW", learningRate=0.05)
    drawn = [sample.file.read_bytes() for sample in samples(teacher(quick, tmp_path))]
    assert drawn[0] != drawn[2]


FULL = {
    "a GPU": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    "a CPU": RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
    "Python": MemoryError(),
}


@pytest.mark.parametrize("where", FULL)
def test_a_full_memory_ends_the_drawing_and_not_the_training(
    plan: Planner, teacher: Teacher, tiny_base: ModelFamily, tmp_path: Path, where: str
):
    without = plan(sampleEvery=None, samplePrompts=None)
    told_without = teacher(without, tmp_path / "without")
    painter = Painter(tiny_base, failures=[FULL[where]])
    told = teacher(plan(), tmp_path / "full", painter)

    assert isinstance(told[-1], Finished)
    assert [e for e in told if isinstance(e, StepFinished)] == [
        e for e in told_without if isinstance(e, StepFinished)
    ]
    one, other = tensors(tmp_path / "full"), tensors(tmp_path / "without")
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_what_is_not_drawn_is_told_and_tried_again_after_the_next_epoch(
    plan: Planner, teacher: Teacher, tiny_base: ModelFamily, tmp_path: Path
):
    painter = Painter(tiny_base, failures=[None, FULL["a GPU"]])
    told = teacher(plan(), tmp_path, painter)
    kept = [
        type(e) for e in told if isinstance(e, EpochFinished | SampleReady | Noticed | Finished)
    ]
    first, second = [EpochFinished, SampleReady, Noticed], [EpochFinished, SampleReady, SampleReady]
    assert kept == [*first, *second, Finished]
    notice = next(event.notice for event in told if isinstance(event, Noticed))
    assert (notice.level, notice.setting) == ("warning", "sampleEvery")
    assert "epoch 1 at 64 x 64" in notice.message


def test_the_rest_is_not_tried_and_the_encoders_give_their_memory_back(
    plan: Planner, teacher: Teacher, tiny_base: ModelFamily, tmp_path: Path
):
    painter = Painter(tiny_base, failures=[FULL["a GPU"], None, None])
    teacher(plan(), tmp_path, painter)
    assert [request.prompt for request in painter.asked] == [PROMPTS[0], *PROMPTS]
    assert painter.freed == 3  # after encoding, and after each epoch


def test_another_error_while_drawing_is_not_swallowed(
    plan: Planner, teacher: Teacher, tiny_base: ModelFamily, tmp_path: Path
):
    with pytest.raises(RuntimeError, match="shapes"):
        teacher(plan(), tmp_path, Painter(tiny_base, failures=[RuntimeError("shapes differ")]))
