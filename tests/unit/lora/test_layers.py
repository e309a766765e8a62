from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from modelgenerator.lora.layers import (
    ONEDNN_PAYS,
    LoraLayer,
    can_be_corrected,
    features,
    has_kernel,
    lora_layer,
)

RANK = 3


def corrected(base: nn.Linear | nn.Conv2d, *, scale: float = 0.7, seed: int = 0) -> LoraLayer:
    g = torch.Generator().manual_seed(seed)
    outputs, inputs = features(base)
    dtype = torch.float64 if base.weight.dtype == torch.float64 else torch.float32
    down = nn.Parameter(torch.randn(RANK, inputs, generator=g, dtype=dtype))
    up = nn.Parameter(torch.randn(outputs, RANK, generator=g, dtype=dtype))
    base.requires_grad_(False)
    return lora_layer(base, down_RI=down, up_OR=up, scale=scale)


def by_the_book(layer: LoraLayer, x: Tensor) -> Tensor:
    """The same as three separate modules would answer."""
    base = layer.base
    if isinstance(base, nn.Linear):
        return base(x) + layer.scale * (x @ layer.down_RI.T @ layer.up_OR.T)
    down = nn.Conv2d(base.in_channels, RANK, base.kernel_size, bias=False)
    down.stride, down.padding, down.dilation = base.stride, base.padding, base.dilation
    down_RIHW = layer.down_RI.unflatten(1, base.weight.shape[1:])
    h = torch.func.functional_call(down, {"weight": down_RIHW}, x)
    return base(x) + layer.scale * torch.einsum("brhw,or->bohw", h, layer.up_OR)


def linear() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(5, 4, dtype=torch.float64)


def convolution() -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(5, 4, 1, dtype=torch.float64)


def kernel(**how: Any) -> Callable[[], nn.Conv2d]:
    def make() -> nn.Conv2d:
        torch.manual_seed(0)
        return nn.Conv2d(5, 4, 3, dtype=torch.float64, **how)

    return make


def channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


INPUTS = {
    "tokens": (linear, lambda: torch.randn(6, 5)),
    "batch of tokens": (linear, lambda: torch.randn(2, 6, 5)),
    "one token": (linear, lambda: torch.randn(5)),
    "transposed tokens": (linear, lambda: torch.randn(2, 5, 6).transpose(1, 2)),
    "no bias": (
        lambda: nn.Linear(5, 4, bias=False, dtype=torch.float64),
        lambda: torch.randn(6, 5),
    ),
    "image": (convolution, lambda: torch.randn(2, 5, 3, 2)),
    "channels last": (convolution, lambda: channels_last(torch.randn(2, 5, 3, 2))),
    "transposed image": (convolution, lambda: torch.randn(2, 5, 3, 2).transpose(2, 3)),
    "one pixel": (convolution, lambda: torch.randn(2, 5, 1, 1)),
    "cut image": (convolution, lambda: torch.randn(4, 5, 6, 4)[::2, :, ::2, 1:]),
    "kernel": (kernel(padding=1), lambda: torch.randn(2, 5, 4, 3)),
    "kernel, channels last": (kernel(padding=1), lambda: channels_last(torch.randn(2, 5, 4, 3))),
    "kernel in strides": (kernel(stride=2, padding=1), lambda: torch.randn(2, 5, 4, 6)),
    "kernel with gaps": (kernel(dilation=2, padding="same"), lambda: torch.randn(2, 5, 4, 3)),
    "kernel without bias": (kernel(bias=False), lambda: torch.randn(2, 5, 4, 3)),
    "pixels in strides": (
        lambda: nn.Conv2d(5, 4, 1, stride=2, dtype=torch.float64),
        lambda: torch.randn(2, 5, 4, 4),
    ),
}


@pytest.fixture(params=INPUTS, ids=str)
def case(request: pytest.FixtureRequest) -> tuple[LoraLayer, Tensor]:
    make_base, make_input = INPUTS[request.param]
    torch.manual_seed(1)
    return corrected(make_base()), make_input().double()


def test_the_answer_is_base_plus_the_scaled_correction(case: tuple[LoraLayer, Tensor]):
    layer, x = case
    torch.testing.assert_close(layer(x), by_the_book(layer, x))


def test_the_gradients_are_those_of_finite_differences(case: tuple[LoraLayer, Tensor]):
    layer, x = case
    x.requires_grad_(True)
    inputs = (x, layer.down_RI, layer.up_OR)
    assert torch.autograd.gradcheck(lambda x, *_: layer(x), inputs)


def test_the_gradients_are_those_of_separate_modules(case: tuple[LoraLayer, Tensor]):
    layer, x = case
    x.requires_grad_(True)
    inputs = (x, layer.down_RI, layer.up_OR)
    ours = torch.autograd.grad(layer(x).square().sum(), inputs)
    theirs = torch.autograd.grad(by_the_book(layer, x).square().sum(), inputs)
    torch.testing.assert_close(ours, theirs)


BASES = {
    "linear": lambda: nn.Linear(64, 96),
    "1x1 convolution": lambda: nn.Conv2d(64, 96, 1),
    "3x3 convolution": lambda: nn.Conv2d(64, 96, 3, padding=1),
}


