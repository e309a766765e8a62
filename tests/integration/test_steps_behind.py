"""Steps that are read while the next ones are computed, as on a GPU, shown on a CPU."""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.examples import plan_for
from torch import Tensor

from modelgenerator.content_cache import ContentCache
from modelgenerator.datasets.prepare import PreparedDataset
from modelgenerator.diffusion.family import Conditioning, ModelFamily
from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.errors import TrainingDiverged
from modelgenerator.training import checkpoint
from modelgenerator.training.events import (
    CheckpointSaved,
    EpochFinished,
    Event,
    Finished,
    StepFinished,
)
from modelgenerator.training.plan import TrainingPlan
from modelgenerator.training.teach import teach

Teacher = Callable[..., Iterator[Event]]
BEHIND = pytest.mark.parametrize("behind", [1, 2])


@pytest.fixture(scope="module")
def plan(photos: PreparedDataset, tiny_files: BaseModelFiles) -> TrainingPlan:
    """Two epochs of three steps."""
    small = {"resolution": 64, "epochs": 2, "batchSize": 2, "networkDim": 4, "trainUnetOnly": True}
    return plan_for(photos, tiny_files, captionPrefix="lvff", saveEvery=1, **small)


@pytest.fixture(scope="module")
def teacher(
    photos: PreparedDataset, tiny_base: ModelFamily, tmp_path_factory: pytest.TempPathFactory
) -> Teacher:
    cache = ContentCache(tmp_path_factory.mktemp("cache"))

    def teach_it(plan: TrainingPlan, folder: Path, **more: Any) -> Iterator[Event]:
        folder.mkdir(exist_ok=True)
        return teach(plan, photos, more.pop("base", tiny_base), folder, cache=cache, **more)

    return teach_it


@pytest.fixture(scope="module")
def whole(
    plan: TrainingPlan, teacher: Teacher, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[Event], bytes]:
    """What is said, and the LoRA, when every step is read at once."""
    return run(teacher(plan, tmp_path_factory.mktemp("whole")))


def run(events: Iterator[Event]) -> tuple[list[Event], bytes]:
    told = list(events)
    assert isinstance(told[-1], Finished)
    return told, told[-1].lora_file.read_bytes()


def steps_of(events: list[Event]) -> list[StepFinished | EpochFinished]:
    return [event for event in events if isinstance(event, StepFinished | EpochFinished)]


def stopped(events: Iterator[Event], after: int) -> list[Event]:
    told: list[Event] = []
    for event in events:
        told.append(event)
        if isinstance(event, StepFinished) and event.step == after:
            break
    events.close()  # type: ignore[attr-defined]
    return told


@BEHIND
def test_the_lora_and_all_that_is_said_of_its_steps_are_the_same(
    plan: TrainingPlan,
    teacher: Teacher,
    whole: tuple[list[Event], bytes],
    tmp_path: Path,
    behind: int,
):
    told, lora = run(teacher(plan, tmp_path, steps_behind=behind))
    assert lora == whole[1]
    assert [type(event) for event in told] == [type(event) for event in whole[0]]
    assert steps_of(told) == steps_of(whole[0])


def test_no_step_is_left_out_when_the_last_epoch_is_cut_short(
    plan: TrainingPlan, teacher: Teacher, tmp_path: Path
):
    short = dataclasses.replace(plan, total_steps=5)
    told, _ = run(teacher(short, tmp_path, steps_behind=1))
    assert [e.step for e in told if isinstance(e, StepFinished)] == [1, 2, 3, 4, 5]


def test_a_checkpoint_comes_after_all_the_steps_in_it(
    plan: TrainingPlan, teacher: Teacher, tmp_path: Path
):
    told, _ = run(teacher(plan, tmp_path, steps_behind=1, checkpoint_seconds=0))
    kept = [e for e in told if isinstance(e, StepFinished | CheckpointSaved)]
    assert [event.step for event in kept] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6]


