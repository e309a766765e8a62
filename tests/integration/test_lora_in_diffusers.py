"""A LoRA file gives the same pictures in diffusers as in our own forward."""

import logging
from collections.abc import Iterator
from dataclasses import replace
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
from modelgenerator.lora.key_names import DIFFUSERS
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


@pytest.mark.parametrize("alpha", [24.0, 9.0])
def test_diffusers_draws_the_same_picture_from_its_own_layout(
    pipeline: StableDiffusionPipeline, tmp_path: Path, alpha: float
):
    network = trained_looking(parts_of(pipeline), alpha=alpha, rules=ALL)
    path = tmp_path / "lora.safetensors"
    save(path, network, names=replace(NAMES, layout=DIFFUSERS), metadata={"a": "b"})
    assert load(path).layout == "diffusers"
    with applied(load(path), parts_of(pipeline), names=NAMES):
        ours = picture(pipeline)
    pipeline.load_lora_weights(path)
    assert (ours - picture(pipeline)).abs().max() < 1e-3


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_file_that_diffusers_saved_draws_the_same_picture_here(
    pipeline: StableDiffusionPipeline, folder: Path, tmp_path: Path, dtype: torch.dtype
):
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict as state_of

    unet = ["to_q", "to_k", "to_v", "to_out.0", "proj_in", "ff.net.2", "conv1"]
    text = ["q_proj", "k_proj", "v_proj", "out_proj", "fc1"]
    wishes = {"r": 4, "lora_alpha": 3, "init_lora_weights": False}
    torch.manual_seed(2)
    pipeline.unet.add_adapter(LoraConfig(target_modules=unet, **wishes))
    pipeline.text_encoder.add_adapter(LoraConfig(target_modules=text, **wishes))
    layers = {
        part: {key: t.to(dtype) for key, t in state_of(getattr(pipeline, part)).items()}
        for part in ("unet", "text_encoder")
    }
    StableDiffusionPipeline.save_lora_weights(
        tmp_path,
        unet_lora_layers=layers["unet"],
        text_encoder_lora_layers=layers["text_encoder"],
        unet_lora_adapter_metadata=LoraConfig(target_modules=unet, **wishes).to_dict(),
        text_encoder_lora_adapter_metadata=LoraConfig(target_modules=text, **wishes).to_dict(),
    )
    (path,) = tmp_path.iterdir()
    # peft leaves its wrappers behind
    pipeline = StableDiffusionPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    base = picture(pipeline)
    with applied(load(path), parts_of(pipeline), names=NAMES):
        ours = picture(pipeline)
    assert torch.equal(picture(pipeline), base)
    pipeline.load_lora_weights(path)
    assert (ours - base).abs().max() > 0.02
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
