"""LoRA files of FLUX, Stable Diffusion 3 and SDXL: the same answer here and in diffusers."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import FluxPipeline, UNet2DConditionModel
from diffusers.loaders import StableDiffusionXLLoraLoaderMixin
from safetensors.torch import load_file, save_file
from tests.tiny_transformers import answer, flux, stable_diffusion_3
from torch import Tensor, nn

from modelgenerator.lora import layouts
from modelgenerator.lora.convert import convert
from modelgenerator.lora.files import applied, load, save, write
from modelgenerator.lora.inject import LoraNetwork, TargetRule, choose_targets
from modelgenerator.lora.joined import Correction
from modelgenerator.lora.key_names import (
    DIFFUSERS,
    FLUX_NAMES,
    KOHYA,
    STABLE_DIFFUSION_3_NAMES,
    LayerNames,
    stable_diffusion_xl_names,
)

RANK = 6


@dataclass(frozen=True)
class Case:
    make: Callable[[], nn.Module]
    names: LayerNames
    part: str
    within: tuple[str, ...]


CASES = {
    "flux": Case(flux, FLUX_NAMES, "transformer", ("FluxTransformer2DModel",)),
    "sd3": Case(
        stable_diffusion_3, STABLE_DIFFUSION_3_NAMES, "transformer", ("JointTransformerBlock",)
    ),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def trained_looking(case: Case, model: nn.Module, *, alpha: float) -> LoraNetwork:
    rules = {case.part: (TargetRule(within=case.within),)}
    parts = {case.part: model}
    network = LoraNetwork(choose_targets(parts, rules=rules, rank=RANK, alpha=alpha))
    g = torch.Generator().manual_seed(6)
    state = {k: 0.2 * torch.randn(v.shape, generator=g) for k, v in network.state().items()}
    network.load_state(state)
    return network


def corrections_of(network: LoraNetwork) -> dict[str, Correction]:
    return {
        name: Correction(
            down_RI=network.layers[name].down_RI.detach(),
            up_OR=network.layers[name].up_OR.detach(),
            kernel=(),
            alpha=target.alpha,
        )
        for name, target in network.targets.items()
    }


def ours(path: Path, case: Case, model: nn.Module) -> Tensor:
    with applied(load(path), {case.part: model}, names=case.names):
        return answer(model)


def test_the_familys_own_layout_answers_alike_in_diffusers(case: Case, tmp_path: Path):
    model, path = case.make(), tmp_path / "lora.safetensors"
    save(path, trained_looking(case, model, alpha=4.5), names=case.names, metadata={"a": "b"})
    base, mine = answer(model), ours(path, case, model)
    assert torch.equal(answer(model), base)
    model.load_lora_adapter(path, prefix="transformer")  # pyright: ignore
    assert (mine - base).abs().max() > 0.05
    assert (mine - answer(model)).abs().max() < 1e-3


@pytest.mark.parametrize("alpha", [6.0, 4.5])
def test_every_layout_gives_the_same_answer(case: Case, tmp_path: Path, alpha: float):
    model = case.make()
    corrections = corrections_of(trained_looking(case, model, alpha=alpha))
    answers: list[Tensor] = []
    for layout in (KOHYA, DIFFUSERS):
        path = tmp_path / f"{layout}.safetensors"
        write(path, corrections, case.names, layout=layout, metadata={}, store=layouts.exact)
        assert load(path).layout == layout
        answers.append(ours(path, case, model))
    assert (answers[0] - answer(model)).abs().max() > 0.05
    assert (answers[0] - answers[1]).abs().max() < 1e-5


def test_kohyas_layout_has_the_authors_layers_and_their_sizes(case: Case, tmp_path: Path):
    model, path = case.make(), tmp_path / "kohya.safetensors"
    corrections = corrections_of(trained_looking(case, model, alpha=6))
    write(path, corrections, case.names, layout=KOHYA, metadata={}, store=layouts.exact)
    shapes = {key: tuple(tensor.shape) for key, tensor in load_file(path).items()}
    if case.names is FLUX_NAMES:
        assert shapes["lora_unet_double_blocks_1_img_attn_qkv.lora_up.weight"] == (96, 18)
        assert shapes["lora_unet_double_blocks_0_txt_mlp_2.lora_up.weight"] == (32, 6)
        assert shapes["lora_unet_single_blocks_1_linear1.lora_down.weight"] == (24, 32)
        assert shapes["lora_unet_single_blocks_1_linear1.lora_up.weight"] == (32 * 7, 24)
        assert shapes["lora_unet_single_blocks_0_modulation_lin.lora_up.weight"] == (96, 6)
    else:
        assert shapes["lora_unet_joint_blocks_0_x_block_attn2_qkv.lora_up.weight"] == (96, 18)
        assert shapes["lora_unet_joint_blocks_1_context_block_mlp_fc1.lora_up.weight"] == (128, 6)
        assert shapes["lora_unet_joint_blocks_2_context_block_adaLN_modulation_1.alpha"] == ()
    assert not any("transformer_blocks" in key for key in shapes)


@pytest.mark.parametrize("alpha", [6.0, 3.0, 4.5])
@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16])
def test_there_and_back_again_gives_the_same_bits(
    case: Case, tmp_path: Path, alpha: float, precision: torch.dtype
):
    network = trained_looking(case, case.make(), alpha=alpha)
    first = tmp_path / "first.safetensors"
    corrections = {
        name: Correction(
            down_RI=one.down_RI.to(precision).float(),
            up_OR=one.up_OR.to(precision).float(),
            kernel=(),
            alpha=one.alpha,
            precision=precision,
        )
        for name, one in corrections_of(network).items()
    }
    write(first, corrections, case.names, layout=KOHYA, metadata={}, store=layouts.exact)
    convert(load(first), tmp_path / "second", layout=DIFFUSERS, header="full")
    convert(load(tmp_path / "second"), tmp_path / "third", layout=KOHYA, header="full")
    before, after = load_file(first), load_file(tmp_path / "third")
    assert before.keys() == after.keys()
    for key, tensor in before.items():
        assert tensor.dtype == after[key].dtype, key
        assert torch.equal(tensor, after[key]), key


def as_ai_toolkit(corrections: Mapping[str, Correction]) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for name, one in corrections.items():
        tensors[f"{name}.lora_A.weight"] = one.down_RI
        tensors[f"{name}.lora_B.weight"] = one.up_OR * one.scale
    return tensors


def as_diffusers_trainer(
    corrections: Mapping[str, Correction],
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """alpha in the header, as peft's configuration."""
    tensors: dict[str, Tensor] = {}
    for name, one in corrections.items():
        tensors[f"{name}.lora_A.weight"], tensors[f"{name}.lora_B.weight"] = one.down_RI, one.up_OR
    configuration: dict[str, Any] = {
        "transformer.r": RANK,
        "transformer.lora_alpha": 4.5,
        "transformer.alpha_pattern": {},
        "transformer.rank_pattern": {},
        "transformer.target_modules": sorted(name.partition(".")[2] for name in corrections),
    }
    return tensors, {"format": "pt", "lora_adapter_metadata": json.dumps(configuration)}


