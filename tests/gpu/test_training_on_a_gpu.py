"""Trainings on a real device: they learn what a CPU learns, in half precision too, and go on."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from modelgenerator.content_cache import ContentCache
from modelgenerator.datasets.prepare import PreparedDataset
from modelgenerator.diffusion.family import ModelFamily
from modelgenerator.diffusion.picture_request import PictureRequest
from modelgenerator.lora import files
from modelgenerator.lora.files import applied
from modelgenerator.training import checkpoint
from modelgenerator.training.events import EpochFinished, Event, Finished, StepFinished
from modelgenerator.training.plan import TrainingPlan
from modelgenerator.training.teach import teach
from modelgenerator.training.this_machine import this_machine

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
FAMILIES = pytest.mark.parametrize("family", ["SD", "SDXL", "SD 3", "FLUX"])
Planner = Callable[..., TrainingPlan]
Loader = Callable[..., ModelFamily]
Teacher = Callable[..., Iterator[Event]]


@pytest.fixture
def taught(photos: PreparedDataset, tmp_path: Path) -> Teacher:
    cache = ContentCache(tmp_path / "cache")

    def teach_it(plan: TrainingPlan, base: ModelFamily, folder: str, **more: Any):
        (tmp_path / folder).mkdir(exist_ok=True)
        return teach(plan, photos, base, tmp_path / folder, cache=cache, **more)

    return teach_it


def losses(events: Sequence[Event]) -> list[float]:
    return [event.loss for event in events if isinstance(event, StepFinished)]


@FAMILIES
def test_losses_are_those_of_the_cpu(family: str, plan: Planner, base: Loader, taught: Teacher):
    planned = plan(family)
    on_cpu = losses(list(taught(planned, base(family, device="cpu"), "cpu")))
    on_gpu = losses(list(taught(planned, base(family), "gpu")))
    assert len(on_gpu) == 4
    assert on_gpu == pytest.approx(on_cpu, rel=1e-3)


# a plan never computes SD 3 and FLUX in fp16: their real ones overflow
@pytest.mark.parametrize(
    ("family", "dtype"),
    [*((f, "bf16") for f in ("SD", "SDXL", "SD 3", "FLUX")), ("SD", "fp16"), ("SDXL", "fp16")],
)
def test_half_precision_learns_pictures_by_heart(
    family: str, dtype: str, plan: Planner, base: Loader, taught: Teacher
):
    def trained(learning_rate: float) -> list[Event]:
        settings = {"epochs": 48, "batchSize": 4, "networkDim": 16, "learningRate": learning_rate}
        planned = plan(family, dtype, **settings)
        return list(taught(planned, base(family, dtype), str(learning_rate)))

    # the same noise at the same steps, once without learning: only that is compared
    events, still = trained(0.01), trained(1e-30)
    assert np.isfinite(losses(events)).all()
    assert sum(losses(events)[-12:]) < 0.97 * sum(losses(still)[-12:])
    assert all(layer.isfinite().all() for layer in _tensors(_folder(events) / "lora.safetensors"))


@pytest.mark.parametrize("dtype", ["fp32", "bf16", "fp16"])
def test_a_stopped_training_goes_on(dtype: str, plan: Planner, base: Loader, taught: Teacher):
    planned = plan("SD", dtype, epochs=4)
    whole = list(taught(planned, base("SD", dtype), "whole"))
    events = taught(planned, base("SD", dtype), "parts")
    for event in events:
        if isinstance(event, StepFinished) and event.step == 3:
            break
    events.close()  # type: ignore[attr-defined]
    folder = _folder(whole).parent / "parts"
    saved = checkpoint.read(folder, plan_digest=planned.digest)
    assert saved.step == 4  # one more was under way
    rest = list(taught(planned, base("SD", dtype), "parts", resume_from=saved))
    steps = [event.step for event in rest if isinstance(event, StepFinished)]
    assert steps == [5, 6, 7, 8]
    assert losses(rest) == pytest.approx(losses(whole)[4:], rel=1e-3 if dtype == "fp32" else 0.05)


@FAMILIES
def test_a_lora_loads_and_changes_what_is_drawn(
    family: str, plan: Planner, base: Loader, taught: Teacher
):
    planned = plan(family, "bf16", learningRate=0.05, epochs=4)
    events = list(taught(planned, base(family, "bf16"), "lora"))
    lora = files.load(_folder(events) / "lora.safetensors")
    fresh = base(family, "bf16")
    request = PictureRequest(
        prompt="lvff", negative_prompt="", width=64, height=64, steps=2, guidance_scale=3.0, seed=1
    )
    before = np.asarray(fresh.draw([request])[0])
    with applied(lora, fresh.lora_parts, names=fresh.lora_names):
        with_it = np.asarray(fresh.draw([request])[0])
    assert (with_it != before).any()
    assert (np.asarray(fresh.draw([request])[0]) == before).all()


def test_a_whole_step_waits_for_nothing(plan: Planner, base: Loader, taught: Teacher):
    planned = plan("SD", "bf16", epochs=8, trainUnetOnly=True)
    events = taught(planned, base("SD", "bf16"), "lora", checkpoint_seconds=1e9)
    for event in events:  # the first ones may compile and allocate
        if isinstance(event, EpochFinished) and event.epoch == 2:
            break
    torch.cuda.set_sync_debug_mode("error")
    try:
        assert isinstance(next(events), StepFinished)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def _folder(events: Sequence[Event]) -> Path:
    last = events[-1]
    assert isinstance(last, Finished)
    return last.lora_file.parent


def _tensors(file: Path) -> list[torch.Tensor]:
    from safetensors.torch import load_file

    return list(load_file(file).values())


def test_what_is_measured_here_is_kept_under_the_name_of_the_gpu():
    assert this_machine().kind_of_machine == torch.cuda.get_device_name()
