"""The layers of a U-Net as its configuration describes them, without loading it.

In: `unet/config.json` and the side lengths of the latents.  Out: one entry for each residual block
and each transformer, with its channels and pixels.  What they cost is not known here.

Source: huggingface/diffusers, models/unets/unet_2d_condition.py, `UNet2DConditionModel.__init__`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Residual:
    """Two convolutions with norms, and a third where the channels change."""

    channels_in: int
    channels_out: int
    pixels: int


@dataclass(frozen=True, slots=True)
class Transformer:
    """Attention to the picture itself and to the prompt, `depth` times."""

    channels: int
    pixels: int
    depth: int


Layer = Residual | Transformer


def layers(config: Mapping[str, Any], height: int, width: int) -> list[Layer]:
    """In the order of the forward pass; `height` and `width` of the latents."""
    channels = _widths(config)
    down = [_is_transformer(kind) for kind in config.get("down_block_types", _SD_DOWN)]
    up = [_is_transformer(kind) for kind in config.get("up_block_types", _SD_UP)]
    each = _per_level(config.get("layers_per_block", 2), len(channels))
    depths = _per_level(config.get("transformer_layers_per_block", 1), len(channels))
    pixels = [height * width // 4**level for level in range(len(channels))]
    found: list[Layer] = []
    skips, now = [channels[0]], channels[0]
    for level, out in enumerate(channels):
        for _ in range(each[level]):
            found += _block(now, out, pixels[level], depths[level] if down[level] else 0)
            now = out
            skips.append(now)
        if level < len(channels) - 1:
            skips.append(now)
    found += [*_block(now, now, pixels[-1], depths[-1]), Residual(now, now, pixels[-1])]
    for step, level in enumerate(reversed(range(len(channels)))):
        out = channels[level]
        for _ in range(each[level] + 1):
            depth = depths[level] if up[step] else 0
            found += _block(now + skips.pop(), out, pixels[level], depth)
            now = out
    return found


def prompt_width(config: Mapping[str, Any]) -> int:
    """Of what the transformers are told."""
    return int(config.get("cross_attention_dim") or 768)


def time_width(config: Mapping[str, Any]) -> int:
    """Of what the residual blocks are told of the time."""
    return 4 * _widths(config)[0]


def _block(channels_in: int, channels: int, pixels: int, depth: int) -> Iterator[Layer]:
    yield Residual(channels_in, channels, pixels)
    if depth:
        yield Transformer(channels, pixels, depth)


def _widths(config: Mapping[str, Any]) -> list[int]:
    return [int(width) for width in config.get("block_out_channels", (320, 640, 1280, 1280))]


def _per_level(value: object, levels: int) -> list[int]:
    return [int(one) for one in value] if isinstance(value, list) else [int(str(value))] * levels


def _is_transformer(kind: str) -> bool:
    return "CrossAttn" in kind


_SD_DOWN = (*("CrossAttnDownBlock2D",) * 3, "DownBlock2D")
_SD_UP = ("UpBlock2D", *("CrossAttnUpBlock2D",) * 3)
