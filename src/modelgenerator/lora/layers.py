"""The low-rank correction that training learns.

In: a frozen layer and two small matrices.  Out: the corrected layer's answer and the gradients of
the two matrices.  Knows no model, no names, no optimizer.

Shapes: `x_NI` N tokens of I input features, `y_NO` of O output features, `down_RI` and `up_OR` with
R the rank; convolution inputs are `x_BIHW`.  Of a convolution with a kernel of K pixels, I counts
all numbers that one output pixel is made of, channels times K, channel first.
"""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class LoraLayer(ABC):
    """A frozen layer plus a small trainable correction.

        y = base(x) + scale * up(down(x))

    `up` starts at zero, so a fresh layer answers as `base` does, to rounding; scale 0 does exactly.
    The matrices are fp32 parameters; the arithmetic runs in the dtype that `base` answers in.
    Source: Hu et al. 2021, https://arxiv.org/abs/2106.09685, section 4.1.
    """

    def __init__(
        self,
        base: nn.Linear | nn.Conv2d,
        *,
        down_RI: nn.Parameter,
        up_OR: nn.Parameter,
        scale: float,
    ) -> None:
        outputs, inputs = features(base)
        assert down_RI.shape == (up_OR.shape[1], inputs)
        assert up_OR.shape[0] == outputs
        self.base = base
        self.down_RI = down_RI
        self.up_OR = up_OR
        self.scale = scale

    @abstractmethod
    def __call__(self, x: Tensor) -> Tensor:
        """The corrected answer."""


class LoraLinear(LoraLayer):
    """The correction of an `nn.Linear`; inputs of any rank, features last."""

    def __call__(self, x: Tensor) -> Tensor:
        base = self.base
        if self.scale == 0:
            return functional.linear(x, base.weight, base.bias)
        return _CorrectedLinear.apply(
            x, base.weight, base.bias, self.down_RI, self.up_OR, self.scale
        )


class LoraConv1x1(LoraLayer):
    """The correction of a 1x1 `nn.Conv2d`: a linear layer over the pixels."""

    def __call__(self, x: Tensor) -> Tensor:
        base = self.base
        if self.scale == 0:
            return functional.conv2d(x, base.weight, base.bias)
        return _CorrectedConv1x1.apply(
            x, base.weight, base.bias, self.down_RI, self.up_OR, self.scale
        )


class LoraConv(LoraLayer):
    """The correction of an `nn.Conv2d` with a kernel: down sees what base sees, up is 1x1.

    Plain operations: here the convolutions take the time, and a node of our own saved none of it.
    Source: LoCon; kohya-ss/sd-scripts, networks/lora.py, `LoRAModule`.
    """

    def __call__(self, x: Tensor) -> Tensor:
        base = self.base
        assert isinstance(base, nn.Conv2d)
        place: Any = (base.stride, base.padding, base.dilation)
        y_BOHW = functional.conv2d(x, base.weight, base.bias, *place)
        if self.scale == 0:
            return y_BOHW
        x, down, up = _as_dtype(y_BOHW.dtype, x, self.down_RI, self.up_OR)
        down_RIHW = down.view(-1, *base.weight.shape[1:])
        h_BRHW = functional.conv2d(x, down_RIHW, None, *place)
        h_BHWR = h_BRHW.permute(0, 2, 3, 1)  # as rows: torch's own way for 1x1 is slow
        more_BOHW = functional.linear(h_BHWR, up).permute(0, 3, 1, 2)
        return torch.add(y_BOHW, more_BOHW, alpha=self.scale)


def lora_layer(
    base: nn.Linear | nn.Conv2d, *, down_RI: nn.Parameter, up_OR: nn.Parameter, scale: float
) -> LoraLayer:
    """The correction that fits `base`."""
    if isinstance(base, nn.Linear):
        kind = LoraLinear
    else:
        kind = LoraConv1x1 if _is_linear_over_pixels(base) else LoraConv
    return kind(base, down_RI=down_RI, up_OR=up_OR, scale=scale)


def features(base: nn.Linear | nn.Conv2d) -> tuple[int, int]:
    """Outputs, and how many numbers each is made of, of a layer that can be corrected."""
    return base.weight.shape[0], base.weight[0].numel()


def can_be_corrected(layer: nn.Module) -> bool:
    """Is `layer` a linear layer, or a convolution in which every output sees every channel?

    Subclasses are left out: they may compute something else from their weight (quantized layers).
    """
    if type(layer) is nn.Conv2d:
        return layer.groups == 1 and layer.padding_mode == "zeros"
    return type(layer) is nn.Linear


