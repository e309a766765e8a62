"""Light and colours of a picture, of its subject, and of what is behind it."""

import cv2
import numpy as np
from numpy.typing import NDArray

from modelgenerator.datasets.regions import Mask

Pixels = NDArray[np.uint8]

DARK, BRIGHT = 10, 245
"""Of 255: at and beyond these nothing can be told apart any more, in shadows and in lights."""
_BINS = (4, 3, 3)
"""Of lightness and of the two colour axes of CIELAB."""
_REACH = 40.0
"""Of the colour axes to each side of grey; what is more colourful counts as this."""
_ENOUGH_PIXELS = 10_000


def lab(pixels_HW3: Pixels) -> NDArray[np.float32]:
    """CIELAB: lightness 0 to 100, green to red, blue to yellow."""
    lab_HW3 = cv2.cvtColor(pixels_HW3.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return np.asarray(lab_HW3, dtype=np.float32)


def clipped_shares(pixels_HW3: Pixels, counted_HW: Mask) -> tuple[float, float]:
    """Shares of the counted pixels that are black, and that are white, for all that one sees."""
    counted_N3 = pixels_HW3[counted_HW]
    return (
        float((counted_N3.max(1) <= DARK).mean()),
        float((counted_N3.min(1) >= BRIGHT).mean()),
    )


def colourfulness(pixels_HW3: Pixels) -> float:
    """0 for grey, about 15 for muted and 60 for lively colours.

    Source: D. Hasler, S. Süsstrunk, "Measuring colourfulness in natural images", 2003.
    """
    red, green, blue = (pixels_HW3[..., channel].astype(np.float32) for channel in range(3))
    across, along = red - green, (red + green) / 2 - blue
    spread = np.hypot(across.std(), along.std())
    return float(spread + 0.3 * np.hypot(across.mean(), along.mean()))


def light_from_right(lightness_HW: NDArray[np.float32], subject_HW: Mask) -> float:
    """-1 for a subject that is lit from the left only, 1 from the right only, 0 evenly."""
    columns = np.flatnonzero(subject_HW.any(0))
    middle = (columns[0] + columns[-1] + 1) // 2
    left_HW, right_HW = subject_HW.copy(), subject_HW.copy()
    left_HW[:, middle:], right_HW[:, :middle] = False, False
    if not left_HW.any() or not right_HW.any():
        return 0.0
    left, right = float(lightness_HW[left_HW].mean()), float(lightness_HW[right_HW].mean())
    return (right - left) / max(right + left, 1e-6)


def colour_shares(lab_N3: NDArray[np.float32]) -> tuple[int, ...]:
    """How the pixels spread over 36 colours, in thousandths; one between two counts for both."""
    some_N3 = lab_N3[:: max(1, len(lab_N3) // _ENOUGH_PIXELS)]
    lightness_N = some_N3[:, 0] / 100
    colours_N2 = (some_N3[:, 1:] / _REACH + 1) / 2
    places_N3 = np.column_stack((lightness_N, colours_N2)).clip(0, 1) * (np.array(_BINS) - 1)
    lower_N3 = np.minimum(places_N3.astype(np.intp), np.array(_BINS) - 2)
    upper_N3 = places_N3 - lower_N3
    shares = np.zeros(np.prod(_BINS))
    for corner in np.ndindex(2, 2, 2):
        bins_N = np.ravel_multi_index(tuple((lower_N3 + corner).T), _BINS)
        weights_N = np.where(corner, upper_N3, 1 - upper_N3).prod(1)
        shares += np.bincount(bins_N, weights_N, len(shares))
    return tuple(round(1000 * share) for share in (shares / len(some_N3)).tolist())


def different_shares(one: tuple[int, ...], other: tuple[int, ...]) -> float:
    """0 for two backgrounds of the same colours to 1 for two that have none in common."""
    return sum(abs(a - b) for a, b in zip(one, other, strict=True)) / 2000
