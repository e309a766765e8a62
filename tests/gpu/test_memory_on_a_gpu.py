"""What is on the device, and when: only there can it be counted."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tests.examples import GPU, plan_for

from modelgenerator.content_cache import ContentCache
from modelgenerator.datasets.prepare import PreparedDataset
from modelgenerator.diffusion import hub
from modelgenerator.diffusion.aliases import BUILTIN
from modelgenerator.diffusion.family import ModelFamily
from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.diffusion.load import load, numbers_of
from modelgenerator.diffusion.weights import RUNTIME
from modelgenerator.generation.generate import generate
from modelgenerator.generation.memory import drawing_bytes
from modelgenerator.generation.wishes import plan_images
from modelgenerator.settings import ImageSettings
from modelgenerator.training.events import Started
from modelgenerator.training.latents import encode
from modelgenerator.training.memory import needs
from modelgenerator.training.plan import TrainingPlan
from modelgenerator.training.planning.fit import workload
from modelgenerator.training.teach import teach
from modelgenerator.training.transfer import ToHost, to_device

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
Planner = Callable[..., TrainingPlan]
Loader = Callable[..., ModelFamily]


def test_numbers_come_and_go_without_waiting():
    numbers_N = torch.arange(1000.0)
    torch.cuda.set_sync_debug_mode("error")
    try:
        there_N = to_device(numbers_N, torch.device("cuda"))
        copy = ToHost(there_N * 2)
        there_N.zero_()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert copy.read() == (numbers_N * 2).tolist()


@pytest.mark.parametrize("family", ["SD", "SDXL", "SD 3", "FLUX"])
def test_encoders_leave_the_device_when_all_is_encoded(
    family: str, plan: Planner, base: Loader, photos: PreparedDataset, tmp_path: Path
):
    loaded = base(family, "bf16")
    planned = plan(family, "bf16", trainUnetOnly=True)
    for _ in encode(planned, photos.pictures, loaded, ContentCache(tmp_path)):
        pass
    encoders = [part for name, part in loaded.lora_parts.items() if "text" in name]
    assert {p.device.type for part in encoders for p in part.parameters()} == {"cpu"}

    loaded.encode_prompts(loaded.tokenize(["lvff"]))  # they come back
    loaded.encode_pictures(torch.zeros(1, 3, 64, 64))
    before = torch.cuda.memory_allocated()
    loaded.free_encoders(text=True)
    size = sum(p.nbytes for part in encoders for p in part.parameters())
    assert before - torch.cuda.memory_allocated() >= size


def test_gradient_checkpointing_lowers_the_peak(
    plan: Planner, base: Loader, photos: PreparedDataset, tmp_path: Path
):
    def peak(planned: TrainingPlan, folder: Path) -> int:
        folder.mkdir()
        events = teach(planned, photos, base("SD", "bf16"), folder, cache=ContentCache(tmp_path))
        for event in events:
            if isinstance(event, Started):
                torch.cuda.reset_peak_memory_stats()
                before = torch.cuda.memory_allocated()
        return torch.cuda.max_memory_allocated() - before

    plain = plan("SD", "bf16", resolution=512, batchSize=4, maxSteps=2, trainUnetOnly=True)
    saving = dataclasses.replace(plain, gradient_checkpointing=True)
    assert peak(saving, tmp_path / "saving") < 0.8 * peak(plain, tmp_path / "plain")


def counted_anew() -> int:
    """Bytes that others have on the device; the peak is that of what comes now."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    return torch.cuda.memory_allocated()


def there(files: BaseModelFiles, dtype: str) -> ModelFamily:
    """On the device."""
    assert files.folder is not None
    device = torch.device("cuda")
    return load(
        files.folder, files.family, variant=files.variant, device=device, dtype=numbers_of(dtype)
    )


@pytest.mark.parametrize("side", [64, 512])
def test_a_picture_takes_no_more_memory_than_it_is_placed_by(side: int):
    files: BaseModelFiles = hub.look_at(BUILTIN)
    others = counted_anew()
    loaded = there(files, "fp16")
    wish = ImageSettings.from_written({"prompt": "a creature", "width": side, "height": side})
    list(generate(plan_images([wish], files), loaded, None))
    peak = torch.cuda.max_memory_allocated() - others + RUNTIME["cuda"]
    assert peak <= drawing_bytes(files, "fp16", width=side, height=side)


def test_a_training_takes_the_memory_that_its_plan_announces(
    photos: PreparedDataset, tmp_path: Path
):
    files: BaseModelFiles = hub.look_at(BUILTIN)
    planned = plan_for(
        photos, files, GPU, baseModel=BUILTIN, resolution=256, batchSize=4, maxSteps=2
    )
    estimate = needs(files, workload(planned, "cuda"), checkpointing=False)
    assert estimate is not None
    others = counted_anew()
    loaded = there(files, planned.compute_dtype)
    for _ in teach(planned, photos, loaded, tmp_path, cache=ContentCache(tmp_path)):
        pass
    peak = torch.cuda.max_memory_allocated() - others + RUNTIME["cuda"]
    assert estimate.peak == pytest.approx(peak, rel=0.2)
