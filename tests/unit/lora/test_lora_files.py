import hashlib
import json
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from modelgenerator.errors import OutputNotWritable, UnusableLora
from modelgenerator.lora.files import applied, load, save
from modelgenerator.lora.inject import LoraNetwork, TargetRule, choose_targets
from modelgenerator.lora.key_names import STABLE_DIFFUSION_NAMES as NAMES

RULES = {
    "unet": (TargetRule(within=("Unet",)),),
    "text_encoder": (TargetRule(within=("Encoder",)),),
}


class Unet(nn.Module):
    def __init__(self, width: int = 6) -> None:
        super().__init__()
        self.proj_in = nn.Conv2d(4, width, 1)
        self.to_q = nn.Linear(width, 8)
        self.spread = nn.Conv2d(8, 8, 3)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.to_q(self.proj_in(x_BCHW).permute(0, 2, 3, 1))


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(5, 5)


@pytest.fixture
def parts() -> dict[str, nn.Module]:
    torch.manual_seed(0)
    # frozen, as torch may take another convolution for weights that are trained
    return {"unet": Unet().requires_grad_(False), "text_encoder": Encoder().requires_grad_(False)}


@pytest.fixture
def network(parts: dict[str, nn.Module]) -> LoraNetwork:
    made = LoraNetwork(choose_targets(parts, rules=RULES, rank=3, alpha=1.5))
    g = torch.Generator().manual_seed(1)
    made.load_state({k: torch.randn(v.shape, generator=g) for k, v in made.state().items()})
    return made


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lora.safetensors"


@pytest.fixture
def x() -> Tensor:
    return torch.randn(2, 4, 3, 3, generator=torch.Generator().manual_seed(2))


def rewritten(path: Path, network: LoraNetwork, change: dict[str, Tensor | None]) -> Path:
    """A good file with some tensors replaced, or taken out."""
    save(path, network, names=NAMES, metadata={})
    tensors = load_file(path) | change
    save_file({key: tensor for key, tensor in tensors.items() if tensor is not None}, path)
    return path


def test_the_file_has_kohyas_layout(network: LoraNetwork, path: Path):
    save(path, network, names=NAMES, metadata={})
    tensors = {key: (tuple(t.shape), t.dtype) for key, t in load_file(path).items()}
    assert tensors == {
        "lora_te_text_model_fc1.alpha": ((), torch.float32),
        "lora_te_text_model_fc1.lora_down.weight": ((3, 5), torch.float16),
        "lora_te_text_model_fc1.lora_up.weight": ((5, 3), torch.float16),
        "lora_unet_proj_in.alpha": ((), torch.float32),
        "lora_unet_proj_in.lora_down.weight": ((3, 4, 1, 1), torch.float16),
        "lora_unet_proj_in.lora_up.weight": ((6, 3, 1, 1), torch.float16),
        "lora_unet_to_q.alpha": ((), torch.float32),
        "lora_unet_to_q.lora_down.weight": ((3, 6), torch.float16),
        "lora_unet_to_q.lora_up.weight": ((8, 3), torch.float16),
    }


def test_a_cut_layer_has_the_alpha_of_all_and_the_same_effect(
    parts: dict[str, nn.Module], path: Path
):
    cut = LoraNetwork(choose_targets(parts, rules=RULES, rank=8, alpha=4))
    cut.values_N.fill_(0.5)
    save(path, cut, names=NAMES, metadata={})
    tensors = load_file(path)
    alphas = {float(tensor) for key, tensor in tensors.items() if key.endswith("alpha")}
    assert alphas == {3}  # 6 of 8 in the widest layer
    down = tensors["lora_unet_proj_in.lora_down.weight"].flatten(1).float()
    up = tensors["lora_unet_proj_in.lora_up.weight"].flatten(1).float()
    assert down.shape[0] == 4
    expected = 4 / 8 * torch.full((6, 4), 4 * 0.5 * 0.5)
    torch.testing.assert_close(3 / 4 * up @ down, expected, rtol=1e-3, atol=0)