@BEHIND
@pytest.mark.parametrize("after", [1, 2, 4])
def test_a_stopped_training_keeps_the_steps_that_were_not_told_and_goes_on_exactly(
    plan: TrainingPlan,
    teacher: Teacher,
    whole: tuple[list[Event], bytes],
    tmp_path: Path,
    behind: int,
    after: int,
):
    before = stopped(teacher(plan, tmp_path, steps_behind=behind), after)
    saved = checkpoint.read(tmp_path, plan_digest=plan.digest)
    # none is behind the end of an epoch
    ahead = min(behind, -after % 3)
    assert saved.step == after + ahead
    rest, lora = run(teacher(plan, tmp_path, resume_from=saved, steps_behind=behind))
    assert lora == whole[1]
    untold = range(after + 1, after + ahead + 1)
    assert steps_of(before) + steps_of(rest) == [
        e for e in steps_of(whole[0]) if not (isinstance(e, StepFinished) and e.step in untold)
    ]


class Faulty:
    """A base model whose denoiser answers NaN in one call."""

    def __init__(self, base: ModelFamily, bad_call: int) -> None:
        self._base, self._left = base, bad_call

    def __getattr__(self, name: str) -> Any:
        return getattr(self._base, name)

    def predict(
        self,
        noised_BCHW: Tensor,
        times_B: Tensor,
        prompts: Conditioning,
        framing_B6: Tensor,
        *,
        guidance: float = 1.0,
    ) -> Tensor:
        self._left -= 1
        answer_BCHW = self._base.predict(
            noised_BCHW, times_B, prompts, framing_B6, guidance=guidance
        )
        return answer_BCHW if self._left else answer_BCHW * torch.nan


@pytest.mark.parametrize("bad_step", [1, 2, 3, 5, 6])
def test_a_loss_that_is_no_number_names_its_own_step_and_reaches_no_file(
    plan: TrainingPlan, teacher: Teacher, tiny_base: ModelFamily, tmp_path: Path, bad_step: int
):
    def divergence(behind: int, folder: Path) -> TrainingDiverged:
        base = Faulty(tiny_base, bad_step)
        with pytest.raises(TrainingDiverged) as stop:
            list(teacher(plan, folder, base=base, steps_behind=behind))
        return stop.value

    at_once, behind = divergence(0, tmp_path / "at once"), divergence(1, tmp_path / "behind")
    assert behind.step == at_once.step == bad_step
    assert behind.pictures == at_once.pictures
    files = sorted(file.name for file in (tmp_path / "behind").iterdir())
    assert files == ["lora-epoch-0001.safetensors"] * (bad_step > 3)


def test_a_checkpoint_is_not_replaced_by_one_with_numbers_that_are_not_finite(
    plan: TrainingPlan, teacher: Teacher, tiny_base: ModelFamily, tmp_path: Path
):
    base = Faulty(tiny_base, 4)
    with pytest.raises(TrainingDiverged, match="at step 4"):
        list(teacher(plan, tmp_path, base=base, steps_behind=1, checkpoint_seconds=0))
    assert checkpoint.read(tmp_path, plan_digest=plan.digest).step == 3


def test_stopping_while_a_step_that_diverged_is_not_read_yet_keeps_none_of_it(
    plan: TrainingPlan, teacher: Teacher, tiny_base: ModelFamily, tmp_path: Path
):
    stopped(teacher(plan, tmp_path, base=Faulty(tiny_base, 2), steps_behind=1), after=1)
    assert not list(tmp_path.iterdir())


class Overflowing(Faulty):
    """A base model whose gradients are infinite in one call; its answers are not."""

    def predict(
        self,
        noised_BCHW: Tensor,
        times_B: Tensor,
        prompts: Conditioning,
        framing_B6: Tensor,
        *,
        guidance: float = 1.0,
    ) -> Tensor:
        self._left -= 1
        answer_BCHW = self._base.predict(
            noised_BCHW, times_B, prompts, framing_B6, guidance=guidance
        )
        if self._left == 0:
            answer_BCHW.register_hook(lambda gradient: gradient * torch.inf)
        return answer_BCHW


def test_a_step_that_half_precision_skips_is_skipped_all_the_same(
    plan: TrainingPlan, teacher: Teacher, tiny_base: ModelFamily, tmp_path: Path
):
    half = dataclasses.replace(plan, compute_dtype="fp16")  # scaled; a power of two is exact

    def trained(behind: int) -> tuple[list[float], bytes]:
        base = Overflowing(tiny_base, 2)
        told, lora = run(teacher(half, tmp_path / str(behind), base=base, steps_behind=behind))
        return [event.loss for event in told if isinstance(event, StepFinished)], lora

    assert trained(1) == trained(0)
