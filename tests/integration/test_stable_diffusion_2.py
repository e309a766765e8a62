"""Stable Diffusion 2 from photos to a LoRA, on a tiny pipeline, compared with diffusers' own."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors import safe_open
from tests.examples import plan_for
from tests.tiny import save_tiny_stable_diffusion

from modelgenerator.content_cache import ContentCache
from modelgenerator.datasets.prepare import PreparedDataset
from modelgenerator.diffusion import hub
from modelgenerator.diffusion.detection import FamilyName
from modelgenerator.diffusion.family import ModelFamily
from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.lora import files
from modelgenerator.training.events import Finished
from modelgenerator.training.teach import teach

Loader = Callable[[BaseModelFiles], ModelFamily]
KINDS = {
    "epsilon": ("sd_v2", "stable-diffusion-v2-512/lora"),
    "v_prediction": ("sd_v2_v", "stable-diffusion-v2-768-v/lora"),
}


@pytest.fixture(scope="module", params=KINDS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("base")
    return save_tiny_stable_diffusion(place, sd2=True, prediction_type=request.param)


@pytest.fixture(scope="module")
def found(folder: Path) -> BaseModelFiles:
    return hub.look_at(str(folder))


@pytest.fixture
def pipeline(folder: Path) -> Iterator[StableDiffusionPipeline]:
    loaded = StableDiffusionPipeline.from_pretrained(folder)
    loaded.set_progress_bar_config(disable=True)
    # it reports LoRA weights in the text encoder as "newly initialized"
    logger = logging.getLogger("transformers.modeling_utils")
    level = logger.level
    logger.setLevel(logging.ERROR)
    yield loaded
    logger.setLevel(level)


def picture(pipeline: StableDiffusionPipeline) -> torch.Tensor:
    pixels_13HW = pipeline(
        "lvff at sea",
        num_inference_steps=3,
        generator=torch.Generator().manual_seed(5),
        output_type="pt",
    ).images
    assert isinstance(pixels_13HW, torch.Tensor)
    return pixels_13HW


def test_it_is_recognised_as_version_2(found: BaseModelFiles):
    assert found.family is FamilyName.STABLE_DIFFUSION_2


def test_a_prompt_is_read_as_in_diffusers(
    found: BaseModelFiles, load_files: Loader, pipeline: StableDiffusionPipeline
):
    """Its encoder is cut to the last but one layer in the folder already: the last one is read."""
    base = load_files(found)
    ours_BLD = base.encode_prompts(base.tokenize(["lvff at sea"]))["states_BLD"]
    theirs_BLD, _ = pipeline.encode_prompt(
        "lvff at sea", torch.device("cpu"), 1, do_classifier_free_guidance=False
    )
    torch.testing.assert_close(ours_BLD, theirs_BLD)


def test_a_trained_lora_draws_the_same_picture_in_diffusers(
    found: BaseModelFiles,
    load_files: Loader,
    photos: PreparedDataset,
    pipeline: StableDiffusionPipeline,
    tmp_path: Path,
):
    strong = {"optimizer": "AdamW", "learningRate": 0.01, "maxSteps": 6}
    planned = plan_for(photos, found, **{"resolution": 64, "networkDim": 4, **strong})
    base = load_files(found)
    *_, last = teach(planned, photos, base, tmp_path, cache=ContentCache(tmp_path / "cache"))
    assert isinstance(last, Finished)
    with safe_open(last.lora_file, "pt") as file:
        said = file.metadata()
    kinds = (said["ss_base_model_version"], said["modelspec.architecture"])
    assert kinds == KINDS[found.prediction_type]
    assert said["ss_v2"] == "True"

    before = picture(pipeline)
    parts = {"unet": pipeline.unet, "text_encoder": pipeline.text_encoder}
    with files.applied(files.load(last.lora_file), parts, names=base.lora_names):
        ours = picture(pipeline)
    pipeline.load_lora_weights(last.lora_file)
    assert (ours - before).abs().max() > 0.02  # the LoRA is seen
    assert (ours - picture(pipeline)).abs().max() < 1e-3
