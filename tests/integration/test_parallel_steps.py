"""Steps that several processes share are those of one; the processes here are threads.

How near they come is measured on the values in fp32, before the file rounds them: sums are added up
in another order, nothing else.
"""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.examples import plan_for
from tests.gathered import losses_of, side_by_side, taught_by
from torch import Tensor

from modelgenerator.datasets.masks import MaskShades
from modelgenerator.datasets.prepare import Preparation, PreparedDataset, prepare
from modelgenerator.diffusion.family import ModelFamily
from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.errors import TrainingDiverged, TrainingProcessFailed
from modelgenerator.training import checkpoint
from modelgenerator.training.events import StepFinished
from modelgenerator.training.parallel.group import Group
from modelgenerator.training.plan import TrainingPlan

MOST_APART = 1e-5
"""Of any value of the LoRA after all steps; the values are up to 0.25, and move by up to 0.1."""
Planner = Callable[..., TrainingPlan]


@pytest.fixture(scope="module")
def masked_photos(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    """Pictures of two buckets, whose masks weigh from a little to nearly everything."""
    folder = tmp_path_factory.mktemp("photos")
    chance = np.random.default_rng(0)
    for number, width in enumerate((64, 64, 64, 128, 128)):
        pixels_HW3 = chance.integers(0, 256, (64, width, 3), dtype=np.uint8)
        Image.fromarray(pixels_HW3).save(folder / f"{number}.png")
        mask_HW = np.zeros((64, width), np.uint8)
        mask_HW[:, : 8 + 12 * number] = 200 + number
        Image.fromarray(mask_HW).save(folder / f"{number}.mask.png")
    return prepare(folder, Preparation(caption_prefix="lvff", shades=MaskShades()))


@pytest.fixture
def plan(masked_photos: PreparedDataset, tiny_files: BaseModelFiles) -> Planner:
    def make(**settings: object) -> TrainingPlan:
        small = {"resolution": 64, "epochs": 2, "batchSize": 2, "networkDim": 4}
        planned = plan_for(
            masked_photos, tiny_files, **{**small, "captionPrefix": "lvff", **settings}
        )
        return dataclasses.replace(planned, sample_steps=2)

    return make


def learnt(folder: Path, plan: TrainingPlan) -> Mapping[str, Tensor]:
    return checkpoint.read(folder, plan_digest=plan.digest).network


@pytest.mark.parametrize(
    ("count", "settings"),
    [
        (2, {"optimizer": "AdamW"}),
        (2, {"d0": 1e-4}),
        (2, {"d0": 1e-4, "maskedLoss": True, "maskNormalization": False, "trainUnetOnly": True}),
        (2, {"batchSize": 3, "gradientAccumulation": 2, "maskedLoss": True, "d0": 1e-4}),
        (3, {"batchSize": 4, "d0": 1e-4, "flipAug": True, "noiseOffset": 0.1}),
        (3, {"optimizer": "AdamW", "gradientAccumulation": 3, "priorPreservation": 1.0}),
    ],
    ids=["AdamW", "Prodigy", "masks", "unlike shares", "three", "added up"],
)
def test_several_processes_learn_what_one_learns(
    plan: Planner,
    masked_photos: PreparedDataset,
    tiny_base: ModelFamily,
    tmp_path: Path,
    count: int,
    settings: dict[str, object],
):
    planned = plan(**settings)
    end = planned.total_steps
    one = taught_by(1, planned, masked_photos, tiny_base, tmp_path / "one", until=end)
    more = taught_by(count, planned, masked_photos, tiny_base, tmp_path / "more", until=end)
    assert losses_of(more) == pytest.approx(losses_of(one), rel=1e-6)
    assert _norms(more) == pytest.approx(_norms(one), rel=1e-5)
    for name, values in learnt(tmp_path / "one", planned).items():
        other = learnt(tmp_path / "more", planned)[name]
        torch.testing.assert_close(other, values, atol=MOST_APART, rtol=0)


def _norms(events: list[object]) -> list[float]:
    return [event.gradient_norm for event in events if isinstance(event, StepFinished)]


def test_all_processes_find_that_a_training_diverged(
    plan: Planner, masked_photos: PreparedDataset, tiny_base: ModelFamily, tmp_path: Path
):
    planned = plan(optimizer="AdamW", learningRate=1e38, scheduler="Constant")
    with pytest.raises(TrainingDiverged):
        taught_by(2, planned, masked_photos, tiny_base, tmp_path / "out")


def test_processes_that_hold_other_numbers_are_told_so():
    def work(group: Group) -> None:
        values_N = torch.arange(1000.0)
        group.require_same(values_N)
        values_N[7] = torch.nextafter(values_N[7], torch.tensor(9.0)) if group.rank else 7.0
        with pytest.raises(TrainingProcessFailed, match=r"different numbers[^-]+faulty\.$"):
            group.require_same(values_N)

    side_by_side(3, work)