@pytest.fixture(params=BASES, ids=str)
def base(request: pytest.FixtureRequest) -> nn.Linear | nn.Conv2d:
    torch.manual_seed(0)
    return BASES[request.param]()


def test_a_fresh_layer_answers_exactly_as_its_base(base: nn.Linear | nn.Conv2d):
    layer = corrected(base)
    nn.init.zeros_(layer.up_OR)
    shape = (2, 50, 64) if isinstance(base, nn.Linear) else (2, 64, 7, 5)
    x = torch.randn(shape)
    assert torch.equal(layer(x), base(x))


@pytest.mark.parametrize("width", [8, 256])
def test_small_and_large_products_are_the_same_layer(width: int):
    """They are multiplied by different libraries."""
    torch.manual_seed(0)
    layer = corrected(nn.Linear(width, width))
    x = torch.randn(2, 50, width, requires_grad=True)
    inputs = (x, layer.down_RI, layer.up_OR)
    assert (x.numel() * width >= ONEDNN_PAYS) == (width == 256)
    torch.testing.assert_close(layer(x), by_the_book(layer, x), rtol=1e-4, atol=1e-4)
    ours = torch.autograd.grad(layer(x).sum(), inputs)
    theirs = torch.autograd.grad(by_the_book(layer, x).sum(), inputs)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-3)


def test_scale_zero_answers_exactly_as_its_base(base: nn.Linear | nn.Conv2d):
    layer = corrected(base, scale=0)
    shape = (2, 50, 64) if isinstance(base, nn.Linear) else (2, 64, 7, 5)
    x = torch.randn(shape)
    assert torch.equal(layer(x), base(x))


def test_the_frozen_weight_gets_no_gradient(case: tuple[LoraLayer, Tensor]):
    layer, x = case
    layer(x).sum().backward()
    assert layer.base.weight.grad is None
    assert layer.base.bias is None or layer.base.bias.grad is None


@pytest.mark.parametrize("size", [1, 3])
def test_a_channels_last_answer_stays_channels_last(size: int):
    layer = corrected(nn.Conv2d(8, 8, size))
    y = layer(channels_last(torch.randn(2, 8, 4, 4)))
    assert y.is_contiguous(memory_format=torch.channels_last)


def test_a_half_precision_base_trains_fp32_matrices(base: nn.Linear | nn.Conv2d):
    exact = corrected(base)
    half = lora_layer(
        base.to(torch.bfloat16), down_RI=exact.down_RI, up_OR=exact.up_OR, scale=exact.scale
    )
    shape = (5, 64) if isinstance(base, nn.Linear) else (2, 64, 3, 3)
    x = torch.randn(shape, dtype=torch.bfloat16, requires_grad=True)
    y = half(x)
    y.float().sum().backward()
    assert y.dtype == torch.bfloat16
    assert x.grad is not None
    assert x.grad.dtype == torch.bfloat16
    assert half.down_RI.grad is not None
    assert half.down_RI.grad.dtype == torch.float32


def test_autocast_decides_the_compute_dtype(base: nn.Linear | nn.Conv2d):
    layer = corrected(base)
    shape = (5, 64) if isinstance(base, nn.Linear) else (2, 64, 3, 3)
    x = torch.randn(shape, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = layer(x)
    y.float().sum().backward()
    assert y.dtype == torch.bfloat16
    assert x.grad is not None
    assert x.grad.dtype == torch.float32
    torch.testing.assert_close(y.float(), by_the_book(layer, x), atol=0.2, rtol=0.05)


def test_gradient_checkpointing_gives_the_same_gradients(case: tuple[LoraLayer, Tensor]):
    layer, x = case
    x.requires_grad_(True)
    inputs = (x, layer.down_RI, layer.up_OR)
    plain = torch.autograd.grad(layer(x).square().sum(), inputs)
    y = checkpoint(layer, x, use_reentrant=False)
    assert isinstance(y, Tensor)
    again = torch.autograd.grad(y.square().sum(), inputs)
    torch.testing.assert_close(again, plain, rtol=0, atol=0)


def test_a_second_derivative_is_refused():
    layer = corrected(linear())
    y = layer(torch.randn(3, 5, dtype=torch.float64))
    with pytest.raises(AssertionError, match="second derivative"):
        torch.autograd.grad(y.square().sum(), layer.down_RI, create_graph=True)


def test_plain_linear_layers_and_convolutions_over_all_channels_can_be_corrected():
    class Quantized(nn.Linear):
        pass

    good = (
        nn.Linear(2, 2),
        nn.Conv2d(2, 2, 1),
        nn.Conv2d(2, 2, 3, padding=1),
        nn.Conv2d(2, 2, 3, stride=2),
    )
    assert all(can_be_corrected(layer) for layer in good)
    others = (
        Quantized(2, 2),
        nn.Conv2d(2, 2, 3, groups=2),
        nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"),
        nn.ConvTranspose2d(2, 2, 3),
        nn.LayerNorm(2),
    )
    assert not any(can_be_corrected(other) for other in others)


def test_a_convolution_has_a_kernel_when_it_sees_more_than_one_pixel():
    assert has_kernel(nn.Conv2d(2, 2, 3))
    assert has_kernel(nn.Conv2d(2, 2, (1, 3)))
    assert not has_kernel(nn.Conv2d(2, 2, 1, stride=2))
    assert not has_kernel(nn.Linear(2, 2))
