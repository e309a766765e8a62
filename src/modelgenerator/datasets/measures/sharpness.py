"""How soft the edges of a picture are, whatever it shows and however large it is.

At an edge, brightness changes by some range; how many pixels it needs for that is the edge's width.
Dividing the range out is what makes a black cat and a white wall comparable, which the usual
variance of the Laplacian is not.  The sharpest edges count: what lies out of focus behind them does
not make a picture blurred.

Source: the width of edges as a measure of blur is P. Marziliano et al., "A no-reference perceptual
blur metric", ICIP 2002; here the width is range over gradient, and the picture is made smaller
until its edges are crisp.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from modelgenerator.datasets.regions import Mask

CRISP = 3.2
"""Pixels. Photos that are sharp have edges of 2.3 to 3.0 at every size, one with a blur of a
pixel's radius 2.8 to 3.6, one of two pixels' 3.5 to 4.9 (eleven photographs, scikit-image's and
matplotlib's)."""
SHARPEST = 90
"""Per cent of the edges that are softer than the one which counts."""
LEAST_RANGE = 24
"""Of 255: less is noise, and what compression leaves."""
FEWEST_EDGES = 30
_WINDOW = 9  # pixels: the widest edge that can be told from a wider one
_HALVINGS = 4


def detail(grey_HW: NDArray[np.uint8], counted_HW: Mask) -> float | None:
    """How small the picture can be made before it loses any detail, as a share of its side.

    1 when every pixel tells something, 0.25 when a copy of a quarter of the size shows as much.
    Only edges inside `counted_HW` count; none when there are too few to judge by.
    """
    before: tuple[float, float] | None = None
    for halving in range(_HALVINGS + 1):
        width = edge_width(grey_HW, counted_HW)
        if width is None:
            break
        if width <= CRISP:
            return _share(halving, width, before)
        before = (halving, width)
        if min(grey_HW.shape) < 2 * _WINDOW:
            break
        size = grey_HW.shape[1] // 2, grey_HW.shape[0] // 2
        grey_HW = np.asarray(cv2.resize(grey_HW, size, interpolation=cv2.INTER_AREA), np.uint8)
        smaller_HW = cv2.resize(counted_HW.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
        counted_HW = np.asarray(smaller_HW, np.bool_)
    return None if before is None else 0.5 ** before[0]


def edge_width(grey_HW: NDArray[np.uint8], counted_HW: Mask) -> float | None:
    """Width of the sharpest edges in pixels; none when there are fewer than `FEWEST_EDGES`."""
    smooth_HW = cv2.GaussianBlur(grey_HW, (0, 0), 0.6)
    across_HW = cv2.Sobel(smooth_HW, cv2.CV_16S, 1, 0).astype(np.float32)
    down_HW = cv2.Sobel(smooth_HW, cv2.CV_16S, 0, 1).astype(np.float32)
    slope_HW = cv2.magnitude(across_HW, down_HW) / 8  # Sobel's weights add up to that
    window = np.ones((_WINDOW, _WINDOW), np.uint8)
    range_HW = cv2.subtract(cv2.dilate(smooth_HW, window), cv2.erode(smooth_HW, window))
    ridge_HW = slope_HW >= cv2.dilate(slope_HW, np.ones((3, 3), np.uint8))
    edges_HW = ridge_HW & (range_HW > LEAST_RANGE) & counted_HW
    if np.count_nonzero(edges_HW) < FEWEST_EDGES:
        return None
    return 1 / float(np.percentile(slope_HW[edges_HW] / range_HW[edges_HW], SHARPEST))


def _share(halving: int, width: float, before: tuple[float, float] | None) -> float:
    """Between the copy that is crisp and the one before that is not, on a logarithmic scale."""
    if before is None:
        return 1.0
    part = (before[1] - CRISP) / max(before[1] - width, 1e-6)
    return math.pow(0.5, before[0] + min(1.0, part) * (halving - before[0]))
