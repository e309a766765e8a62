import gc
import weakref

import pytest
import torch
from torch import Tensor, nn

from modelgenerator.lora.inject import (
    LoraNetwork,
    TargetRule,
    choose_targets,
    find_targets,
    injected,
)

BLOCKS = TargetRule(within=("Block",))
SEQUENTIAL = {"unet": (TargetRule(within=("Sequential",)),)}
RULES = {"unet": (BLOCKS,), "text_encoder": (BLOCKS,)}


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.proj_in = nn.Conv2d(6, 6, 1)
        self.norm = nn.LayerNorm(6)
        self.to_q = nn.Linear(6, 8)
        self.spread = nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        x_BHWC = self.norm(self.proj_in(x_BCHW).permute(0, 2, 3, 1))
        return self.spread(self.to_q(x_BHWC).permute(0, 3, 1, 2))


class Tree(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.entrance = nn.Linear(6, 6)
        self.blocks = nn.ModuleList([Block(), Block()])
        self.blocks[1].eval()
        self.entrance.bias.requires_grad_(False)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.blocks[0](x_BCHW) + self.blocks[1](x_BCHW)


def draw(name: str, shape: tuple[int, int]) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(len(name))) * 2 - 1


@pytest.fixture
def parts() -> dict[str, nn.Module]:
    return {"unet": Tree(), "text_encoder": Tree()}


@pytest.fixture
def x() -> Tensor:
    return torch.randn(2, 6, 4, 4, generator=torch.Generator().manual_seed(2))


def randomized(network: LoraNetwork) -> LoraNetwork:
    g = torch.Generator().manual_seed(3)
    network.load_state({k: torch.randn(v.shape, generator=g) for k, v in network.state().items()})
    return network


def test_targets_are_linear_and_one_by_one_layers_of_the_named_classes(parts):
    found = find_targets(parts["unet"], BLOCKS)
    assert list(found) == ["blocks.0.proj_in", "blocks.0.to_q", "blocks.1.proj_in", "blocks.1.to_q"]


def test_convolutions_with_a_kernel_are_targets_when_the_rule_says_so(parts):
    found = find_targets(parts["unet"], TargetRule(within=("Block",), kernels=True))
    assert [name for name in found if "blocks.0" in name] == [
        "blocks.0.proj_in",
        "blocks.0.to_q",
        "blocks.0.spread",
    ]


def test_what_several_rules_name_is_a_target_once(parts):
    kernels = TargetRule(within=("Tree",), kernels=True)
    assert len(find_targets(parts["unet"], BLOCKS, kernels)) == 7


def test_a_kernel_counts_as_inputs_of_its_convolution():
    model: dict[str, nn.Module] = {"unet": nn.Sequential(nn.Conv2d(100, 60, (2, 2)))}
    rules = {"unet": (TargetRule(within=("Sequential",), kernels=True),)}
    network = LoraNetwork(choose_targets(model, rules=rules, rank=64, alpha=64))
    layer = network.layers["unet.0"]
    assert layer.down_RI.shape == (60, 100 * 2 * 2)
    assert layer.up_OR.shape == (60, 60)
    network.initialize(lambda _, shape: 2 * torch.rand(shape).round() - 1)
    torch.manual_seed(0)
    by_kohya = torch.empty(60, 100, 2, 2)
    nn.init.kaiming_uniform_(by_kohya, a=5**0.5)
    assert layer.down_RI.abs().max().item() == pytest.approx(by_kohya.abs().max().item(), rel=1e-3)


def test_a_fresh_network_changes_nothing(parts, x):
    expected = parts["unet"](x)
    with injected(parts, rules=RULES, rank=2, alpha=2, draw=draw):
        torch.testing.assert_close(parts["unet"](x), expected, rtol=1e-6, atol=1e-6)


def test_a_trained_network_changes_the_answer(parts, x):
    expected = parts["unet"](x)
    with injected(parts, rules=RULES, rank=2, alpha=2, draw=draw) as network:
        randomized(network)
        assert not torch.allclose(parts["unet"](x), expected)


def test_scale_zero_is_the_base_exactly_and_scale_two_doubles_the_correction():
    parts = {"unet": Tree()}
    one = find_targets(parts["unet"], BLOCKS)["blocks.0.to_q"]
    x = torch.randn(3, 6)
    base = one(x)
    with injected(parts, rules=RULES, rank=2, alpha=1, draw=draw) as network:
        randomized(network)
        correction = one(x) - base
        network.scale = 0
        assert torch.equal(one(x), base)
        network.scale = 2
        torch.testing.assert_close(one(x), base + 2 * correction)


def remembered(model: nn.Module) -> tuple[object, ...]:
    return (
        {name: id(module) for name, module in model.named_modules()},
        {name: id(p) for name, p in model.named_parameters()},
        {name: p.requires_grad for name, p in model.named_parameters()},
        {name: value.clone().flatten().tolist() for name, value in model.state_dict().items()},
        {name: (module.training, set(vars(module))) for name, module in model.named_modules()},
    )


def test_on_leaving_the_models_are_as_before(parts):
    before = [remembered(part) for part in parts.values()]
    with injected(parts, rules=RULES, rank=2, alpha=2, draw=draw) as network:
        randomized(network)
        parts["unet"].train()
    assert [remembered(part) for part in parts.values()] == before


def test_an_error_inside_puts_the_models_back_too(parts):
    before = [remembered(part) for part in parts.values()]
    with (
        pytest.raises(KeyboardInterrupt),
        injected(parts, rules=RULES, rank=2, alpha=2, draw=draw),
    ):
        raise KeyboardInterrupt
    assert [remembered(part) for part in parts.values()] == before