@pytest.mark.parametrize("wrapping", ["{}", "base_model.model.{}", "diffusion_model.{}"])
@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16])
def test_a_file_of_ai_toolkit_answers_as_in_diffusers(
    case: Case, tmp_path: Path, wrapping: str, precision: torch.dtype
):
    model, path = case.make(), tmp_path / "lora.safetensors"
    tensors = as_ai_toolkit(corrections_of(trained_looking(case, model, alpha=4.5)))
    tensors = {key: tensor.to(precision) for key, tensor in reversed(tensors.items())}
    other = {
        wrapping.format(key.removeprefix("transformer.") if "diff" in wrapping else key): tensor
        for key, tensor in tensors.items()
    }
    save_file({key: tensor.contiguous() for key, tensor in other.items()}, path)
    mine = ours(path, case, model)
    model.load_lora_adapter(tensors, prefix="transformer")  # pyright: ignore
    assert (mine - answer(model)).abs().max() < 1e-3


def test_a_file_with_alpha_in_the_header_answers_as_in_diffusers(case: Case, tmp_path: Path):
    model, path = case.make(), tmp_path / "lora.safetensors"
    tensors, header = as_diffusers_trainer(corrections_of(trained_looking(case, model, alpha=4.5)))
    save_file({k: t.contiguous() for k, t in tensors.items()}, path, metadata=header)
    mine = ours(path, case, model)
    assert {one.alpha for one in load(path).corrections.values()} == {4.5}
    # without use_safetensors it overlooks the header
    model.load_lora_adapter(path, prefix="transformer", use_safetensors=True)  # pyright: ignore
    assert (mine - answer(model)).abs().max() < 1e-3


def test_a_file_saved_by_diffusers_itself_is_read(case: Case, tmp_path: Path):
    from peft import LoraConfig

    model = case.make()
    targets = ["to_q", "to_k", "to_v", "to_out.0", "net.2"]
    config = LoraConfig(r=4, lora_alpha=6, target_modules=targets, init_lora_weights=False)
    base = answer(model)
    model.add_adapter(config)  # pyright: ignore
    theirs = answer(model).detach()
    model.save_lora_adapter(tmp_path)  # pyright: ignore
    model = case.make()
    (path,) = tmp_path.iterdir()
    assert (theirs - base).abs().max() > 0.01
    assert (ours(path, case, model) - theirs).abs().max() < 1e-4


