"""A LoRA file gives the same pictures in diffusers as in our own forward."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline
from tests.tiny import save_tiny_stable_diffusion
from torch import Tensor, nn

from modelgenerator.diffusion.detection import FamilyName
from modelgenerator.diffusion.load import load as load_base_model
from modelgenerator.lora.files import applied, load, save
from modelgenerator.lora.inject import LoraNetwork, TargetRule, choose_targets
from modelgenerator.lora.key_names import STABLE_DIFFUSION_NAMES as NAMES

TEXT = (TargetRule(within=("CLIPAttention", "CLIPMLP")),)
ATTENTION = TargetRule(within=("Transformer2DModel",))
CONVOLUTIONS = TargetRule(within=("ResnetBlock2D", "Downsample2D", "Upsample2D"), kernels=True)
RULES = {"unet": (ATTENTION,), "text_encoder": TEXT}
ALL = {"unet": (ATTENTION, CONVOLUTIONS), "text_encoder": TEXT}
RANK = 24  # above the smaller side of some layers, so that ranks differ


@pytest.fixture(scope="module", params=["stable diffusion 1", "stable diffusion 2"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("base")
    return save_tiny_stable_diffusion(place, sd2=request.param.endswith("2"))


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


def picture(pipeline: StableDiffusionPipeline) -> Tensor:
    pixels = pipeline(
        "lvff creature in the snow",
        num_inference_steps=3,
        generator=torch.Generator().manual_seed(5),
        output_type="pt",
    ).images
    assert isinstance(pixels, Tensor)
    return pixels


def parts_of(pipeline: StableDiffusionPipeline) -> dict[str, nn.Module]:
    return {"unet": pipeline.unet, "text_encoder": pipeline.text_encoder}


def trained_looking(
    parts: dict[str, nn.Module], *, alpha: float, rules: dict[str, tuple[TargetRule, ...]] = RULES
) -> LoraNetwork:
    network = LoraNetwork(choose_targets(parts, rules=rules, rank=RANK, alpha=alpha))
    g = torch.Generator().manual_seed(6)
    state = {k: 0.2 * torch.randn(v.shape, generator=g) for k, v in network.state().items()}
    network.load_state(state)
    return network


@pytest.mark.parametrize("alpha", [24.0, 9.0])
@pytest.mark.parametrize("trained", [("unet", "text_encoder"), ("unet",), ("text_encoder",)])
def test_diffusers_draws_the_same_picture(
    pipeline: StableDiffusionPipeline, tmp_path: Path, trained: tuple[str, ...], alpha: float
):
    parts = {part: model for part, model in parts_of(pipeline).items() if part in trained}
    network = trained_looking(parts, alpha=alpha)
    assert network.cut_layers(RANK).keys() < network.layers.keys()
    path = tmp_path / "lora.safetensors"
    save(path, network, names=NAMES, metadata={"modelspec.title": "lvff"})

    base = picture(pipeline)
    with applied(load(path), parts_of(pipeline), names=NAMES):
        ours = picture(pipeline)
    assert torch.equal(picture(pipeline), base)

    pipeline.load_lora_weights(path)
    theirs = picture(pipeline)
    assert (ours - base).abs().max() > 0.02  # the LoRA is seen
    assert (ours - theirs).abs().max() < 1e-3


def test_diffusers_draws_the_same_picture_with_convolutions_trained(
    pipeline: StableDiffusionPipeline, tmp_path: Path
):
    network = trained_looking(parts_of(pipeline), alpha=9, rules=ALL)
    assert any(layer.down_RI.shape[1] % 9 == 0 for layer in network.layers.values())
    path = tmp_path / "lora.safetensors"
    save(path, network, names=NAMES, metadata={})
    with applied(load(path), parts_of(pipeline), names=NAMES):
        ours = picture(pipeline)
    pipeline.load_lora_weights(path)
    assert (ours - picture(pipeline)).abs().max() < 1e-3


def test_all_targets_of_stable_diffusion_are_found(pipeline: StableDiffusionPipeline):
    targets = choose_targets(parts_of(pipeline), rules=RULES, rank=4, alpha=4)
    ends = {
        name.partition("transformer_blocks.0.")[2] or name.rpartition(".")[2] for name in targets
    }
    attention = {
        f"{a}.{p}" for a in ("attn1", "attn2") for p in ("to_q", "to_k", "to_v", "to_out.0")
    }
    text = {"q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"}
    assert ends == attention | text | {"ff.net.0.proj", "ff.net.2", "proj_in", "proj_out"}


def test_networktargets_reaches_the_denoisers_resnets_and_samplers(folder: Path):
    base = load_base_model(
        folder,
        FamilyName.STABLE_DIFFUSION_1,
        variant=None,
        device=torch.device("cpu"),
        dtype=torch.float32,
    )
    ends: dict[tuple[str, ...], set[str]] = {}
    for names in (("attention",), ("attention", "convolutions"), ("convolutions",)):
        rules = base.lora_targets(names)
        targets = choose_targets(base.lora_parts, rules=rules, rank=4, alpha=4)
        unet = {name for name in targets if name.startswith("unet.")}
        assert targets.keys() - unet, "the text encoder's own do not depend on it"
        ends[names] = {name.rpartition(".")[2] for name in unet if "attentions" not in name}
    blocks = {"conv1", "conv2", "conv_shortcut", "time_emb_proj", "conv"}
    assert list(ends.values()) == [set(), blocks, blocks]