def test_a_loaded_file_answers_as_the_network_that_was_saved(
    parts: dict[str, nn.Module], network: LoraNetwork, path: Path, x: Tensor
):
    network.values_N.copy_(network.values_N.half())  # what fp16 can hold
    save(path, network, names=NAMES, metadata={})
    expected = parts["unet"].to_q(parts["unet"].proj_in(x).permute(0, 2, 3, 1))
    with applied(load(path), parts, names=NAMES) as loaded:
        assert loaded.state().keys() == network.state().keys()
        assert all(torch.equal(t, network.state()[name]) for name, t in loaded.state().items())
        assert all(loaded.targets[n].alpha == 1.5 for n in network.targets)
        assert not torch.allclose(parts["unet"](x), expected)


def test_scale_zero_is_the_base_model_exactly(
    parts: dict[str, nn.Module], network: LoraNetwork, path: Path, x: Tensor
):
    save(path, network, names=NAMES, metadata={})
    expected = parts["unet"](x)
    with applied(load(path), parts, names=NAMES, scale=0):
        assert torch.equal(parts["unet"](x), expected)
    assert torch.equal(parts["unet"](x), expected)


def test_a_file_without_alpha_is_read_at_its_full_strength(network: LoraNetwork, path: Path):
    rewritten(path, network, {"lora_unet_to_q.alpha": None})
    assert load(path).corrections["lora_unet_to_q"].alpha == 3


def test_a_linear_layer_may_be_stored_as_a_convolution(
    parts: dict[str, nn.Module], network: LoraNetwork, path: Path
):
    key = "lora_unet_to_q.lora_down.weight"
    rewritten(path, network, {key: torch.randn(3, 6, 1, 1)})
    with applied(load(path), parts, names=NAMES) as loaded:
        assert loaded.layers["unet.to_q"].down_RI.shape == (3, 6)


def test_a_layer_that_fp16_cannot_hold_stays_fp32(network: LoraNetwork, path: Path):
    with torch.no_grad():
        network.layers["unet.to_q"].up_OR[0, 0] = 1e6
    save(path, network, names=NAMES, metadata={})
    tensors = load_file(path)
    assert tensors["lora_unet_to_q.lora_up.weight"].dtype == torch.float32
    assert tensors["lora_unet_to_q.lora_up.weight"].max() == 1e6
    assert tensors["lora_unet_proj_in.lora_up.weight"].dtype == torch.float16


def test_metadata_is_kept_and_the_hash_is_that_of_the_tensors(network: LoraNetwork, path: Path):
    save(path, network, names=NAMES, metadata={"modelspec.title": "lvff, Füchslein"})
    content = path.read_bytes()
    body = content[8 + int.from_bytes(content[:8], "little") :]
    metadata = load(path).metadata
    assert metadata["modelspec.title"] == "lvff, Füchslein"
    assert metadata["sshs_model_hash"] == hashlib.sha256(body).hexdigest()
    assert metadata["modelspec.hash_sha256"] == "0x" + hashlib.sha256(body).hexdigest()


def test_the_hash_does_not_depend_on_the_metadata(network: LoraNetwork, tmp_path: Path):
    one, other = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    save(one, network, names=NAMES, metadata={"modelspec.date": "2026-11-23"})
    save(other, network, names=NAMES, metadata={"modelspec.date": "2026-11-24"})
    assert load(one).metadata["sshs_model_hash"] == load(other).metadata["sshs_model_hash"]


def test_a_file_holds_no_pickle(network: LoraNetwork, path: Path):
    save(path, network, names=NAMES, metadata={})
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert "lora_unet_to_q.alpha" in header


def test_a_missing_folder_is_an_error_with_the_path(network: LoraNetwork, tmp_path: Path):
    path = tmp_path / "nowhere" / "lora.safetensors"
    with pytest.raises(OutputNotWritable, match=r"nowhere.lora\.safetensors: No such file"):
        save(path, network, names=NAMES, metadata={})


