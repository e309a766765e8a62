"""The few sizes that pictures are trained in, and how a picture is brought to one.

Pictures of one batch must have one size, and a square would cut off what a tall photo shows: so
each picture takes the size, its bucket, whose shape is nearest to its own.  Sizes are
(width, height) in pixels.  Files and base models are not known here; what a base model needs comes
in as `step`.
"""

import math
from collections.abc import Sequence
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Size = tuple[int, int]
"""Width and height in pixels."""
Number = TypeVar("Number", np.uint8, np.float32)


def bucket_sizes(resolution: int, step: int) -> list[Size]:
    """All sizes with sides in multiples of `step` and about `resolution` x `resolution` pixels.

    No size has more pixels than that; sides go from half of `resolution` to twice.  Sorted by
    width, so tall ones come first; the square is always among them.

    Source: the rule of kohya's sd-scripts, `library/model_util.py: make_bucket_resolutions`,
    https://github.com/kohya-ss/sd-scripts, with limits that follow the resolution.
    """
    assert resolution >= step > 0, "a picture is at least one step wide"
    area = resolution * resolution
    square = resolution // step * step
    shortest = max(step, math.ceil(resolution / 2 / step) * step)
    longest = 2 * resolution // step * step
    sizes = {(square, square)}
    for side in range(shortest, longest + 1, step):
        other = min(longest, area // side // step * step)
        if other >= shortest:
            sizes |= {(side, other), (other, side)}
    return sorted(sizes)


def nearest_bucket(width: int, height: int, buckets: Sequence[Size]) -> Size:
    """The bucket whose aspect ratio is nearest on a logarithmic scale.

    Of two that are equally near, the one with more pixels, then the wider: the order of `buckets`
    does not matter.
    """

    def distance(size: Size) -> tuple[float, int, int]:
        difference = abs(math.log((width * size[1]) / (height * size[0])))
        return round(difference, 9), -size[0] * size[1], -size[0]

    return min(buckets, key=distance)


def is_upscaled(width: int, height: int, size: Size) -> bool:
    """Whether `fit` has to invent pixels to bring a picture of `width` x `height` to `size`."""
    return _scale(width, height, size) > 1


def fit(pixels_HW3: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    """Resize until `size` is covered, then cut the centre out: `[height, width, 3]` of `size`.

    A picture of exactly this size comes back unchanged, and pixel art that was enlarged by a whole
    number comes back as it was drawn: reducing averages areas, and cuts at whole pixels.
    """
    height, width = pixels_HW3.shape[:2]
    if (width, height) == size:
        return pixels_HW3
    if is_upscaled(width, height, size):
        return _enlarged(pixels_HW3, size)
    return _reduced(pixels_HW3, size)


def fit_mask(mask_HW: NDArray[np.float32], size: Size) -> NDArray[np.float32]:
    """What `fit` does to a picture of this mask's size, done to the mask by averaging areas.

    Nothing is rounded on the way, and no value goes beyond those that were there.
    """
    height, width = mask_HW.shape
    if (width, height) == size:
        return mask_HW
    if is_upscaled(width, height, size):
        return area_average(mask_HW, cut_box(width, height, size), size)
    return _reduced(mask_HW, size)


def cut_corner(width: int, height: int, size: Size) -> tuple[int, int]:
    """Top and left, in pixels of the resized picture, of what `fit` keeps."""
    scale = _scale(width, height, size)
    return (
        max(0, round(height * scale) - size[1]) // 2,
        max(0, round(width * scale) - size[0]) // 2,
    )


def cut_box(width: int, height: int, size: Size) -> tuple[float, float, float, float]:
    """Left, top, right and bottom, in pixels of the picture, of what `fit` keeps of it."""
    scale = _scale(width, height, size)
    wide, high = min(width, size[0] / scale), min(height, size[1] / scale)
    left, top = (width - wide) / 2, (height - high) / 2
    return left, top, left + wide, top + high


def area_average(
    mask_HW: NDArray[np.float32], box: tuple[float, float, float, float], size: Size
) -> NDArray[np.float32]:
    """What lies in `box` of the mask, in parts of cells too, on a grid of `size`.

    `box` is left, top, right and bottom in cells of the mask.  By hand: Pillow's box filter is the
    nearest place when it enlarges, and half a place off.
    """
    height, width = mask_HW.shape
    left, top, right, bottom = box
    rows_hH = _shares_of_area(top, bottom, cells=height, parts=size[1])
    columns_wW = _shares_of_area(left, right, cells=width, parts=size[0])
    return (rows_hH @ mask_HW @ columns_wW.T).astype(np.float32)


def _scale(width: int, height: int, size: Size) -> float:
    return max(size[0] / width, size[1] / height)


def _covering(width: int, height: int, size: Size) -> Size:
    """The size that `fit` reduces to before it cuts."""
    scale = _scale(width, height, size)
    return max(size[0], round(width * scale)), max(size[1], round(height * scale))


def _reduced(pixels: NDArray[Number], size: Size) -> NDArray[Number]:
    height, width = pixels.shape[:2]
    covering = _covering(width, height, size)
    covered = np.asarray(cv2.resize(pixels, covering, interpolation=cv2.INTER_AREA))
    left, top = (covering[0] - size[0]) // 2, (covering[1] - size[1]) // 2
    centre = covered[top : top + size[1], left : left + size[0]]
    return np.ascontiguousarray(centre, dtype=pixels.dtype)


def _enlarged(pixels_HW3: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    """Cut first: a thin strip that is enlarged whole would not fit into memory."""
    height, width = pixels_HW3.shape[:2]
    centre = cut_box(width, height, size)
    return np.array(Image.fromarray(pixels_HW3).resize(size, Image.Resampling.LANCZOS, box=centre))


def _shares_of_area(start: float, end: float, *, cells: int, parts: int) -> NDArray[np.float64]:
    """`start` to `end` in equal `parts`: how much of each lies in each of the cells of length 1."""
    edges = np.linspace(start, end, parts + 1)
    before, after = np.arange(cells), np.arange(1, cells + 1)
    overlap = np.minimum(edges[1:, None], after) - np.maximum(edges[:-1, None], before)
    overlap = overlap.clip(min=0)
    return overlap / overlap.sum(axis=1, keepdims=True)