def test_inside_the_tree_and_the_state_dict_keep_their_names(parts):
    names = [name for name, _ in parts["unet"].named_modules()]
    keys = list(parts["unet"].state_dict())
    with injected(parts, rules=RULES, rank=2, alpha=2, draw=draw):
        assert [name for name, _ in parts["unet"].named_modules()] == names
        assert list(parts["unet"].state_dict()) == keys


def test_everything_but_the_network_is_frozen_inside(parts):
    with injected(parts, rules=RULES, rank=2, alpha=2, draw=draw):
        assert not any(p.requires_grad for part in parts.values() for p in part.parameters())


def test_a_correction_of_corrected_layers_is_a_mistake_that_restores(parts):
    with injected(parts, rules=RULES, rank=2, alpha=2, draw=draw):
        with (
            pytest.raises(AssertionError, match="corrected already"),
            injected(parts, rules=RULES, rank=2, alpha=2, draw=draw),
        ):
            pass
        assert "forward" in vars(parts["unet"].blocks[0].to_q)


def test_backward_adds_into_the_flat_gradients_in_place(parts, x):
    with injected(parts, rules=RULES, rank=2, alpha=2, draw=draw) as network:
        randomized(network)
        for _ in range(2):
            network.zero_gradients()
            (parts["unet"](x).square().sum() + parts["text_encoder"](x).sum()).backward()
            once = network.gradients_N.clone()
        parts["unet"](x).square().sum().backward()
        start, end = network.gradients_N.data_ptr(), network.gradients_N.nbytes
        for layer in network.layers.values():
            assert layer.up_OR.grad is not None
            assert start <= layer.up_OR.grad.data_ptr() < start + end
            assert layer.up_OR.grad.abs().sum() > 0
        assert not torch.equal(network.gradients_N, once)


def test_a_change_of_the_flat_values_is_a_change_of_the_layers(parts, x):
    expected = parts["unet"](x)
    with injected(parts, rules=RULES, rank=2, alpha=2, draw=draw) as network:
        network.values_N.fill_(0.5)
        assert not torch.allclose(parts["unet"](x), expected)


def test_a_rank_above_the_smaller_side_is_cut_with_its_alpha():
    parts: dict[str, nn.Module] = {"unet": Tree()}
    targets = choose_targets(parts, rules=RULES, rank=12, alpha=6)
    network = LoraNetwork(targets)
    assert all(target.rank == 6 and target.alpha == 3 for target in targets.values())
    assert network.cut_layers(12) == dict.fromkeys(targets, 6)
    assert network.cut_layers(6) == {}


def test_parts_are_laid_out_by_name_whatever_order_they_come_in(parts):
    backwards = dict(reversed(parts.items()))
    one = choose_targets(parts, rules=RULES, rank=2, alpha=2)
    other = choose_targets(backwards, rules=RULES, rank=2, alpha=2)
    assert list(one) == list(other)
    assert next(iter(one)).startswith("text_encoder.")


def test_downs_start_within_one_over_the_square_root_of_the_inputs():
    torch.manual_seed(0)
    wide: dict[str, nn.Module] = {"unet": nn.Sequential(nn.Linear(400, 100))}
    network = LoraNetwork(choose_targets(wide, rules=SEQUENTIAL, rank=64, alpha=64))
    network.initialize(lambda _, shape: torch.rand(shape) * 2 - 1)
    down = network.layers["unet.0"].down_RI
    bound = nn.init.calculate_gain("leaky_relu", 5**0.5) * (3 / 400) ** 0.5
    assert bound == pytest.approx(0.05)
    assert 0.99 * bound < down.abs().max().item() <= bound
    assert not network.layers["unet.0"].up_OR.any()


def test_a_state_is_a_copy_that_brings_the_numbers_back(parts):
    network = LoraNetwork(choose_targets(parts, rules=RULES, rank=2, alpha=2))
    saved = randomized(network).state()
    values = network.values_N.clone()
    network.values_N.zero_()
    network.load_state(saved)
    assert torch.equal(network.values_N, values)
    assert all(tensor.dtype == torch.float32 for tensor in saved.values())


def test_a_state_of_another_network_is_a_mistake(parts):
    network = LoraNetwork(choose_targets(parts, rules=RULES, rank=2, alpha=2))
    state = network.state()
    state.popitem()
    with pytest.raises(AssertionError, match="another network"):
        network.load_state(state)


def test_the_parameter_count_leaves_the_padding_out():
    small: dict[str, nn.Module] = {"unet": nn.Sequential(nn.Linear(5, 3))}
    network = LoraNetwork(choose_targets(small, rules=SEQUENTIAL, rank=2, alpha=2))
    assert network.parameter_count == 2 * 5 + 3 * 2
    assert len(network.values_N) == 32


def test_the_models_do_not_keep_the_network_after_the_block(parts):
    with injected(parts, rules=RULES, rank=2, alpha=2, draw=draw) as network:
        alive = weakref.ref(network.layers["unet.blocks.0.to_q"])
    del network
    gc.collect()
    assert alive() is None


def test_the_matrices_lie_where_the_network_says(parts: dict[str, nn.Module]):
    network = LoraNetwork(choose_targets(parts, rules=RULES, rank=3, alpha=3))
    network.initialize(draw)
    assert len(network.matrices) == 2 * len(network.layers)
    for matrix, (start, shape) in zip(network.state().values(), network.matrices, strict=True):
        length = shape[0] * shape[1]
        assert torch.equal(network.values_N[start : start + length].view(shape), matrix)