def has_kernel(layer: nn.Module) -> bool:
    """Is `layer` a convolution that sees more than one pixel at a time?"""
    return isinstance(layer, nn.Conv2d) and layer.kernel_size != (1, 1)


def _is_linear_over_pixels(layer: nn.Conv2d) -> bool:
    plain = layer.stride == (1, 1) and layer.padding in ((0, 0), "valid")
    return layer.kernel_size == (1, 1) and plain


# One autograd node instead of the six that separate modules make: nothing of the output's size is
# allocated beside the output itself, the frozen weight gets no gradient, and of the correction only
# x and h = down(x) are kept for the way back.  Layers of 64 features take 30 microseconds of
# arithmetic, so every Python call here counts.


class _CorrectedLinear(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight_OI: Tensor,
        bias_O: Tensor | None,
        down_RI: Tensor,
        up_OR: Tensor,
        scale: float,
    ) -> Tensor:
        x_NI = x.reshape(-1, x.shape[-1])
        y_NO = _linear(x_NI, weight_OI, bias_O)
        # y's dtype is the compute dtype, also under autocast
        rows_NI, down, up = _as_dtype(y_NO.dtype, x_NI, down_RI, up_OR)
        h_NR = torch.mm(rows_NI, down.t())
        y_NO.addmm_(h_NR, up.t(), alpha=scale)
        ctx.save_for_backward(x_NI, h_NR, weight_OI, down_RI, up_OR)
        ctx.scale = scale
        ctx.input_shape = x.shape
        return y_NO.view(*x.shape[:-1], y_NO.shape[1])

    @staticmethod
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, dy: Tensor
    ) -> tuple[Tensor | None, ...]:
        x_NI, h_NR, weight_OI, down_RI, up_OR = ctx.saved_tensors
        dy_NO = dy.reshape(-1, dy.shape[-1])
        dx, d_down_RI, d_up_OR = _gradients_over_rows(
            ctx, dy_NO, x_NI, h_NR, weight_OI, down_RI, up_OR
        )
        return dx if dx is None else dx.view(ctx.input_shape), None, None, d_down_RI, d_up_OR, None


class _CorrectedConv1x1(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x_BIHW: Tensor,
        weight_OI11: Tensor,
        bias_O: Tensor | None,
        down_RI: Tensor,
        up_OR: Tensor,
        scale: float,
    ) -> Tensor:
        ctx.scale = scale
        ctx.input_shape = x_BIHW.shape
        ctx.pixels_are_rows = _pixels_are_rows(x_BIHW)
        if ctx.pixels_are_rows:
            x = _as_rows(x_BIHW)
            y_PO = _linear(x, weight_OI11.flatten(1), bias_O)
            rows_PI, down, up = _as_dtype(y_PO.dtype, x, down_RI, up_OR)
            h = torch.mm(rows_PI, down.t())
            y_PO.addmm_(h, up.t(), alpha=scale)
            y_BOHW = _as_image(y_PO, x_BIHW)
        else:
            y_BOHW = functional.conv2d(x_BIHW, weight_OI11, bias_O)
            x = x_BIHW.flatten(2)
            planes_BIP, down, up = _as_dtype(y_BOHW.dtype, x, down_RI, up_OR)
            h = torch.matmul(down, planes_BIP)
            y_BOP = y_BOHW.view(*y_BOHW.shape[:2], -1)
            y_BOP.baddbmm_(up.expand(len(x), -1, -1), h, alpha=scale)
        ctx.save_for_backward(x, h, weight_OI11, down_RI, up_OR)
        return y_BOHW

    @staticmethod
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, dy_BOHW: Tensor
    ) -> tuple[Tensor | None, ...]:
        x, h, weight_OI11, down_RI, up_OR = ctx.saved_tensors
        weight_OI = weight_OI11.flatten(1)
        if ctx.pixels_are_rows:
            dx, d_down_RI, d_up_OR = _gradients_over_rows(
                ctx, _as_rows(dy_BOHW), x, h, weight_OI, down_RI, up_OR
            )
            if dx is not None:
                dx = _as_image(dx, dy_BOHW)
        else:
            dx, d_down_RI, d_up_OR = _gradients_over_planes(
                ctx, dy_BOHW.flatten(2), x, h, weight_OI, down_RI, up_OR
            )
            if dx is not None:
                dx = dx.view(ctx.input_shape)
        return dx, None, None, d_down_RI, d_up_OR, None


