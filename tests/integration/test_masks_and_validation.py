"""Trainings with masks, and trainings that measure themselves on pictures they do not see."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from tests.examples import plan_for
from torch import Tensor

from modelgenerator.content_cache import ContentCache
from modelgenerator.datasets.masks import MaskShades
from modelgenerator.datasets.prepare import Preparation, PreparedDataset, prepare
from modelgenerator.diffusion.family import ModelFamily
from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.lora.inject import injected
from modelgenerator.training import checkpoint
from modelgenerator.training.events import EpochFinished, Event, StepFinished, Validated
from modelgenerator.training.latents import EncodedDataset, encode
from modelgenerator.training.objective import Objective
from modelgenerator.training.order import Visit
from modelgenerator.training.plan import TrainingPlan
from modelgenerator.training.randomness import Randomness
from modelgenerator.training.teach import teach

Trainer = Callable[..., Iterator[Event]]
Planner = Callable[..., tuple[PreparedDataset, TrainingPlan]]
SMALL = {"resolution": 64, "epochs": 2, "batchSize": 2, "networkDim": 4, "captionPrefix": "lvff"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five squares of noise, the left half of each white in its mask."""
    photos = tmp_path / "photos"
    photos.mkdir()
    chance = np.random.default_rng(0)
    for number in range(5):
        pixels_HW3 = chance.integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels_HW3).save(photos / f"{number}.png")
    return photos


def write_masks(folder: Path, shades_HW: np.ndarray) -> None:
    for number in range(5):
        Image.fromarray(shades_HW.astype(np.uint8)).save(folder / f"{number}.mask.png")


@pytest.fixture
def planned(folder: Path, tiny_files: BaseModelFiles) -> Planner:
    def plan_it(**settings: Any) -> tuple[PreparedDataset, TrainingPlan]:
        masked = bool(settings.get("maskedLoss"))
        dataset = prepare(
            folder, Preparation(caption_prefix="lvff", shades=MaskShades() if masked else None)
        )
        return dataset, plan_for(dataset, tiny_files, **{**SMALL, **settings})

    return plan_it


@pytest.fixture
def trained(planned: Planner, tiny_base: ModelFamily, tmp_path: Path) -> Trainer:
    def train_it(output: Path, *, resume: bool = False, **settings: Any) -> Iterator[Event]:
        output.mkdir(exist_ok=True)
        dataset, plan = planned(**settings)
        saved = checkpoint.read(output, plan_digest=plan.digest) if resume else None
        cache = ContentCache(tmp_path / "cache")
        return teach(plan, dataset, tiny_base, output, cache=cache, resume_from=saved)

    return train_it


@pytest.fixture
def loss_and_gradient(
    planned: Planner, tiny_base: ModelFamily, tmp_path: Path
) -> Callable[..., tuple[float, Tensor]]:
    """Of the first batch, before anything was learnt."""

    def encoded(pictures: PreparedDataset, plan: TrainingPlan) -> EncodedDataset:
        cache = ContentCache(tmp_path / "cache")
        events = encode(plan, pictures.pictures, tiny_base, cache)
        while True:
            try:
                next(events)
            except StopIteration as end:
                return end.value

    def measure(**settings: Any) -> tuple[float, Tensor]:
        pictures, plan = planned(**settings)
        dataset, randomness = encoded(pictures, plan), Randomness(plan.seed)
        with injected(
            {part: tiny_base.lora_parts[part] for part in plan.parts},
            rules=tiny_base.lora_targets(plan.network_targets),
            rank=4,
            alpha=4.0,
            draw=lambda _name, shape: torch.ones(shape),
        ) as network:
            objective = Objective(
                plan=plan,
                dataset=dataset,
                base=tiny_base,
                network=network,
                randomness=randomness,
            )
            loss = objective.loss([Visit(0, 0), Visit(1, 1)])
            loss.backward()
            return loss.item(), network.gradients_N.clone()

    return measure


# --- masks


@pytest.mark.parametrize("normalization", [True, False])
@pytest.mark.parametrize("loss", ["L2", "Huber"])
def test_masks_of_ones_equal_no_masks(
    loss_and_gradient: Callable[..., tuple[float, Tensor]],
    folder: Path,
    loss: str,
    normalization: bool,
):
    plain, plain_N = loss_and_gradient(lossType=loss, huberC=0.1)
    write_masks(folder, np.full((64, 64), 255))
    masked, masked_N = loss_and_gradient(
        lossType=loss, huberC=0.1, maskedLoss=True, maskNormalization=normalization
    )
    assert masked == pytest.approx(plain, rel=1e-6)
    torch.testing.assert_close(masked_N, plain_N, rtol=1e-5, atol=1e-7)


