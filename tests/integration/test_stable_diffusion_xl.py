"""SDXL from photos to pictures, on a tiny pipeline, compared with diffusers' own."""

import dataclasses
import json
import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionXLPipeline
from safetensors import safe_open
from safetensors.torch import load_file
from tests.examples import plan_for
from tests.tiny_xl import FIRST_WIDTH, SECOND_WIDTH, save_tiny_stable_diffusion_xl
from torch import Tensor

from modelgenerator.content_cache import ContentCache
from modelgenerator.datasets.prepare import PreparedDataset
from modelgenerator.diffusion import hub
from modelgenerator.diffusion.detection import FamilyName
from modelgenerator.diffusion.family import ModelFamily
from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.diffusion.load import load
from modelgenerator.diffusion.picture_request import PictureRequest
from modelgenerator.errors import BaseModelUnsupported
from modelgenerator.lora import files
from modelgenerator.lora.inject import LoraNetwork, choose_targets
from modelgenerator.training import checkpoint
from modelgenerator.training.events import Event, Finished, StepFinished
from modelgenerator.training.plan import TrainingPlan
from modelgenerator.training.teach import teach

Planner = Callable[..., TrainingPlan]
Teacher = Callable[..., Iterator[Event]]
Loader = Callable[[BaseModelFiles], ModelFamily]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_stable_diffusion_xl(tmp_path_factory.mktemp("base") / "xl")


@pytest.fixture(scope="module")
def found(folder: Path) -> BaseModelFiles:
    return hub.look_at(str(folder))


@pytest.fixture(scope="module")
def base(found: BaseModelFiles, load_files: Loader) -> ModelFamily:
    """Not to be changed: all tests share it."""
    return load_files(found)


@pytest.fixture
def pipeline(folder: Path) -> Iterator[StableDiffusionXLPipeline]:
    loaded = StableDiffusionXLPipeline.from_pretrained(folder, add_watermarker=False)
    loaded.set_progress_bar_config(disable=True)
    # it reports LoRA weights in the text encoder as "newly initialized"
    logger = logging.getLogger("transformers.modeling_utils")
    level = logger.level
    logger.setLevel(logging.ERROR)
    yield loaded
    logger.setLevel(level)


@pytest.fixture
def plan(photos: PreparedDataset, found: BaseModelFiles) -> Planner:
    """Two epochs of three steps, unless settings say otherwise."""

    def make(**settings: object) -> TrainingPlan:
        small = {"resolution": 64, "epochs": 2, "batchSize": 2, "networkDim": 4}
        resolved = plan_for(photos, found, **{**small, "captionPrefix": "lvff", **settings})
        return dataclasses.replace(resolved, sample_steps=2)

    return make


@pytest.fixture
def taught(
    photos: PreparedDataset, base: ModelFamily, tmp_path_factory: pytest.TempPathFactory
) -> Teacher:
    cache = ContentCache(tmp_path_factory.mktemp("cache"))

    def teach_it(plan: TrainingPlan, folder: Path, **more: Any) -> Iterator[Event]:
        folder.mkdir(exist_ok=True)
        return teach(plan, photos, more.pop("base", base), folder, cache=cache, **more)

    return teach_it


def lora_of(events: Iterator[Event]) -> Path:
    *_, last = events
    assert isinstance(last, Finished)
    return last.lora_file


def request(**wishes: Any) -> PictureRequest:
    usual = {"prompt": "lvff at sea", "negative_prompt": "", "width": 64, "height": 64}
    more = {"steps": 3, "guidance_scale": 5.0, "seed": 7}
    return PictureRequest(**{**usual, **more, **wishes})


def drawn(base: ModelFamily, **wishes: Any) -> Tensor:
    """pixels_HW3 in 0..1"""
    return torch.from_numpy(np.asarray(base.draw([request(**wishes)])[0]).copy()) / 255


