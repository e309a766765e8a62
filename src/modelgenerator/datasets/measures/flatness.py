"""What no camera makes: areas of exactly one colour, bars, large square pixels.

A sensor's noise makes neighbours differ nearly everywhere.  Screens and drawings have long runs of
one colour, letterboxes have bars of it, and enlarged pixel art changes only at every n-th pixel.
"""

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

_LINES, _FEW_LINES = 256, 16  # of each direction that are looked at
_BAND = 0.05  # of the height: status bars of phones take 2.5 to 6 per cent
_SAME = 3  # of 255: a bar after compression
_LARGEST_PIXEL = 64


def flat_share(pixels_HW3: Pixels) -> float:
    """Share of pixels that are exactly as the next one in their row, 0 to 1."""
    equal_HW = _equal_rows(pixels_HW3, _LINES)
    return float(equal_HW.mean()) if equal_HW.size else 0.0


def flat_bands(pixels_HW3: Pixels) -> tuple[float, float]:
    """As `flat_share`, in the top and in the bottom band, where screens show their bars."""
    band = max(1, round(pixels_HW3.shape[0] * _BAND))
    return flat_share(pixels_HW3[:band]), flat_share(pixels_HW3[-band:])


def bars(small_HW3: Pixels) -> tuple[float, float, float, float]:
    """Shares of the width or height that are a bar of one colour: left, top, right, bottom.

    A picture of one colour has none.
    """
    top, bottom = _length_of_bars(small_HW3)
    left, right = _length_of_bars(small_HW3.transpose(1, 0, 2))
    return left, top, right, bottom


def pixel_size(pixels_HW3: Pixels) -> int:
    """Side of the squares that the picture is made of; 1 if it was not enlarged, or smoothly."""
    for lines in (_FEW_LINES, _LINES):  # a few rule out every photo
        across = _changes(pixels_HW3, lines)
        down = _changes(pixels_HW3.transpose(1, 0, 2), lines)
        size = int(np.gcd.reduce(np.concatenate((across, down, pixels_HW3.shape[:2]))))
        if size == 1 or not across.size or not down.size:
            return 1
    return size if size <= _LARGEST_PIXEL else 1


def blockiness(grey_HW: NDArray[np.uint8]) -> float:
    """How much stronger steps are at every 8th pixel, where JPEG's blocks meet; 1 is not at all."""
    window_HW = _centre(grey_HW, 1024).astype(np.int16)
    ratios = [_block_steps(window_HW), _block_steps(window_HW.T)]
    return float(min(ratios))


def _equal_rows(pixels_HW3: Pixels, lines: int) -> NDArray[np.bool_]:
    """Of at most `lines` rows, spread over the picture: where a pixel is as the one before."""
    step = max(1, pixels_HW3.shape[0] // lines)
    rows_HW3 = np.ascontiguousarray(pixels_HW3[step // 2 :: step])
    different_HW3 = rows_HW3[:, 1:] ^ rows_HW3[:, :-1]
    return (different_HW3[..., 0] | different_HW3[..., 1] | different_HW3[..., 2]) == 0


def _changes(pixels_HW3: Pixels, lines: int) -> NDArray[np.intp]:
    """In which columns any of some rows changes its colour."""
    return np.flatnonzero(~_equal_rows(pixels_HW3, lines).all(0)) + 1


def _length_of_bars(small_HW3: Pixels) -> tuple[float, float]:
    """At the first and at the last row, as shares of the height."""
    lines = small_HW3.shape[0]
    lowest, highest = small_HW3.min(1).astype(np.int16), small_HW3.max(1).astype(np.int16)
    found: list[float] = []
    for order in (slice(None), slice(None, None, -1)):
        low, high = lowest[order], highest[order]
        same = ((high - low).max(1) <= _SAME) & (np.abs(high - high[0]).max(1) <= _SAME)
        found.append(0.0 if same.all() else float(np.argmin(same)) / lines)
    return found[0], found[1]


def _centre(grey_HW: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Cut at multiples of 8, so that blocks stay where they are."""
    top, left = (max(0, (length - side) // 2) // 8 * 8 for length in grey_HW.shape)
    return grey_HW[top : top + side, left : left + side]


def _block_steps(window_HW: NDArray[np.int16]) -> float:
    steps_W = np.abs(np.diff(window_HW, axis=1)).mean(0)
    if steps_W.size < 16:
        return 1.0
    at_blocks = steps_W[7::8].mean()
    elsewhere = np.delete(steps_W, np.s_[7::8]).mean()
    return float(at_blocks / elsewhere) if elsewhere > 0 else 1.0
