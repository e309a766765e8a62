"""Pixel art that was enlarged: found out, and brought back to one pixel for each drawn one.

In: a photo's pixels.  Out: the small drawing, or none if it is not such a drawing.  What it shows
is not known here.
"""

import numpy as np
from numpy.typing import NDArray

LEAST, MOST = 16, 64
"""Drawn pixels along the longer side."""
_COLOURS = 40
"""Of a drawing, at most."""
_SHARE_OF_PIXELS = 0.97
"""That these colours must cover."""
_REACH, _BLUR = 12, 2.5
"""How far a pixel may be from its colour, of 255: at most, and on average, as a jpg leaves it.
A grey photo has few colours too, but not so sharp ones."""
_NOISE = 20
"""By which a place of a drawn pixel may differ from its middle, of 255."""
_UNEVEN = 0.15
"""As many cells may be less even than that, for each one at which the drawing changes its colour:
in a smooth drawing nearly all of these are cut through."""


def drawn_pixels(pixels_HW3: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """The drawing in its own pixels; none unless it is small, of few colours and of even squares.

    Any enlargement without smoothing is undone, also one by a broken factor.
    """
    height, width = pixels_HW3.shape[:2]
    longer = max(height, width)
    for cells in range(LEAST, min(MOST, longer) + 1):
        columns, rows = round(cells * width / longer), round(cells * height / longer)
        if min(columns, rows) < 8 or 1 < longer / cells < 2:
            continue
        small_hw3 = _sampled(pixels_HW3, columns, rows, 0.0, 0.0)
        if _is_even(pixels_HW3, small_hw3):
            return small_hw3 if _has_few_colours(small_hw3) else None
    return None


def _sampled(
    pixels_HW3: NDArray[np.uint8], columns: int, rows: int, right: float, down: float
) -> NDArray[np.uint8]:
    """One pixel of each cell, so far from its middle as a share of the cell."""
    height, width = pixels_HW3.shape[:2]
    x = ((np.arange(columns) + 0.5 + right) * width / columns).astype(int)
    y = ((np.arange(rows) + 0.5 + down) * height / rows).astype(int)
    return pixels_HW3[np.ix_(y, x)]


def _is_even(pixels_HW3: NDArray[np.uint8], small_hw3: NDArray[np.uint8]) -> bool:
    """Whether four more places of each cell look like its middle."""
    if small_hw3.shape == pixels_HW3.shape:
        return True
    rows, columns = small_hw3.shape[:2]
    most = _UNEVEN * _changes(small_hw3)
    for right, down in ((-0.3, -0.3), (0.3, -0.3), (-0.3, 0.3), (0.3, 0.3)):
        other_hw3 = _sampled(pixels_HW3, columns, rows, right, down)
        if _unlike(other_hw3, small_hw3).sum() > most:
            return False
    return True


def _changes(small_hw3: NDArray[np.uint8]) -> int:
    """How many cells differ from the one beside or below."""
    changes_hw = np.zeros(small_hw3.shape[:2], bool)
    changes_hw[:, :-1] |= _unlike(small_hw3[:, 1:], small_hw3[:, :-1])
    changes_hw[:-1] |= _unlike(small_hw3[1:], small_hw3[:-1])
    return int(changes_hw.sum())


def _unlike(one_hw3: NDArray[np.uint8], other_hw3: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return np.abs(one_hw3.astype(np.int16) - other_hw3).max(-1) > _NOISE


def _has_few_colours(small_hw3: NDArray[np.uint8]) -> bool:
    """Whether a few sharp colours cover nearly all of it; the most common ones are taken first."""
    left_N3 = small_hw3.reshape(-1, 3).astype(np.float32)
    count, blur = len(left_N3), 0.0
    for _ in range(_COLOURS):
        steps_N = (left_N3 // 8 @ (1, 32, 1024)).astype(np.int64)
        common = np.bincount(steps_N).argmax()
        colour = left_N3[steps_N == common].mean(0)
        distances_N = np.abs(left_N3 - colour).max(-1)
        near_N = distances_N <= _REACH
        blur += float(distances_N[near_N].sum())
        left_N3 = left_N3[~near_N]
        if len(left_N3) <= (1 - _SHARE_OF_PIXELS) * count:
            return blur <= _BLUR * count
    return False