def drawn_by_diffusers(
    pipeline: StableDiffusionXLPipeline, negative_prompt: str | None = None
) -> Tensor:
    noise_1CHW = torch.randn((1, 4, 8, 8), generator=torch.Generator().manual_seed(7))
    pixels_13HW = pipeline(
        prompt="lvff at sea",
        negative_prompt=negative_prompt,
        width=64,
        height=64,
        num_inference_steps=3,
        guidance_scale=5.0,
        latents=noise_1CHW,
        output_type="pt",
    ).images
    return pixels_13HW[0].permute(1, 2, 0)


ROUNDED = 1 / 255
"""Our pictures have 256 shades."""


def test_it_is_recognised_and_can_be_trained(found: BaseModelFiles):
    assert (found.family, found.native_size) == (FamilyName.STABLE_DIFFUSION_XL, 64)
    assert found.size_step == 32


# --- what the denoiser is told


def test_the_denoiser_is_asked_as_in_diffusers_own_pipeline(
    base: ModelFamily, pipeline: StableDiffusionXLPipeline
):
    asked: dict[str, Any] = {}

    def remember(_: Any, positional: tuple[Any, ...], named: dict[str, Any]) -> None:
        asked.update(latents_BCHW=positional[0], times=positional[1], **named)

    told = pipeline.unet.register_forward_pre_hook(remember, with_kwargs=True)
    answers: list[Tensor] = []
    heard = pipeline.unet.register_forward_hook(lambda *call: answers.append(call[-1][0]))
    pipeline(
        prompt="a cat",
        width=96,
        height=64,
        original_size=(480, 640),
        crops_coords_top_left=(3, 17),
        target_size=(64, 96),
        num_inference_steps=1,
        guidance_scale=1.0,
        generator=torch.Generator().manual_seed(1),
        output_type="latent",
    )
    told.remove()
    heard.remove()

    framing_B6 = torch.tensor([[480.0, 640.0, 3.0, 17.0, 64.0, 96.0]])
    conditioning = base.encode_prompts(base.tokenize(["a cat"]))
    with torch.no_grad():
        ours = base.predict(
            asked["latents_BCHW"], asked["times"].reshape(1), conditioning, framing_B6
        )
    torch.testing.assert_close(ours, answers[0], rtol=0, atol=1e-5)
    assert torch.equal(asked["added_cond_kwargs"]["time_ids"], framing_B6)
    elsewhere = framing_B6 + torch.tensor([0, 0, 8, 0, 0, 0])
    with torch.no_grad():
        other = base.predict(
            asked["latents_BCHW"], asked["times"].reshape(1), conditioning, elsewhere
        )
    assert not torch.equal(ours, other)


def test_both_text_encoders_are_read_and_each_through_its_own_tokenizer(base: ModelFamily):
    tokens = base.tokenize(["a cat"])
    assert not torch.equal(tokens["text_encoder"], tokens["text_encoder_2"])
    conditioning = base.encode_prompts(tokens)
    assert conditioning["states_BLD"].shape == (1, 77, FIRST_WIDTH + SECOND_WIDTH)
    assert conditioning["summary_BD"].shape == (1, SECOND_WIDTH)


@pytest.mark.parametrize("negative", ["", "ugly"])
@pytest.mark.parametrize("is_zero", [True, False])
def test_it_draws_what_diffusers_draws(
    folder: Path, tmp_path: Path, load_files: Loader, negative: str, is_zero: bool
):
    """An empty negative prompt is zeros, or the words of nobody, as the base model says."""
    place = Path(shutil.copytree(folder, tmp_path / "xl"))
    index = json.loads((place / "model_index.json").read_text())
    index["force_zeros_for_empty_prompt"] = is_zero
    (place / "model_index.json").write_text(json.dumps(index))
    pipeline = StableDiffusionXLPipeline.from_pretrained(place, add_watermarker=False)
    pipeline.set_progress_bar_config(disable=True)
    theirs = drawn_by_diffusers(pipeline, negative or None)
    ours = drawn(load_files(hub.look_at(str(place))), negative_prompt=negative)
    assert (ours - theirs).abs().max() <= ROUNDED