def _gradients_over_rows(
    ctx: Any,
    dy_NO: Tensor,
    x_NI: Tensor,
    h_NR: Tensor,
    weight_OI: Tensor,
    down_RI: Tensor,
    up_OR: Tensor,
) -> tuple[Tensor | None, Tensor, Tensor]:
    assert not torch.is_grad_enabled(), "a LoRA layer has no second derivative"
    rows_NI, down, up, weight = _as_dtype(dy_NO.dtype, x_NI, down_RI, up_OR, weight_OI)
    dh_NR = torch.mm(dy_NO, up)
    d_up_RO = torch.mm(h_NR.t(), dy_NO)  # faster than its transpose
    if ctx.scale != 1:
        dh_NR.mul_(ctx.scale)
        d_up_RO.mul_(ctx.scale)
    d_down_RI = torch.mm(dh_NR.t(), rows_NI)
    dx_NI = None
    if ctx.needs_input_grad[0]:
        dx_NI = _linear(dy_NO, weight.t(), None).addmm_(dh_NR, down)
    # autograd casts gradients to their inputs' dtypes
    return dx_NI, d_down_RI, d_up_RO.t()


def _gradients_over_planes(
    ctx: Any,
    dy_BOP: Tensor,
    x_BIP: Tensor,
    h_BRP: Tensor,
    weight_OI: Tensor,
    down_RI: Tensor,
    up_OR: Tensor,
) -> tuple[Tensor | None, Tensor, Tensor]:
    assert not torch.is_grad_enabled(), "a LoRA layer has no second derivative"
    planes_BIP, down, up, weight = _as_dtype(dy_BOP.dtype, x_BIP, down_RI, up_OR, weight_OI)
    dh_BRP = torch.matmul(up.t(), dy_BOP).mul_(ctx.scale)
    d_down_RI = torch.bmm(dh_BRP, planes_BIP.transpose(1, 2)).sum(0)
    d_up_OR = torch.bmm(dy_BOP, h_BRP.transpose(1, 2)).sum(0).mul_(ctx.scale)
    dx_BIP = None
    if ctx.needs_input_grad[0]:
        down_BIR = down.t().expand(len(dy_BOP), -1, -1)
        dx_BIP = torch.matmul(weight.t(), dy_BOP).baddbmm_(down_BIR, dh_BRP)
    return dx_BIP, d_down_RI, d_up_OR


_ONEDNN: Any = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
ONEDNN_PAYS = 2**22
"""Multiplications from which oneDNN's faster arithmetic outweighs the 30 microseconds of a call."""


def _linear(x_NI: Tensor, weight_OI: Tensor, bias_O: Tensor | None) -> Tensor:
    """`functional.linear`, large ones by oneDNN where that is possible.

    torch multiplies fp32 matrices with MKL, which is slower on AMD processors: by a tenth to a
    half on those that were measured (docs/performance.md).
    """
    is_small = len(x_NI) * weight_OI.numel() < ONEDNN_PAYS
    if is_small or not _onednn_can_multiply(x_NI):
        return functional.linear(x_NI, weight_OI, bias_O)
    return _ONEDNN(x_NI, weight_OI, bias_O, "none", [], "")


def _onednn_can_multiply(x_NI: Tensor) -> bool:
    plain = x_NI.dtype is torch.float32 and x_NI.device.type == "cpu"
    return plain and _ONEDNN is not None and not torch.is_autocast_enabled("cpu")


def _as_dtype(dtype: torch.dtype, *tensors: Tensor) -> tuple[Tensor, ...]:
    # asking is several times cheaper than a `to` that has nothing to do
    for tensor in tensors:
        if tensor.dtype is not dtype:
            return tuple(tensor.to(dtype) for tensor in tensors)
    return tensors


def _pixels_are_rows(x_BIHW: Tensor) -> bool:
    return not x_BIHW.is_contiguous() and x_BIHW.is_contiguous(memory_format=torch.channels_last)


def _as_rows(image_BCHW: Tensor) -> Tensor:
    """The same numbers as (pixels, channels); a view when the channels are last in memory."""
    return image_BCHW.permute(0, 2, 3, 1).reshape(-1, image_BCHW.shape[1])


def _as_image(rows_PC: Tensor, like_BCHW: Tensor) -> Tensor:
    """The way back: pixels in the places of `like_BCHW`."""
    batch, _, height, width = like_BCHW.shape
    return rows_PC.view(batch, height, width, -1).permute(0, 3, 1, 2)
