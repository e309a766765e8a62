"""FLUX.1 and Stable Diffusion 3: tiny ones with random weights, beside diffusers' own pipelines."""

import dataclasses
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline, FluxPipeline, FluxTransformer2DModel
from PIL import Image
from safetensors.torch import load_file
from tests.examples import plan_for
from tests.tiny_flux import save_tiny_flux
from tests.tiny_sd3 import save_tiny_sd3
from torch import Tensor, nn

from modelgenerator.content_cache import ContentCache
from modelgenerator.datasets.prepare import PreparedDataset
from modelgenerator.diffusion import hub
from modelgenerator.diffusion.family import ModelFamily
from modelgenerator.diffusion.flux import TARGETS, packed, unpacked
from modelgenerator.diffusion.load import load as load_base_model
from modelgenerator.diffusion.picture_request import PictureRequest
from modelgenerator.errors import BaseModelUnsupported
from modelgenerator.lora.files import applied, load, save
from modelgenerator.lora.inject import LoraNetwork, choose_targets, find_targets
from modelgenerator.training import checkpoint
from modelgenerator.training.events import Finished, Started, StepFinished
from modelgenerator.training.plan import TrainingPlan
from modelgenerator.training.teach import teach

PROMPT = "lvff in the snow"
SIZE = {"width": 96, "height": 64}
MAKERS: dict[str, Callable[[Path], Path]] = {
    "FLUX dev": save_tiny_flux,
    "FLUX schnell": lambda folder: save_tiny_flux(folder, dev=False),
    "SD 3.5": save_tiny_sd3,
    "SD 3 without T5": lambda folder: save_tiny_sd3(folder, t5=False, medium=False),
}
T5_TOKENS = {"FLUX dev": 512, "FLUX schnell": 256, "SD 3.5": 256, "SD 3 without T5": 256}
EDITIONS = {
    "FLUX dev": "flux-1-dev",
    "FLUX schnell": "flux-1-schnell",
    "SD 3.5": "stable-diffusion-3-5-medium",
    "SD 3 without T5": "stable-diffusion-3-m",
}