def test_it_computes_in_half_precision_and_its_autoencoder_does_not(
    found: BaseModelFiles, base: ModelFamily
):
    assert found.folder is not None
    half = load(
        found.folder,
        found.family,
        variant=None,
        device=torch.device("cpu"),
        dtype=torch.bfloat16,
    )
    pixels_B3HW = torch.rand((1, 3, 64, 64), generator=torch.Generator().manual_seed(1)) * 2 - 1
    latents_BCHW = half.encode_pictures(pixels_B3HW).mean_BCHW
    assert torch.equal(latents_BCHW, base.encode_pictures(pixels_B3HW).mean_BCHW)
    framing_B6 = torch.tensor([[64.0, 64.0, 0.0, 0.0, 64.0, 64.0]])
    with torch.no_grad():
        whole, halved = (
            one.predict(
                latents_BCHW,
                torch.tensor([500]),
                one.encode_prompts(one.tokenize(["a cat"])),
                framing_B6,
            )
            for one in (base, half)
        )
    assert halved.dtype == torch.float32
    assert not torch.equal(halved, whole)
    assert (halved - whole).abs().max() < 0.1 * whole.abs().max()
    assert half.draw([request()])[0].size == (64, 64)


def test_a_picture_does_not_depend_on_the_negative_prompts_beside_it(base: ModelFamily):
    together = base.draw([request(), request(negative_prompt="ugly")])
    alone = [base.draw([request()])[0], base.draw([request(negative_prompt="ugly")])[0]]
    for one, other in zip(together, alone, strict=True):
        assert np.abs(np.asarray(one, int) - np.asarray(other, int)).max() <= 1
    assert np.asarray(alone[0]).tobytes() != np.asarray(alone[1]).tobytes()


# --- training


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("unet_only", [True, False])
def test_it_learns_and_the_file_says_what_was_trained(
    taught: Teacher,
    photos: PreparedDataset,
    load_files: Loader,
    tmp_path: Path,
    prediction_type: str,
    unet_only: bool,
):
    found = hub.look_at(
        str(save_tiny_stable_diffusion_xl(tmp_path / "base", prediction_type=prediction_type))
    )
    planned = plan_for(
        photos,
        found,
        **{"resolution": 64, "maxSteps": 2, "networkDim": 4, "trainUnetOnly": unet_only},
    )
    assert planned.prediction_type == prediction_type
    lora = lora_of(taught(planned, tmp_path / "out", base=load_files(found)))
    parts = {name.split("_")[1] for name in load_file(lora)}
    assert parts == ({"unet"} if unet_only else {"unet", "te1", "te2"})
    with safe_open(lora, "pt") as file:
        said = file.metadata()
    assert said["ss_base_model_version"] == "sdxl_base_v1-0"
    assert said["modelspec.architecture"] == "stable-diffusion-xl-v1-base/lora"


def test_a_layer_behind_the_penultimate_one_is_in_the_file_and_learns_nothing(
    plan: Planner, taught: Teacher, tmp_path: Path
):
    tensors = load_file(lora_of(taught(plan(optimizer="AdamW"), tmp_path / "out")))
    ups = {
        layer: tensors[f"lora_te1_text_model_encoder_layers_{layer}_mlp_fc1.lora_up.weight"]
        for layer in (0, 1, 2)
    }
    assert ups[0].any()
    assert ups[1].any()
    assert not ups[2].any()
    # the summary is made from all layers of the second encoder
    assert tensors["lora_te2_text_model_encoder_layers_2_mlp_fc1.lora_up.weight"].any()


def test_a_picture_is_learnt_with_how_it_was_framed(
    plan: Planner, taught: Teacher, tmp_path: Path, base: ModelFamily
):
    seen: list[Tensor] = []

    class Watched:
        def __getattr__(self, name: str) -> Any:
            return getattr(base, name)

        def predict(self, noised_BCHW: Tensor, *more: Any, **told: Any) -> Tensor:
            seen.extend(more[-1])
            return base.predict(noised_BCHW, *more, **told)

    lora_of(taught(plan(epochs=1), tmp_path / "out", base=Watched()))
    framings = {tuple(map(int, framing_6)) for framing_6 in seen}
    assert framings == {(64, 64, 0, 0, 64, 64), (64, 128, 8, 0, 32, 96)}