def test_kohyas_flux_file_becomes_the_same_matrices_in_diffusers(tmp_path: Path):
    """At FLUX's real width, which diffusers' reader of kohya's files expects."""
    g = torch.Generator().manual_seed(3)
    wide, rank = 3072, 4
    shapes = {
        "single_transformer_blocks.0.attn.to_q": (wide, wide),
        "single_transformer_blocks.0.attn.to_k": (wide, wide),
        "single_transformer_blocks.0.attn.to_v": (wide, wide),
        "single_transformer_blocks.0.proj_mlp": (4 * wide, wide),
        "single_transformer_blocks.0.proj_out": (wide, 5 * wide),
        "transformer_blocks.3.attn.to_q": (wide, wide),
        "transformer_blocks.3.attn.to_k": (wide, wide),
        "transformer_blocks.3.attn.to_v": (wide, wide),
        "transformer_blocks.3.attn.add_k_proj": (wide, wide),
        "transformer_blocks.3.norm1_context.linear": (6 * wide, wide),
    }
    corrections = {
        f"transformer.{name}": Correction(
            down_RI=torch.randn(rank, inputs, generator=g),
            up_OR=torch.randn(outputs, rank, generator=g),
            kernel=(),
            alpha=3.0,
        )
        for name, (outputs, inputs) in shapes.items()
    }
    path = tmp_path / "lora.safetensors"
    write(path, corrections, FLUX_NAMES, layout=KOHYA, metadata={}, store=layouts.exact)
    theirs = FluxPipeline.lora_state_dict(load_file(path))
    assert isinstance(theirs, dict)
    for name, one in corrections.items():
        down, up = theirs[f"{name}.lora_A.weight"], theirs[f"{name}.lora_B.weight"]
        probe = torch.randn(one.down_RI.shape[1], 2, generator=g)
        expected = one.scale * (one.up_OR @ (one.down_RI @ probe))
        torch.testing.assert_close(up @ (down @ probe), expected, rtol=1e-4, atol=1e-2)


# SDXL


def xl_unet(layers_per_block: int) -> UNet2DConditionModel:
    torch.manual_seed(0)
    model = UNet2DConditionModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        layers_per_block=layers_per_block,
        block_out_channels=(8, 16, 16),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 2, 2),
        cross_attention_dim=24,
        attention_head_dim=4,
        norm_num_groups=4,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=4,
        projection_class_embeddings_input_dim=20 + 6 * 4,
    )
    return model.requires_grad_(False).eval()


def xl_answer(model: nn.Module) -> Tensor:
    g = torch.Generator().manual_seed(1)
    added = {"text_embeds": torch.randn(1, 20, generator=g), "time_ids": torch.ones(1, 6)}
    latents, states = torch.randn(1, 4, 8, 8, generator=g), torch.randn(1, 5, 24, generator=g)
    return model(latents, 500, states, added_cond_kwargs=added, return_dict=False)[0]


@pytest.mark.parametrize("layers_per_block", [1, 2])
@pytest.mark.parametrize("kernels", [False, True])
@pytest.mark.parametrize("layout", [KOHYA, DIFFUSERS])
def test_sdxls_layers_answer_alike_in_diffusers(
    tmp_path: Path, layers_per_block: int, kernels: bool, layout: str
):
    model, names = xl_unet(layers_per_block), stable_diffusion_xl_names(layers_per_block)
    rules = [TargetRule(within=("Transformer2DModel",))]
    if kernels:
        blocks = ("ResnetBlock2D", "Downsample2D", "Upsample2D")
        rules.append(TargetRule(within=blocks, kernels=True))
    network = LoraNetwork(
        choose_targets({"unet": model}, rules={"unet": tuple(rules)}, rank=4, alpha=3)
    )
    g = torch.Generator().manual_seed(6)
    state = {k: 0.2 * torch.randn(v.shape, generator=g) for k, v in network.state().items()}
    network.load_state(state)
    path = tmp_path / "lora.safetensors"
    save(path, network, names=replace(names, layout=layout), metadata={})
    keys = load_file(path).keys()
    assert any("input_blocks" in key for key in keys) == (layout == KOHYA)
    base = xl_answer(model)
    with applied(load(path), {"unet": model}, names=names):
        mine = xl_answer(model)
    found = StableDiffusionXLLoraLoaderMixin.lora_state_dict(
        load_file(path), unet_config=model.config
    )
    tensors, alphas = found  # pyright: ignore
    model.load_lora_adapter(tensors, prefix="unet", network_alphas=alphas)  # pyright: ignore
    assert (mine - base).abs().max() > 0.02
    assert (mine - xl_answer(model)).abs().max() < 1e-3


def test_sdxls_layers_with_diffusers_names_under_kohyas_prefix_are_read(tmp_path: Path):
    model, names = xl_unet(2), stable_diffusion_xl_names(2)
    rules = {"unet": (TargetRule(within=("Transformer2DModel",)),)}
    network = LoraNetwork(choose_targets({"unet": model}, rules=rules, rank=4, alpha=3))
    network.values_N.uniform_(-0.2, 0.2)
    one, other = tmp_path / "sgm.safetensors", tmp_path / "blocks.safetensors"
    save(one, network, names=names, metadata={})
    save(other, network, names=LayerNames(names.prefixes), metadata={})
    assert not load_file(one).keys() & load_file(other).keys()
    answers: list[Tensor] = []
    for path in (one, other):
        with applied(load(path), {"unet": model}, names=names):
            answers.append(xl_answer(model))
    assert torch.equal(*answers)