@pytest.fixture
def full_disk() -> Iterator[None]:
    """No file of this process may grow above 100 bytes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_leaves_the_earlier_file_and_no_partial_one(network: LoraNetwork, path: Path):
    path.write_bytes(b"earlier")
    with pytest.raises(OutputNotWritable, match=r"lora\.safetensors"):
        save(path, network, names=NAMES, metadata={})
    assert path.read_bytes() == b"earlier"
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_in_the_way_is_an_error_and_leaves_no_partial_file(
    network: LoraNetwork, path: Path
):
    path.mkdir()
    with pytest.raises(OutputNotWritable, match="directory"):
        save(path, network, names=NAMES, metadata={})
    assert list(path.parent.iterdir()) == [path]


def test_a_missing_file_is_refused_with_its_path(path: Path):
    with pytest.raises(UnusableLora, match=r"There is no LoRA file .*lora\.safetensors"):
        load(path)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x02}q\x00." * 40], ids=str)
def test_something_that_is_not_safetensors_is_refused(path: Path, content: bytes):
    path.write_bytes(content)
    with pytest.raises(UnusableLora, match="is not a safetensors file"):
        load(path)


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_truncated_file_is_refused(network: LoraNetwork, path: Path, share: float):
    save(path, network, names=NAMES, metadata={})
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(UnusableLora, match="cut off or damaged"):
        load(path)


def test_a_whole_base_model_is_refused(path: Path):
    save_file({"down_blocks.0.attentions.0.proj_in.weight": torch.zeros(2, 2)}, path)
    with pytest.raises(UnusableLora, match="is not a LoRA: none of its 1 tensors"):
        load(path)


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("lora_unet_to_q.hada_w1_a", "a LoHa"),
        ("lora_unet_to_q.lokr_w1", "a LoKr"),
        ("lora_unet_to_q.dora_scale", "a DoRA"),
        ("lora_unet_to_q.oft_blocks", "an OFT"),
        ("unet.to_q.lora_magnitude_vector", "a DoRA"),
        ("lora_unet_to_q.lora_mid.weight", "a LoRA with Tucker decomposition"),
        ("lora_unet_to_q.diff", "a LoRA with full differences"),
        ("unet.to_q.lora_B.bias", "a LoRA with biases"),
        ("unet.to_q.lora_A.second.weight", "a LoRA with several adapters"),
    ],
)
def test_other_kinds_of_networks_are_refused_by_name(
    network: LoraNetwork, path: Path, key: str, kind: str
):
    rewritten(path, network, {key: torch.zeros(2, 2)})
    with pytest.raises(UnusableLora, match=f"is {kind}, which cannot be used here"):
        load(path)


def test_tensors_that_belong_to_no_layer_are_named(network: LoraNetwork, path: Path):
    extra: dict[str, Tensor | None] = {f"extra{i}": torch.zeros(1) for i in range(5)}
    rewritten(path, network, extra)
    with pytest.raises(UnusableLora, match="no LoRA layer: extra0, extra1, extra2 and 2 more"):
        load(path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            {"lora_unet_to_q.lora_up.weight": torch.zeros(8, 2)},
            "ranks of lora_unet_to_q do not fit",
        ),
        ({"lora_unet_to_q.lora_up.weight": torch.zeros(8)}, "ranks of lora_unet_to_q do not fit"),
        ({"lora_unet_to_q.lora_up.weight": None}, "lora_unet_to_q has a lora_down and no lora_up"),
        ({"lora_unet_to_q.lora_up.weight": torch.full((8, 3), torch.nan)}, "are not finite"),
        ({"lora_unet_proj_in.lora_up.weight": torch.zeros(6, 3, 3, 3)}, "two sides of length 1"),
        ({"lora_unet_proj_in.lora_down.weight": torch.zeros(3, 4, 1)}, "do not fit"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_matrices_that_make_no_correction_are_refused(
    network: LoraNetwork, path: Path, change: dict[str, Tensor | None], reason: str
):
    rewritten(path, network, change)
    with pytest.raises(UnusableLora, match=reason):
        load(path)


@pytest.mark.parametrize(
    ("key", "family"),
    [
        ("lora_te2_text_model_fc1", "Stable Diffusion XL"),
        ("lora_unet_double_blocks_0_img_attn_qkv", "FLUX"),
        ("lora_unet_joint_blocks_0_x_block_attn_qkv", "Stable Diffusion 3"),
    ],
)
def test_a_lora_of_another_family_is_refused_by_its_name(
    parts: dict[str, nn.Module], path: Path, key: str, family: str
):
    matrices = {
        f"{key}.lora_down.weight": torch.ones(2, 3),
        f"{key}.lora_up.weight": torch.ones(3, 2),
    }
    save_file(matrices, path)
    with (
        pytest.raises(UnusableLora, match=f"is a LoRA for {family}"),
        applied(load(path), parts, names=NAMES),
    ):
        pass


def test_layers_that_the_base_model_does_not_have_are_counted_and_named(
    parts: dict[str, nn.Module], network: LoraNetwork, path: Path
):
    save(path, network, names=NAMES, metadata={})
    lora = load(path)
    message = "Not all of the 3 layers .* missing: lora_te_text_model_fc1"
    with (
        pytest.raises(UnusableLora, match=message),
        applied(lora, {"unet": parts["unet"]}, names=NAMES),
    ):
        pass
    message = "None of the 3 layers"
    with (
        pytest.raises(UnusableLora, match=message),
        applied(lora, {"unet": nn.Linear(2, 2)}, names=NAMES),
    ):
        pass


def test_a_layer_of_another_size_is_refused(
    parts: dict[str, nn.Module], network: LoraNetwork, path: Path
):
    save(path, network, names=NAMES, metadata={})
    parts["unet"] = Unet(width=7)
    message = "lora_unet_proj_in turns 4 numbers into 6, the layer here 4 numbers into 7"
    with (
        pytest.raises(UnusableLora, match=message),
        applied(load(path), parts, names=NAMES),
    ):
        pass


@pytest.fixture
def convolutions(parts: dict[str, nn.Module]) -> LoraNetwork:
    rules = {"unet": (TargetRule(within=("Unet",), kernels=True),)}
    targets = choose_targets({"unet": parts["unet"]}, rules=rules, rank=3, alpha=1.5)
    made = LoraNetwork(targets)
    g = torch.Generator().manual_seed(1)
    made.load_state({k: torch.randn(v.shape, generator=g) for k, v in made.state().items()})
    made.values_N.copy_(made.values_N.half())  # what fp16 can hold
    return made


def test_a_kernel_is_stored_with_its_sides_in_down(convolutions: LoraNetwork, path: Path):
    save(path, convolutions, names=NAMES, metadata={})
    tensors = load_file(path)
    assert tensors["lora_unet_spread.lora_down.weight"].shape == (3, 8, 3, 3)
    assert tensors["lora_unet_spread.lora_up.weight"].shape == (8, 3, 1, 1)


def test_a_loaded_kernel_changes_the_weight_as_the_file_says(
    parts: dict[str, nn.Module], convolutions: LoraNetwork, path: Path
):
    save(path, convolutions, names=NAMES, metadata={})
    down = load_file(path)["lora_unet_spread.lora_down.weight"].float()
    up = load_file(path)["lora_unet_spread.lora_up.weight"].float()
    spread = parts["unet"].spread
    x = torch.randn(2, 8, 5, 4)
    weight = spread.weight + 1.5 / 3 * torch.einsum("orab,rihw->oihw", up, down)
    expected = nn.functional.conv2d(x, weight, spread.bias)
    with applied(load(path), parts, names=NAMES) as loaded:
        assert all(torch.equal(t, convolutions.state()[n]) for n, t in loaded.state().items())
        torch.testing.assert_close(spread(x), expected)


@pytest.mark.parametrize(
    ("key", "down", "what"),
    [
        ("spread", (3, 8, 5, 5), "8 numbers of each of 5 x 5 pixels into 8, the layer here 8 num"),
        ("spread", (3, 8, 1, 9), "of each of 1 x 9 pixels into 8"),
        ("spread", (3, 72), "turns 72 numbers into 8"),
        ("to_q", (3, 6, 3, 3), "6 numbers of each of 3 x 3 pixels into 8, the layer here 6 numb"),
    ],
)
def test_a_kernel_of_another_size_is_refused(
    parts: dict[str, nn.Module],
    convolutions: LoraNetwork,
    path: Path,
    key: str,
    down: tuple[int, ...],
    what: str,
):
    rewritten(path, convolutions, {f"lora_unet_{key}.lora_down.weight": torch.ones(down)})
    with (
        pytest.raises(UnusableLora, match=what),
        applied(load(path), parts, names=NAMES),
    ):
        pass