def test_a_grey_mask_halves_the_loss_only_without_normalization(
    loss_and_gradient: Callable[..., tuple[float, Tensor]], folder: Path
):
    plain, _ = loss_and_gradient()
    write_masks(folder, np.full((64, 64), 51))
    masked, _ = loss_and_gradient(maskedLoss=True)
    weak, _ = loss_and_gradient(maskedLoss=True, maskNormalization=False)
    assert masked == pytest.approx(plain, rel=1e-6)
    assert weak == pytest.approx(plain / 5, rel=1e-6)


def test_masks_reach_what_is_learnt(trained: Trainer, folder: Path, tmp_path: Path):
    halves = np.zeros((64, 64))
    halves[:, :32] = 255
    write_masks(folder, halves)
    list(trained(tmp_path / "without", d0=1e-3))
    list(trained(tmp_path / "with", d0=1e-3, maskedLoss=True))
    one = load_file(tmp_path / "without" / "lora.safetensors")
    other = load_file(tmp_path / "with" / "lora.safetensors")
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_a_masked_training_can_be_resumed(trained: Trainer, folder: Path, tmp_path: Path):
    halves = np.zeros((64, 64))
    halves[:, :32] = 255
    write_masks(folder, halves)
    settings = {"maskedLoss": True, "flipAug": True, "validationSplit": 0.2}
    list(trained(tmp_path / "whole", **settings))
    events = trained(tmp_path / "parts", **settings)
    next(e for e in events if isinstance(e, StepFinished) and e.step == 3)
    events.close()  # type: ignore[attr-defined]
    list(trained(tmp_path / "parts", resume=True, **settings))
    parts, whole = (tmp_path / name / "lora.safetensors" for name in ("parts", "whole"))
    assert parts.read_bytes() == whole.read_bytes()


# --- validation


def validated(events: Iterator[Event]) -> dict[int, float]:
    return {event.epoch: event.loss for event in events if isinstance(event, Validated)}


def test_the_loss_is_measured_after_each_epoch(trained: Trainer, tmp_path: Path):
    events = list(trained(tmp_path / "run", validationSplit=0.4, epochs=3))
    assert list(validated(iter(events))) == [1, 2, 3]
    kinds = [type(event) for event in events if isinstance(event, EpochFinished | Validated)]
    assert kinds == [EpochFinished, Validated] * 3
    assert not validated(trained(tmp_path / "other"))


def test_measuring_changes_nothing_of_what_is_learnt(
    trained: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    list(trained(tmp_path / "measured", validationSplit=0.2))
    monkeypatch.setattr(Objective, "validation_loss", lambda _: 0.0)
    list(trained(tmp_path / "not", validationSplit=0.2))
    one = load_file(tmp_path / "measured" / "lora.safetensors")
    other = load_file(tmp_path / "not" / "lora.safetensors")
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_lora_that_learns_nothing_is_measured_alike_every_time(trained: Trainer, tmp_path: Path):
    losses = validated(
        trained(
            tmp_path / "run",
            validationSplit=0.4,
            optimizer="AdamW",
            learningRate=1e-30,
            epochs=3,
            trainUnetOnly=True,
        )
    )
    assert len(set(losses.values())) == 1


def test_what_is_kept_out_is_not_learnt(trained: Trainer, folder: Path, tmp_path: Path):
    list(trained(tmp_path / "one", validationSplit=0.2))
    dataset = prepare(folder, Preparation(caption_prefix="lvff"))
    (kept_out,) = plan_for(dataset, validationSplit=0.2).validation_pictures
    (folder / kept_out.name).unlink()
    list(trained(tmp_path / "other"))
    one = load_file(tmp_path / "one" / "lora.safetensors")
    other = load_file(tmp_path / "other" / "lora.safetensors")
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_file_names_no_picture_that_was_kept_out(trained: Trainer, tmp_path: Path):
    list(trained(tmp_path / "run", validationSplit=0.2))
    assert b".png" not in (tmp_path / "run" / "lora.safetensors").read_bytes()


def test_a_stop_while_measuring_measures_again(trained: Trainer, tmp_path: Path):
    settings = {"validationSplit": 0.2}
    whole = validated(trained(tmp_path / "whole", **settings))
    events = trained(tmp_path / "parts", **settings)
    next(event for event in events if isinstance(event, Validated))
    events.close()  # type: ignore[attr-defined]
    rest = validated(trained(tmp_path / "parts", resume=True, **settings))
    assert rest == whole


def test_a_caption_of_ten_thousand_letters_trains(trained: Trainer, folder: Path, tmp_path: Path):
    (folder / "0.txt").write_text("word " * 2000)
    events = list(trained(tmp_path / "run", epochs=1))
    assert sum(isinstance(event, StepFinished) for event in events) == 3


def test_pictures_that_are_kept_out_are_counted_in_no_step(trained: Trainer, tmp_path: Path):
    events = trained(tmp_path / "run", validationSplit=0.4, batchSize=1)
    assert sum(isinstance(event, StepFinished) for event in events) == 2 * 3
