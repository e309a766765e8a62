"""What one batch shows, of a base model that learns a flow; the rest is seen in trainings."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.examples import plan_for
from torch import Tensor

from modelgenerator.content_cache import ContentCache
from modelgenerator.datasets.prepare import PreparedDataset
from modelgenerator.diffusion.family import ModelFamily
from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.diffusion.noising import FlowNoising
from modelgenerator.lora.inject import injected
from modelgenerator.training.latents import EncodedDataset, encode
from modelgenerator.training.objective import Objective
from modelgenerator.training.order import Visit
from modelgenerator.training.randomness import Purpose, Randomness
from modelgenerator.training.timesteps import DENSITIES, LevelFacts

VISITS = [Visit(0, 7), Visit(1, 8)]


@pytest.fixture(scope="module")
def flowing(
    tiny_files: BaseModelFiles, load_files: Callable[[BaseModelFiles], ModelFamily]
) -> ModelFamily:
    """The tiny U-Net, taught as a flow whose scheduler shifts by 3."""
    base = load_files(tiny_files)
    base._noising = FlowNoising(3.0)  # type: ignore[attr-defined]
    return base


@pytest.fixture
def objective(
    flowing: ModelFamily, photos: PreparedDataset, tiny_files: BaseModelFiles
) -> Callable[..., Objective]:
    def encoded(plan) -> EncodedDataset:
        events = encode(plan, photos.pictures, flowing, ContentCache(None))
        while True:
            try:
                next(events)
            except StopIteration as end:
                return end.value

    def make(density: str, **settings: object) -> Objective:
        plan = plan_for(photos, tiny_files, resolution=64, networkDim=4, **settings)
        plan = dataclasses.replace(plan, timestep_sampling=density)
        with injected(
            {"unet": flowing.lora_parts["unet"]},
            rules=flowing.lora_targets(plan.network_targets),
            rank=4,
            alpha=4.0,
            draw=lambda _name, shape: torch.ones(shape),
        ) as network:
            return Objective(
                plan=plan,
                dataset=encoded(plan),
                base=flowing,
                network=network,
                randomness=Randomness(plan.seed),
            )

    return make


@pytest.fixture
def shown_times(flowing: ModelFamily, monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """The times that the base model is asked at."""
    times: list[Tensor] = []
    predict = flowing.predict

    def recorded(noised_BCHW: Tensor, times_B: Tensor, *others: Any, **named: Any) -> Tensor:
        times.append(times_B)
        return predict(noised_BCHW, times_B, *others, **named)

    monkeypatch.setattr(flowing, "predict", recorded)
    return times


@pytest.mark.parametrize("density", ["sigma", "uniform", "sigmoid", "shift", "flux_shift"])
def test_the_timestep_sampling_reaches_the_base_model(
    objective: Callable[..., Objective], shown_times: list[Tensor], density: str
):
    objective(density).loss(VISITS)
    chance_B = torch.stack([Randomness(1).uniform(Purpose.TIMESTEP, v.number) for v in VISITS])
    # 64 x 64 pixels are 8 x 8 places on the latent grid, and 16 tokens of four
    facts = LevelFacts(latent_tokens=16, scheduler_shift=3.0)
    torch.testing.assert_close(shown_times[0], 1000 * DENSITIES[density](chance_B, facts))


@pytest.mark.parametrize("loss", ["L2", "Huber", "SmoothL1"])
@pytest.mark.parametrize("density", ["sigma", "flux_shift"])
def test_every_loss_of_a_flow_is_finite(
    objective: Callable[..., Objective], density: str, loss: str
):
    assert math.isfinite(objective(density, lossType=loss, huberC=0.1).loss(VISITS).item())


def test_validation_visits_levels_that_stand_for_all_of_training(
    objective: Callable[..., Objective], shown_times: list[Tensor]
):
    objective("uniform", validationSplit=0.3).validation_loss()
    assert len(shown_times) == 2  # pictures
    for times_B in shown_times:
        torch.testing.assert_close(times_B, torch.tensor([125.0, 375.0, 625.0, 875.0]))


def test_the_loss_of_a_sample_does_not_depend_on_its_batch(objective: Callable[..., Objective]):
    made = objective("sigmoid", multiresNoiseIterations=4, noiseOffset=0.2, lossType="Huber")
    apart = [made.loss([visit]).item() for visit in VISITS]
    assert made.loss(VISITS).item() == pytest.approx(sum(apart) / 2, rel=1e-5)
