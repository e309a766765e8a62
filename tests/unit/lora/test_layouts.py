"""The many ways in which one layer is written in files."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from modelgenerator.errors import UnusableLora
from modelgenerator.lora.convert import convert
from modelgenerator.lora.description import Hashes, describe
from modelgenerator.lora.files import by_key, load
from modelgenerator.lora.key_names import (
    FLUX_NAMES,
    STABLE_DIFFUSION_3_NAMES,
    STABLE_DIFFUSION_NAMES,
    STABLE_DIFFUSION_XL_NAMES,
    LayerNames,
)

QUERY = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_q"
QUERY_KEY = "lora_unet_" + QUERY.replace(".", "_")
OUT = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_out_0"
TEXT = "text_model.encoder.layers.1.self_attn.q_proj"
TEXT_KEY = "lora_te_text_model_encoder_layers_1_self_attn_q_proj"
DOWN, UP = torch.randn(3, 5), torch.randn(4, 3)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lora.safetensors"


def written(path: Path, tensors: dict[str, Tensor], **header: str) -> Path:
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, header)
    return path


@pytest.mark.parametrize(
    ("down", "up", "key"),
    [
        (f"{QUERY_KEY}.lora_down.weight", f"{QUERY_KEY}.lora_up.weight", QUERY_KEY),
        (f"unet.{QUERY}.lora_A.weight", f"unet.{QUERY}.lora_B.weight", QUERY_KEY),
        (f"{QUERY}.lora_A.weight", f"{QUERY}.lora_B.weight", QUERY_KEY),
        (f"unet.{QUERY}.lora.down.weight", f"unet.{QUERY}.lora.up.weight", QUERY_KEY),
        (
            f"base_model.model.{QUERY}.lora_A.weight",
            f"base_model.model.{QUERY}.lora_B.weight",
            QUERY_KEY,
        ),
        (
            f"unet.base_model.model.{QUERY}.lora_A.default.weight",
            f"unet.base_model.model.{QUERY}.lora_B.default.weight",
            QUERY_KEY,
        ),
        *(
            (
                f"{start}{QUERY.replace('to_q', f'processor.{name}_lora')}.down.weight",
                f"{start}{QUERY.replace('to_q', f'processor.{name}_lora')}.up.weight",
                key,
            )
            for start in ("unet.", "")
            for name, key in (("to_q", QUERY_KEY), ("to_out", OUT))
        ),
        (f"text_encoder.{TEXT}.lora_A.weight", f"text_encoder.{TEXT}.lora_B.weight", TEXT_KEY),
        (
            f"text_encoder.{TEXT}.lora_linear_layer.down.weight",
            f"text_encoder.{TEXT}.lora_linear_layer.up.weight",
            TEXT_KEY,
        ),
        (
            f"text_encoder.{TEXT.replace('q_proj', 'to_q_lora')}.down.weight",
            f"text_encoder.{TEXT.replace('q_proj', 'to_q_lora')}.up.weight",
            TEXT_KEY,
        ),
        (
            f"{TEXT_KEY.replace('te_', 'te1_', 1)}.lora_down.weight",
            f"{TEXT_KEY.replace('te_', 'te1_', 1)}.lora_up.weight",
            TEXT_KEY,
        ),
    ],
    ids=lambda value: value if "weight" in value else "",
)
def test_a_layer_is_found_however_it_is_written(path: Path, down: str, up: str, key: str):
    found = by_key(load(written(path, {down: DOWN, up: UP})), STABLE_DIFFUSION_NAMES)
    assert list(found) == [key]
    assert torch.equal(found[key].down_RI, DOWN)
    assert torch.equal(found[key].up_OR, UP)
    assert found[key].alpha == 3


FLUX_QKV = [f"lora_unet_transformer_blocks_7_attn_{n}" for n in ("to_q", "to_k", "to_v")]
SD3_QKV = [f"lora_unet_transformer_blocks_7_attn_add_{n}_proj" for n in "qkv"]
XL = "lora_unet_up_blocks_1_attentions_2_transformer_blocks_0_ff_net_2"


@pytest.mark.parametrize(
    ("layer", "names", "keys"),
    [
        ("lora_unet_double_blocks_7_img_attn_qkv", FLUX_NAMES, FLUX_QKV),
        ("transformer.double_blocks.7.img_attn.qkv", FLUX_NAMES, FLUX_QKV),
        ("diffusion_model.double_blocks.7.img_attn.qkv", FLUX_NAMES, FLUX_QKV),
        ("double_blocks.7.img_attn.qkv", FLUX_NAMES, FLUX_QKV),
        ("lora_transformer_transformer_blocks_7_attn_to_q", FLUX_NAMES, FLUX_QKV[:1]),
        ("transformer.transformer_blocks.7.attn.to_q", FLUX_NAMES, FLUX_QKV[:1]),
        (
            "lora_te3_encoder_block_2_layer_0_SelfAttention_q",
            FLUX_NAMES,
            ["lora_te3_encoder_block_2_layer_0_SelfAttention_q"],
        ),
        (
            "text_encoder_2.encoder.block.2.layer.0.SelfAttention.q",
            FLUX_NAMES,
            ["lora_te3_encoder_block_2_layer_0_SelfAttention_q"],
        ),
        ("lora_unet_joint_blocks_7_context_block_attn_qkv", STABLE_DIFFUSION_3_NAMES, SD3_QKV),
        (
            "text_encoder_3.encoder.block.2.layer.0.SelfAttention.q",
            STABLE_DIFFUSION_3_NAMES,
            ["lora_te3_encoder_block_2_layer_0_SelfAttention_q"],
        ),
        ("lora_unet_output_blocks_5_1_transformer_blocks_0_ff_net_2", STABLE_DIFFUSION_NAMES, [XL]),
        (
            "lora_unet_output_blocks_5_1_transformer_blocks_0_ff_net_2",
            STABLE_DIFFUSION_XL_NAMES,
            [XL],
        ),
        (XL, STABLE_DIFFUSION_XL_NAMES, [XL]),
        (
            "lora_te2_text_model_encoder_layers_1_mlp_fc1",
            STABLE_DIFFUSION_XL_NAMES,
            ["lora_te2_text_model_encoder_layers_1_mlp_fc1"],
        ),
    ],
)
@pytest.mark.parametrize("endings", [("lora_down", "lora_up"), ("lora_A", "lora_B")])
def test_a_layer_of_every_family_is_found(
    path: Path, layer: str, names: LayerNames, keys: list[str], endings: tuple[str, str]
):
    down, up = (f"{layer}.{ending}.weight" for ending in endings)
    found = by_key(load(written(path, {down: DOWN, up: torch.randn(15, 3)})), names)
    assert list(found) == keys


def header(**adapter: object) -> str:
    return json.dumps(adapter)


@pytest.mark.parametrize(
    ("adapter", "alpha"),
    [
        ({"unet.r": 3, "unet.lora_alpha": 6}, 6),
        ({"r": 3, "lora_alpha": 6}, 6),
        ({"unet.lora_alpha": 6, "unet.alpha_pattern": {QUERY: 9}}, 9),
        ({"unet.lora_alpha": 6, "unet.alpha_pattern": {"to_q": 9}}, 9),
        ({"unet.lora_alpha": 6, "unet.alpha_pattern": {"o_q": 9, "^x$": 1}}, 6),
        ({"unet.lora_alpha": 6, "unet.alpha_pattern": {"^" + QUERY: 9}}, 9),
        ({"unet.lora_alpha": 6, "unet.use_rslora": True}, 6 * 3**0.5),
        ({"text_encoder.lora_alpha": 6}, 3),
        ({}, 3),
    ],
)
def test_alpha_is_what_the_header_of_diffusers_says(
    path: Path, adapter: dict[str, object], alpha: float
):
    tensors = {f"unet.{QUERY}.lora_A.weight": DOWN, f"unet.{QUERY}.lora_B.weight": UP}
    written(path, tensors, lora_adapter_metadata=header(**adapter))
    (found,) = load(path).corrections.values()
    assert found.alpha == pytest.approx(alpha)


def test_a_pattern_of_a_stranger_is_not_run(path: Path):
    tensors = {f"unet.{QUERY}.lora_A.weight": DOWN, f"unet.{QUERY}.lora_B.weight": UP}
    adapter = header(**{"unet.lora_alpha": 6, "unet.alpha_pattern": {"(.*)*to_v": 9}})
    written(path, tensors, lora_adapter_metadata=adapter)
    with pytest.raises(UnusableLora, match=r"by the pattern '\(\.\*\)\*to_v'"):
        load(path)


@pytest.mark.parametrize("text", ["", "[]", "{", "3", '{"unet.lora_alpha": "many"}'])
def test_a_header_that_makes_no_sense_says_nothing(path: Path, text: str):
    tensors = {f"unet.{QUERY}.lora_A.weight": DOWN, f"unet.{QUERY}.lora_B.weight": UP}
    entries = {"lora_adapter_metadata": text, "modelgenerator.alpha": text}
    written(path, tensors, **entries)
    (found,) = load(path).corrections.values()
    assert found.alpha == 3


@pytest.mark.parametrize("note", [[1], [9, "float16"], [0, "float16"], "x", [1, "nonsense"]])
def test_a_note_of_another_file_does_not_change_what_the_matrices_do(path: Path, note: object):
    layer = f"unet.{QUERY}"
    tensors = {f"{layer}.lora_A.weight": DOWN, f"{layer}.lora_B.weight": UP}
    written(path, tensors, **{"modelgenerator.alpha": json.dumps({layer: note})})
    (found,) = load(path).corrections.values()
    torch.testing.assert_close(found.scale * found.up_OR, UP, rtol=1e-2, atol=1e-6)


def a_file(path: Path) -> Path:
    """As many in the wild: ranks, alphas and precisions differ from layer to layer."""
    tensors: dict[str, Tensor] = {}
    for layer, rank, alpha, dtype in (
        (QUERY_KEY, 3, 1.0, torch.float16),
        (OUT, 2, 4.0, torch.bfloat16),
        (TEXT_KEY, 5, 5.0, torch.float32),
    ):
        tensors[f"{layer}.lora_down.weight"] = torch.randn(rank, 6).to(dtype)
        tensors[f"{layer}.lora_up.weight"] = torch.randn(4, rank).to(dtype)
        tensors[f"{layer}.alpha"] = torch.tensor(alpha, dtype=torch.float16)
    kernel = "lora_unet_down_blocks_0_downsamplers_0_conv"
    tensors[f"{kernel}.lora_down.weight"] = torch.randn(2, 4, 3, 3)
    tensors[f"{kernel}.lora_up.weight"] = torch.randn(4, 2, 1, 1)
    tensors[f"{kernel}.alpha"] = torch.tensor(2.0)
    plan = json.dumps({"base_model": "org/base", "prompts": ["secret"]})
    entries = {
        "modelgenerator.plan": plan,
        "modelspec.trigger_phrase": "lvff",
        "ss_base_model_version": "sd_v1",
        "sshs_model_hash": "0" * 64,
    }
    return written(path, tensors, **entries)


def test_different_ranks_alphas_and_precisions_survive_there_and_back(path: Path, tmp_path: Path):
    convert(load(a_file(path)), tmp_path / "there", layout="diffusers", header="full")
    assert load(tmp_path / "there").layout == "diffusers"
    convert(load(tmp_path / "there"), tmp_path / "back", layout="kohya", header="full")
    before, after = load_file(path), load_file(tmp_path / "back")
    assert before.keys() == after.keys()
    for name, tensor in before.items():
        assert torch.equal(tensor.float(), after[name].float()), name
        assert tensor.dtype == after[name].dtype or name.endswith("alpha")


@pytest.mark.parametrize("precision", [torch.float32, torch.float16, torch.bfloat16])
def test_a_joined_layer_with_one_down_survives_there_and_back(
    path: Path, tmp_path: Path, precision: torch.dtype
):
    tensors: dict[str, Tensor] = {}
    for layer, outputs in (("double_blocks_0_img_attn_qkv", 36), ("single_blocks_3_linear1", 84)):
        key = f"lora_unet_{layer}"
        tensors[f"{key}.lora_down.weight"] = torch.randn(4, 12).to(precision)
        tensors[f"{key}.lora_up.weight"] = torch.randn(outputs, 4).to(precision)
        tensors[f"{key}.alpha"] = torch.tensor(2.0)
    convert(load(written(path, tensors)), tmp_path / "there", layout="diffusers", header="full")
    down = "transformer.single_transformer_blocks.3.proj_mlp.lora_A.weight"
    assert load_file(tmp_path / "there")[down].shape == (4, 12)
    convert(load(tmp_path / "there"), tmp_path / "back", layout="kohya", header="full")
    after = load_file(tmp_path / "back")
    assert after.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert torch.equal(tensor, after[name]), name
        assert tensor.dtype == after[name].dtype


def test_a_converted_file_keeps_its_header_and_has_hashes_of_its_own(path: Path, tmp_path: Path):
    assert describe(load(a_file(path))).hashes == Hashes.WRONG
    convert(load(path), tmp_path / "new", layout="diffusers", header="full")
    found = describe(load(tmp_path / "new"))
    assert found.hashes == Hashes.RIGHT
    assert found.plan == {"base_model": "org/base", "prompts": ["secret"]}
    assert found.trigger_phrase == "lvff"


@pytest.mark.parametrize("wished", ["minimal", "none"])
def test_a_header_can_be_left_out(path: Path, tmp_path: Path, wished: str):
    convert(load(a_file(path)), tmp_path / "new", layout="kohya", header=wished)
    content = (tmp_path / "new").read_bytes()
    assert b"secret" not in content
    assert b"lvff" not in content
    said = load(tmp_path / "new").metadata.keys()
    kept = {"ss_base_model_version", "sshs_model_hash", "modelspec.hash_sha256"}
    assert said == (kept if wished == "minimal" else set())
    found = describe(load(tmp_path / "new"))
    assert found.hashes == (Hashes.RIGHT if wished == "minimal" else Hashes.ABSENT)


def test_a_description_counts_what_is_in_the_file(path: Path):
    found = describe(load(a_file(path)))
    assert (found.layout, found.family) == ("kohya", "Stable Diffusion 1")
    assert found.parts == {"unet": 3, "text_encoder": 1}
    assert found.ranks == {2: 2, 3: 1, 5: 1}
    assert set(found.alphas) == {1, 2, 4, 5}
    assert found.precisions == {"float32": 2, "float16": 1, "bfloat16": 1}
    assert found.convolutions == 1
    assert found.base_model == "org/base"


@pytest.mark.parametrize(
    ("layer", "width", "version", "family"),
    [
        (QUERY_KEY.replace("to_q", "to_k"), 768, "", "Stable Diffusion 1"),
        (QUERY_KEY.replace("to_q", "to_k"), 1024, "", "Stable Diffusion 2"),
        (QUERY_KEY.replace("to_q", "to_k"), 2048, "", "Stable Diffusion XL"),
        (QUERY_KEY, 320, "", "Stable Diffusion"),
        (QUERY_KEY, 320, "sdxl_base_v1-0", "Stable Diffusion XL"),
        ("lora_unet_input_blocks_4_1_proj_in", 640, "", "Stable Diffusion XL"),
        ("lora_te2_text_model_encoder_layers_1_mlp_fc1", 1280, "", "Stable Diffusion XL"),
        ("lora_te_text_model_encoder_layers_1_mlp_fc1", 768, "", "Stable Diffusion"),
        ("lora_unet_double_blocks_0_img_mod_lin", 3072, "", "FLUX"),
        ("transformer.single_transformer_blocks.0.proj_mlp", 3072, "", "FLUX"),
        ("transformer.transformer_blocks.0.attn.to_q", 3072, "", "FLUX"),
        ("transformer.transformer_blocks.0.attn.to_q", 1536, "", "Stable Diffusion 3"),
        ("transformer.transformer_blocks.0.attn.to_q", 2432, "", "Stable Diffusion 3"),
        ("transformer.transformer_blocks.0.attn.to_q", 32, "flux1", "FLUX"),
        ("lora_unet_joint_blocks_0_x_block_mlp_fc1", 1536, "", "Stable Diffusion 3"),
        ("diffusion_model.layers.0.attention.qkv", 3840, "", "unknown"),
    ],
)
def test_the_family_is_told_by_the_layers(
    path: Path, layer: str, width: int, version: str, family: str
):
    tensors = {
        f"{layer}.lora_A.weight": torch.randn(2, width),
        f"{layer}.lora_B.weight": torch.randn(6, 2),
    }
    written(path, tensors, ss_base_model_version=version)
    assert describe(load(path)).family == family


@pytest.mark.parametrize(
    ("tensors", "reason"),
    [
        ({"a.lora_A.weight": DOWN, "a.lora_B.weight": UP}, "is for no base model that is known"),
        (
            {
                "lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight": DOWN,
                "lora_unet_double_blocks_0_img_attn_qkv.lora_up.weight": UP,
            },
            "double_blocks_0_img_attn_qkv: 4 outputs are not query, key and value",
        ),
        (
            {
                f"{QUERY_KEY}.lora_down.weight": DOWN,
                f"{QUERY_KEY}.lora_up.weight": UP,
                f"unet.{QUERY}.lora_A.weight": DOWN,
                f"unet.{QUERY}.lora_B.weight": UP,
            },
            "twice",
        ),
        (
            {
                f"transformer.single_transformer_blocks.0.attn.{name}.lora_{m}.weight": tensor
                for name, inputs in (("to_q", 5), ("to_k", 6))
                for m, tensor in (("A", torch.ones(2, inputs)), ("B", torch.ones(5, 2)))
            },
            "make no layer of kohya: .*inputs of different sizes",
        ),
        (
            {
                "lora_te_text_model_a__b.lora_down.weight": DOWN,
                "lora_te_text_model_a__b.lora_up.weight": UP,
            },
            "unknown names: lora_te_text_model_a__b",
        ),
        (
            {
                f"{QUERY_KEY}.lora_down.weight": DOWN,
                f"{QUERY_KEY}.lora_up.weight": UP,
                "lora_unet_another_block_0.lora_down.weight": DOWN,
                "lora_unet_another_block_0.lora_up.weight": UP,
            },
            "unknown names: lora_unet_another_block_0",
        ),
        (
            {
                f"{QUERY_KEY}.lora{end}.weight": tensor
                for end, tensor in {"_down": DOWN, "_up": UP, ".down": DOWN, ".up": UP}.items()
            },
            "twice, in two layouts",
        ),
    ],
)
def test_what_cannot_be_converted_is_refused_with_the_reason(
    path: Path, tmp_path: Path, tensors: dict[str, Tensor], reason: str
):
    written(path, {name: tensor.clone() for name, tensor in tensors.items()})
    with pytest.raises(UnusableLora, match=rf"^{path}.*{reason}"):
        convert(load(path), tmp_path / "new", layout="kohya", header="full")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({f"{QUERY_KEY}.alpha": torch.tensor([1.0, 2.0])}, "alpha of .* is not one number"),
        ({f"{QUERY_KEY}.alpha": torch.tensor(float("nan"))}, "alpha of .* is not one number"),
        ({f"{QUERY_KEY}.alpha": torch.tensor(1j)}, "alpha of .* is not one number"),
        ({f"{QUERY_KEY}.lora_down.weight": torch.ones(3, 5, dtype=torch.int8)}, "whole numbers"),
        ({f"{QUERY_KEY}.lora_down.weight": torch.ones(3, 0)}, "do not fit together"),
        ({f"{QUERY_KEY}.lora_down.weight": torch.ones(3, 5, 0, 0)}, "do not fit together"),
        ({f"{QUERY_KEY}.lora_down.weight": torch.ones(())}, "do not fit together"),
        ({f"{QUERY_KEY}.lora_up.weight": torch.ones(())}, "do not fit together"),
    ],
    ids=str,
)
def test_odd_tensors_are_refused(path: Path, change: dict[str, Tensor], reason: str):
    good = {f"{QUERY_KEY}.lora_down.weight": DOWN, f"{QUERY_KEY}.lora_up.weight": UP}
    with pytest.raises(UnusableLora, match=reason):
        load(written(path, good | change))
