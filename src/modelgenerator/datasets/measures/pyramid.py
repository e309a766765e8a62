"""Smaller copies of a photo, each half as large as the one before.

Halving is what a processor averages fastest: a 12-megapixel photo comes to a thousand pixels in ten
milliseconds this way, and in ninety by one step that is not a whole number.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


def halvings(pixels_HW3: Pixels, *, smallest: int) -> list[Pixels]:
    """The photo and its halves, down to the first whose longer side is at most `smallest`."""
    levels = [pixels_HW3]
    while max(levels[-1].shape[:2]) > smallest and min(levels[-1].shape[:2]) > 1:
        levels.append(_half(levels[-1]))
    return levels


def index_of_largest(levels: Sequence[Pixels], *, not_above: float) -> int:
    """Of the levels whose longer side is at most this; else the smallest there is."""
    fitting = (n for n, level in enumerate(levels) if max(level.shape[:2]) <= not_above)
    return next(fitting, len(levels) - 1)


def _half(pixels_HW3: Pixels) -> Pixels:
    """An odd last row or column is left out."""
    height, width = (length // 2 for length in pixels_HW3.shape[:2])
    even_HW3 = pixels_HW3[: 2 * height, : 2 * width]
    half_HW3 = cv2.resize(even_HW3, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(half_HW3, dtype=np.uint8)
