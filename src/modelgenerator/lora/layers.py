"""The low-rank correction that training learns.

In: a frozen layer and two small matrices.  Out: the corrected layer's answer and the gradients of
the two matrices.  Knows no model, no names, no optimizer.

Shapes: `x_NI` N tokens of I input features, `y_NO` of O output features, `down_RI` and `up_OR` with
R the rank; convolution inputs are `x_BIHW`.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional


class LoraLayer:
    """A frozen layer plus a small trainable correction.

        y = base(x) + scale * up(down(x))

    `up` starts at zero, so a fresh layer answers exactly as `base` does.  The matrices are fp32
    parameters; the arithmetic runs in the dtype that `base` answers in.
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

    @property
    def rank(self) -> int:
        return self.down_RI.shape[0]

    def __call__(self, x: Tensor) -> Tensor:
        raise NotImplementedError


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


def lora_layer(
    base: nn.Linear | nn.Conv2d, *, down_RI: nn.Parameter, up_OR: nn.Parameter, scale: float
) -> LoraLayer:
    """The correction that fits `base`."""
    kind = LoraLinear if isinstance(base, nn.Linear) else LoraConv1x1
    return kind(base, down_RI=down_RI, up_OR=up_OR, scale=scale)


def features(base: nn.Linear | nn.Conv2d) -> tuple[int, int]:
    """Output and input features of a layer that can be corrected."""
    if isinstance(base, nn.Linear):
        return base.out_features, base.in_features
    return base.out_channels, base.in_channels


def can_be_corrected(layer: nn.Module) -> bool:
    """Is `layer` a linear layer, or a 1x1 convolution that is one in disguise?

    Subclasses are left out: they may compute something else from their weight (quantized layers).
    """
    if type(layer) is nn.Conv2d:
        plain = layer.stride == (1, 1) and layer.padding in ((0, 0), "valid")
        return layer.kernel_size == (1, 1) and layer.groups == 1 and plain
    return type(layer) is nn.Linear


# One autograd node instead of the six that separate modules make: nothing of the output's size is
# allocated beside the output itself, the frozen weight gets no gradient, and of the correction only
# x and h = down(x) are kept for the way back.


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
        y_NO = functional.linear(x_NI, weight_OI, bias_O)
        # y's dtype is the compute dtype, also under autocast
        h_NR = torch.mm(x_NI.to(y_NO.dtype), down_RI.to(y_NO.dtype).t())
        y_NO.addmm_(h_NR, up_OR.to(y_NO.dtype).t(), alpha=scale)
        ctx.save_for_backward(x_NI, h_NR, weight_OI, down_RI, up_OR)
        ctx.scale = scale
        ctx.input_shape = x.shape
        return y_NO.view(*x.shape[:-1], weight_OI.shape[0])

    @staticmethod
    @once_differentiable
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
        y_BOHW = functional.conv2d(x_BIHW, weight_OI11, bias_O)
        dtype = y_BOHW.dtype
        ctx.scale = scale
        ctx.pixels_are_rows = _pixels_are_rows(y_BOHW)
        if ctx.pixels_are_rows:
            x = _as_rows(x_BIHW).to(dtype)
            h = torch.mm(x, down_RI.to(dtype).t())
            _as_rows(y_BOHW).addmm_(h, up_OR.to(dtype).t(), alpha=scale)
        else:
            x = x_BIHW.flatten(2).to(dtype)
            y_BOP = y_BOHW.view(*y_BOHW.shape[:2], -1)
            h = torch.matmul(down_RI.to(dtype), x)
            up_BOR = up_OR.to(dtype).expand(len(x), -1, -1)
            y_BOP.baddbmm_(up_BOR, h, alpha=scale)
        ctx.save_for_backward(x, h, weight_OI11, down_RI, up_OR)
        ctx.input_shape, ctx.input_dtype = x_BIHW.shape, x_BIHW.dtype
        return y_BOHW

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, dy_BOHW: Tensor
    ) -> tuple[Tensor | None, ...]:
        x, h, weight_OI11, down_RI, up_OR = ctx.saved_tensors
        weight_OI = weight_OI11.flatten(1)
        if ctx.pixels_are_rows:
            gradients = _gradients_over_rows(
                ctx, _as_rows(dy_BOHW), x, h, weight_OI, down_RI, up_OR
            )
        else:
            dy_BOP = dy_BOHW.reshape(*dy_BOHW.shape[:2], -1)
            gradients = _gradients_over_planes(ctx, dy_BOP, x, h, weight_OI, down_RI, up_OR)
        dx, d_down_RI, d_up_OR = gradients
        if dx is not None:
            batch, _, height, width = ctx.input_shape
            if ctx.pixels_are_rows:
                dx = dx.view(batch, height, width, -1).permute(0, 3, 1, 2)
            dx = dx.view(ctx.input_shape).to(ctx.input_dtype)
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
    dtype = dy_NO.dtype
    dh_NR = torch.mm(dy_NO, up_OR.to(dtype)).mul_(ctx.scale)
    d_down_RI = torch.mm(dh_NR.t(), x_NI.to(dtype)).to(down_RI.dtype)
    d_up_OR = torch.mm(dy_NO.t(), h_NR).to(up_OR.dtype).mul_(ctx.scale)
    if not ctx.needs_input_grad[0]:
        return None, d_down_RI, d_up_OR
    dx_NI = torch.mm(dy_NO, weight_OI.to(dtype)).addmm_(dh_NR, down_RI.to(dtype))
    return dx_NI.to(x_NI.dtype), d_down_RI, d_up_OR


def _gradients_over_planes(
    ctx: Any,
    dy_BOP: Tensor,
    x_BIP: Tensor,
    h_BRP: Tensor,
    weight_OI: Tensor,
    down_RI: Tensor,
    up_OR: Tensor,
) -> tuple[Tensor | None, Tensor, Tensor]:
    dtype = dy_BOP.dtype
    dh_BRP = torch.matmul(up_OR.to(dtype).t(), dy_BOP).mul_(ctx.scale)
    d_down_RI = torch.bmm(dh_BRP, x_BIP.transpose(1, 2)).sum(0).to(down_RI.dtype)
    d_up_OR = torch.bmm(dy_BOP, h_BRP.transpose(1, 2)).sum(0).to(up_OR.dtype).mul_(ctx.scale)
    if not ctx.needs_input_grad[0]:
        return None, d_down_RI, d_up_OR
    dx_BIP = torch.matmul(weight_OI.to(dtype).t(), dy_BOP)
    down_BIR = down_RI.to(dtype).t().expand(len(dy_BOP), -1, -1)
    return dx_BIP.baddbmm_(down_BIR, dh_BRP), d_down_RI, d_up_OR


def _pixels_are_rows(y_BOHW: Tensor) -> bool:
    return not y_BOHW.is_contiguous() and y_BOHW.is_contiguous(memory_format=torch.channels_last)


def _as_rows(image_BCHW: Tensor) -> Tensor:
    """The same numbers as (pixels, channels); a view when the channels are last in memory."""
    return image_BCHW.permute(0, 2, 3, 1).reshape(-1, image_BCHW.shape[1])