@pytest.mark.parametrize("unet_only", [True, False])
def test_stopped_and_resumed_it_makes_the_same_bytes(
    plan: Planner, taught: Teacher, tmp_path: Path, unet_only: bool
):
    planned = plan(
        trainUnetOnly=unet_only, captionDropout=0.4, sampleEvery=1, samplePrompts=["lvff"]
    )
    whole = lora_of(taught(planned, tmp_path / "whole")).read_bytes()
    events = taught(planned, tmp_path / "parts")
    for event in events:
        if isinstance(event, StepFinished) and event.step == 4:
            break
    events.close()  # type: ignore[attr-defined]
    saved = checkpoint.read(tmp_path / "parts", plan_digest=planned.digest)
    assert saved.step == 4
    rest = taught(planned, tmp_path / "parts", resume_from=saved)
    assert lora_of(rest).read_bytes() == whole


# --- the file


def trained_looking(base: ModelFamily, parts: tuple[str, ...], *targets: str) -> LoraNetwork:
    rules = base.lora_targets(targets)
    chosen = choose_targets(
        {part: base.lora_parts[part] for part in parts}, rules=rules, rank=20, alpha=9
    )
    network = LoraNetwork(chosen)
    g = torch.Generator().manual_seed(6)
    network.load_state(
        {k: 0.2 * torch.randn(v.shape, generator=g) for k, v in network.state().items()}
    )
    return network


ALL = ("text_encoder", "text_encoder_2", "unet")


@pytest.mark.parametrize(
    ("parts", "targets"),
    [
        (ALL, ("attention",)),
        (("unet",), ("attention",)),
        (ALL, ("attention", "convolutions")),
    ],
    ids=["all", "unet", "convolutions"],
)
def test_diffusers_draws_the_same_picture_with_the_lora(
    base: ModelFamily,
    pipeline: StableDiffusionXLPipeline,
    tmp_path: Path,
    parts: tuple[str, ...],
    targets: tuple[str, ...],
):
    path = tmp_path / "lora.safetensors"
    network = trained_looking(base, parts, *targets)
    files.save(path, network, names=base.lora_names, metadata={})
    before = drawn_by_diffusers(pipeline)
    ours = {"unet": pipeline.unet}
    ours |= {"text_encoder": pipeline.text_encoder, "text_encoder_2": pipeline.text_encoder_2}
    with files.applied(files.load(path), ours, names=base.lora_names):
        with_ours = drawn_by_diffusers(pipeline)
    pipeline.load_lora_weights(path)
    theirs = drawn_by_diffusers(pipeline)
    assert (theirs - before).abs().max() > 0.02  # the LoRA is seen
    assert (with_ours - theirs).abs().max() < 1e-3
    with files.applied(files.load(path), base.lora_parts, names=base.lora_names):
        assert (drawn(base) - theirs).abs().max() <= ROUNDED


def test_a_lora_of_ours_comes_back_as_it_was(base: ModelFamily, tmp_path: Path):
    path = tmp_path / "lora.safetensors"
    network = trained_looking(base, ALL, "attention")
    files.save(path, network, names=base.lora_names, metadata={})
    before = drawn(base)
    with files.applied(files.load(path), base.lora_parts, names=base.lora_names) as back:
        assert back.layers.keys() == network.layers.keys()
        assert not torch.equal(drawn(base), before)
    assert torch.equal(drawn(base), before)


# --- what cannot be used


def test_noise_of_another_kind_is_refused(tmp_path: Path, load_files: Loader):
    place = save_tiny_stable_diffusion_xl(tmp_path / "playground")
    config = place / "vae" / "config.json"
    shifted = {**json.loads(config.read_text()), "latents_mean": [0.0] * 4}
    config.write_text(json.dumps(shifted))
    with pytest.raises(BaseModelUnsupported, match="EDM"):
        load_files(hub.look_at(str(place)))