@pytest.fixture(scope="module", params=MAKERS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Not to be changed: all tests share them."""
    return {kind: make(tmp_path_factory.mktemp("base")) for kind, make in MAKERS.items()}


@pytest.fixture(scope="module")
def folder(kind: str, folders: dict[str, Path]) -> Path:
    return folders[kind]


@pytest.fixture(scope="module")
def base(folder: Path) -> ModelFamily:
    """Not to be changed: all tests share it."""
    return loaded(folder)


@pytest.fixture
def pipeline(kind: str, folder: Path) -> Iterator[Any]:
    missing = {"text_encoder_3": None, "tokenizer_3": None} if kind == "SD 3 without T5" else {}
    its = DiffusionPipeline.from_pretrained(folder, **missing)
    its.set_progress_bar_config(disable=True)
    # it reports LoRA weights in the text encoder as "newly initialized"
    logger = logging.getLogger("transformers.modeling_utils")
    level = logger.level
    logger.setLevel(logging.ERROR)
    yield its
    logger.setLevel(level)


def loaded(folder: Path, **more: Any) -> ModelFamily:
    files = hub.look_at(str(folder))
    told = {"device": torch.device("cpu"), "dtype": torch.float32, **more}
    return load_base_model(folder, files.family, variant=None, **told)


def drawn(pipeline: Any, kind: str, **more: Any) -> Tensor:
    """By diffusers alone, `[3, height, width]` in 0..1."""
    chance = torch.Generator().manual_seed(5)
    told = {"num_inference_steps": 2, "guidance_scale": 3.5, "output_type": "pt", **SIZE, **more}
    length = T5_TOKENS[kind]
    return pipeline(PROMPT, generator=chance, max_sequence_length=length, **told).images[0]


def shades(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.asarray(image).copy()).float().permute(2, 0, 1)


def largest_difference(image: Image.Image, other_3HW: Tensor) -> float:
    """In shades of 0 to 255."""
    return (shades(image) - other_3HW).abs().max().item()


def plan_of(photos: PreparedDataset, folder: Path, **settings: Any) -> TrainingPlan:
    """Two epochs of three steps, unless settings say otherwise."""
    small = {
        "resolution": 64,
        "epochs": 2,
        "batchSize": 2,
        "networkDim": 4,
        "captionPrefix": "lvff",
    }
    files = hub.look_at(str(folder))
    plan = plan_for(photos, files, **{**small, "timestepSampling": "uniform", **settings})
    return dataclasses.replace(plan, sample_steps=1)


@pytest.fixture
def train(
    photos: PreparedDataset, base: ModelFamily, folder: Path, tmp_path: Path
) -> Callable[..., Path]:
    """The finished file of a training in a folder of that name."""

    def train_it(name: str, base: ModelFamily = base, **settings: Any) -> Path:
        place = tmp_path / name
        place.mkdir()
        plan = plan_of(photos, folder, **settings)
        *_, last = teach(plan, photos, base, place, cache=ContentCache(tmp_path / "cache"))
        assert isinstance(last, Finished)
        return last.lora_file

    return train_it


# --- the same numbers as diffusers


def test_the_denoiser_answers_as_in_diffusers_own_pipeline(
    kind: str, base: ModelFamily, pipeline: Any
):
    calls: list[tuple[dict[str, Any], Tensor]] = []
    pipeline.transformer.register_forward_hook(
        lambda _module, _args, told, answer: calls.append((told, answer[0])), with_kwargs=True
    )
    # Stable Diffusion 3 without guidance, so that no second prompt is in the batch
    guidance = 3.5 if kind.startswith("FLUX") else 1.0
    drawn(pipeline, kind, guidance_scale=guidance, output_type="latent")
    assert len(calls) == 2
    prompts = base.encode_prompts(base.tokenize([PROMPT]))
    for told, answer in calls:
        latents, times_B = told["hidden_states"], told["timestep"]
        if isinstance(pipeline, FluxPipeline):
            latents, answer = (unpacked(tokens, 8, 12) for tokens in (latents, answer))
            times_B = times_B * 1000
        ours = base.predict(latents, times_B, prompts, torch.zeros(1, 6), guidance=3.5)
        torch.testing.assert_close(ours, answer, atol=1e-5, rtol=1e-5)


def test_tokens_are_packed_as_in_diffusers():
    latents_BCHW = torch.arange(2 * 16 * 4 * 6).view(2, 16, 4, 6).float()
    theirs_BLC = FluxPipeline._pack_latents(latents_BCHW, 2, 16, 4, 6)
    assert torch.equal(packed(latents_BCHW), theirs_BLC)
    assert torch.equal(unpacked(theirs_BLC, 4, 6), latents_BCHW)


def test_pictures_are_encoded_and_decoded_as_in_diffusers(base: ModelFamily, pipeline: Any):
    pixels_B3HW = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(0)) * 2 - 1
    posterior = pipeline.vae.encode(pixels_B3HW).latent_dist
    config = pipeline.vae.config
    ours = base.encode_pictures(pixels_B3HW)
    shifted_BCHW = (posterior.mean - config.shift_factor) * config.scaling_factor
    torch.testing.assert_close(ours.mean_BCHW, shifted_BCHW)
    torch.testing.assert_close(ours.deviation_BCHW, posterior.std * config.scaling_factor)


def test_it_draws_what_diffusers_draws(kind: str, base: ModelFamily, pipeline: Any):
    negative = "" if kind.startswith("FLUX") else "summer"
    request = PictureRequest(
        prompt=PROMPT, negative_prompt=negative, steps=2, guidance_scale=3.5, seed=5, **SIZE
    )
    ours, again = base.draw([request, dataclasses.replace(request, seed=6)])
    theirs = drawn(pipeline, kind, **({"negative_prompt": negative} if negative else {}))
    assert largest_difference(ours, theirs * 255) <= 1
    assert largest_difference(ours, shades(again)) > 9
    assert largest_difference(base.draw([request])[0], shades(ours)) <= 1  # alone as among others


def test_captions_are_read_to_the_length_that_the_base_model_knows(kind: str, base: ModelFamily):
    tokens = base.tokenize(["a" * 2000, ""])
    lengths = {name: tuple(tokens_BL.shape) for name, tokens_BL in tokens.items()}
    clips = {"text_encoder": (2, 77)}
    if kind.startswith("SD"):
        clips["text_encoder_2"] = (2, 77)
    t5 = {f"text_encoder_{len(clips) + 1}": (2, T5_TOKENS[kind])}
    assert lengths == clips | ({} if kind == "SD 3 without T5" else t5)


def test_what_of_a_long_caption_is_not_read_is_told(kind: str, base: ModelFamily):
    room = T5_TOKENS[kind] - 1  # for the mark at the end
    if kind == "SD 3 without T5":
        room = 75
    assert base.unseen("a " * 20) is None
    unseen = base.unseen("b" * 600)
    assert unseen is not None
    assert unseen.room == room


def test_the_shift_of_its_own_noise_levels_is_known(kind: str, base: ModelFamily):
    assert base.noising.scheduler_shift == (1.0 if kind == "FLUX schnell" else 3.0)


# --- training


@pytest.mark.parametrize("unet_only", [False, True], ids=["with CLIP", "denoiser only"])
def test_an_interrupted_training_ends_with_the_same_bytes(
    train: Callable[..., Path],
    photos: PreparedDataset,
    base: ModelFamily,
    folder: Path,
    tmp_path: Path,
    unet_only: bool,
):
    settings = {"trainUnetOnly": unet_only, "captionDropout": 0.4, "flipAug": True}
    whole = train("whole", **settings)
    plan = plan_of(photos, folder, **settings)
    place, cache = tmp_path / "parts", ContentCache(tmp_path / "cache")
    place.mkdir()
    events = teach(plan, photos, base, place, cache=cache)
    for event in events:
        if isinstance(event, StepFinished) and event.step == 4:
            break
    events.close()
    saved = checkpoint.read(place, plan_digest=plan.digest)
    *_, last = teach(plan, photos, base, place, cache=cache, resume_from=saved)
    assert isinstance(last, Finished)
    assert last.lora_file.read_bytes() == whole.read_bytes()


def test_the_file_has_the_layers_that_are_trained_and_never_t5(
    kind: str, train: Callable[..., Path]
):
    file = train("both", d0=1e-3)
    tensors = load_file(file)
    clips = {"text_encoder"} if kind.startswith("FLUX") else {"text_encoder", "text_encoder_2"}
    assert {name.partition(".")[0] for name in tensors} == {"transformer", *clips}
    idle = {name for name, tensor in tensors.items() if "lora_B" in name and not tensor.any()}
    # what the words ask in the last block of Stable Diffusion 3 is not looked at
    assert idle <= {"transformer.transformer_blocks.1.attn.add_q_proj.lora_B.weight"}
    assert load(file).metadata["modelspec.architecture"] == f"{EDITIONS[kind]}/lora"
    only = load_file(train("denoiser", trainUnetOnly=True))
    assert only.keys() == {name for name in tensors if name.startswith("transformer.")}


def test_modulation_is_trained_and_what_lies_outside_the_blocks_is_not(base: ModelFamily):
    rules = base.lora_targets(("attention",))
    targets = choose_targets(base.lora_parts, rules=rules, rank=4, alpha=4)
    transformer = {name for name in targets if name.startswith("transformer.")}
    assert all("transformer_blocks." in name for name in transformer)
    assert any(name.endswith("norm1.linear") for name in transformer)
    blocks = [
        layer
        for block in base.lora_parts["transformer"].children()
        if isinstance(block, nn.ModuleList)
        for layer in block.modules()
        if isinstance(layer, nn.Linear)
    ]
    assert len(transformer) == len(blocks)


def test_all_that_kohya_trains_of_the_real_flux_is_trained():
    with torch.device("meta"):
        real = FluxTransformer2DModel(guidance_embeds=True)
    targets = find_targets(real, TARGETS)
    # kohya has 304: queries, keys and values are one layer there, and so is proj_mlp with them
    assert len(targets) == 304 + 19 * 2 * 2 + 38 * 3


@pytest.mark.parametrize("name", ["FLUX dev", "SD 3.5"])
def test_what_the_base_model_knows_can_be_kept(
    name: str, folders: dict[str, Path], photos: PreparedDataset, tmp_path: Path
):
    settings = {"priorPreservation": 1.0, "priorPrompts": ["a tree"], "maxSteps": 2}
    plan = plan_of(photos, folders[name], **settings)
    cache = ContentCache(tmp_path / "cache")
    *_, last = teach(plan, photos, loaded(folders[name]), tmp_path, cache=cache)
    assert isinstance(last, Finished)


@pytest.mark.parametrize("name", ["FLUX dev", "SD 3.5"])
def test_t5_is_done_with_before_the_first_step(
    name: str, folders: dict[str, Path], photos: PreparedDataset, tmp_path: Path
):
    folder = folders[name]
    base = loaded(folder)
    t5: nn.Module = next(
        part for part in vars(base)["_parts"].values() if type(part).__name__ == "T5EncoderModel"
    )
    plan = plan_of(photos, folder, maxSteps=2)
    for event in teach(plan, photos, base, tmp_path, cache=ContentCache(tmp_path / "cache")):
        if isinstance(event, Started):
            for parameter in t5.parameters():
                parameter.fill_(torch.nan)
    assert all(
        tensor.isfinite().all() for tensor in load_file(tmp_path / "lora.safetensors").values()
    )


def test_a_lora_moves_the_picture_and_leaves_the_base_model_as_it_was(
    base: ModelFamily, train: Callable[..., Path]
):
    request = PictureRequest(
        prompt=PROMPT, negative_prompt="", steps=2, guidance_scale=3.5, seed=5, **SIZE
    )
    (before,) = base.draw([request])
    lora = load(train("it", optimizer="AdamW", learningRate=0.1))
    with applied(lora, base.lora_parts, names=base.lora_names):
        (with_lora,) = base.draw([request])
    assert with_lora.tobytes() != before.tobytes()
    assert base.draw([request])[0].tobytes() == before.tobytes()


@pytest.mark.parametrize("unet_only", [False, True], ids=["with CLIP", "denoiser only"])
def test_it_trains_and_draws_in_bf16(folder: Path, train: Callable[..., Path], unet_only: bool):
    base = loaded(folder, dtype=torch.bfloat16)
    file = train("half", base, trainUnetOnly=unet_only, sampleEvery=2, samplePrompts=["lvff"])
    assert all(tensor.isfinite().all() for tensor in load_file(file).values())


# --- guidance


def told_guidance(
    base: ModelFamily, photos: PreparedDataset, folder: Path, scratch: Path, guidance: float
) -> list[float | None]:
    """What the transformer is told in a training of two steps."""
    told: list[float | None] = []

    def listen(_module: nn.Module, _args: Any, given: dict[str, Any]) -> None:
        told.append(given["guidance"].tolist()[0] if "guidance" in given else None)

    hook = base.lora_parts["transformer"].register_forward_pre_hook(listen, with_kwargs=True)
    planned = plan_of(photos, folder, guidanceScale=guidance, maxSteps=2)
    scratch.mkdir()
    for _ in teach(planned, photos, base, scratch, cache=ContentCache(scratch / "cache")):
        pass
    hook.remove()
    return told


def test_one_loaded_base_model_is_told_the_guidance_of_each_training(
    folders: dict[str, Path], photos: PreparedDataset, tmp_path: Path
):
    folder = folders["FLUX dev"]
    base = loaded(folder)
    assert told_guidance(base, photos, folder, tmp_path / "first", 2.5) == [2.5, 2.5]
    assert told_guidance(base, photos, folder, tmp_path / "second", 1.5) == [1.5, 1.5]


def test_schnell_is_told_no_guidance(
    folders: dict[str, Path], photos: PreparedDataset, tmp_path: Path
):
    folder = folders["FLUX schnell"]
    assert told_guidance(loaded(folder), photos, folder, tmp_path / "out", 2.5) == [None, None]


# --- LoRA files in diffusers


@pytest.mark.parametrize("trained", [("transformer", "text_encoder"), ("transformer",)], ids=len)
def test_diffusers_draws_the_same_picture_with_the_file(
    kind: str, base: ModelFamily, pipeline: Any, tmp_path: Path, trained: tuple[str, ...]
):
    parts = {part: getattr(pipeline, part) for part in base.lora_parts if part.startswith(trained)}
    rules = base.lora_targets(("attention",))
    network = LoraNetwork(choose_targets(parts, rules=rules, rank=8, alpha=6))
    chance = torch.Generator().manual_seed(6)
    state = {k: 0.1 * torch.randn(v.shape, generator=chance) for k, v in network.state().items()}
    network.load_state(state)
    path = tmp_path / "lora.safetensors"
    save(path, network, names=base.lora_names, metadata={})

    before = drawn(pipeline, kind)
    with applied(load(path), parts, names=base.lora_names):
        ours = drawn(pipeline, kind)
    assert torch.equal(drawn(pipeline, kind), before)
    pipeline.load_lora_weights(path)
    theirs = drawn(pipeline, kind)
    assert (ours - before).abs().max() > 0.02  # the LoRA is seen
    assert (ours - theirs).abs().max() < 1e-3


# --- what cannot be loaded


@pytest.mark.parametrize("part", ["transformer", "tokenizer"])
def test_a_folder_with_a_damaged_part_is_refused(
    kind: str, part: str, tmp_path: Path, folder: Path
):
    MAKERS[kind](tmp_path)
    for file in (tmp_path / part).iterdir():
        file.write_bytes(b"")
    cpu, family = torch.device("cpu"), hub.look_at(str(folder)).family
    with pytest.raises(BaseModelUnsupported, match="cannot be loaded"):
        load_base_model(tmp_path, family, variant=None, device=cpu, dtype=torch.float32)
