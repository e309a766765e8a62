"""How much each place of a photo stands out from what surrounds the photo's middle.

In: a photo on its grid.  Out: saliency, 0 to 1, coarse.  Colour alone decides; what stands out, and
whether it is a subject, is not known here.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

_CELLS = 96
"""Along the longer side: as fine as a rough guess needs, and fast."""
_CELLS_FROM_AFAR = 24
_ROUNDS = 200


def saliency(pixels_HW3: NDArray[np.uint8]) -> NDArray[np.float32]:
    """`saliency_hw` of at most 96 cells a side, 0 to 1.

    Source: J. Zhang et al., "Minimum Barrier Salient Object Detection at 80 FPS", 2015: a place
    stands out if every way to the border crosses an edge, and if the border has not its colour.
    """
    lab_hw3 = _reduced_lab(pixels_HW3, _CELLS)
    return _scaled(_scaled(_barriers(lab_hw3)) + _scaled(_unlike_border(lab_hw3)))


def contrast(pixels_HW3: NDArray[np.uint8]) -> float:
    """Height of the highest barrier when the photo is looked at from afar, in units of CIELAB.

    A texture averages out to nothing: brick, grass and gravel have less than 5, subjects over 15.
    """
    lab_hw3 = _reduced_lab(pixels_HW3, _CELLS_FROM_AFAR)
    return float(_barriers(lab_hw3).max())


def _reduced_lab(pixels_HW3: NDArray[np.uint8], cells: int) -> NDArray[np.float32]:
    height, width = pixels_HW3.shape[:2]
    scale = min(1.0, cells / max(height, width))
    size = max(4, round(width * scale)), max(4, round(height * scale))
    small_hw3 = cv2.resize(pixels_HW3, size, interpolation=cv2.INTER_AREA)
    lab_hw3 = cv2.cvtColor(small_hw3.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return np.asarray(cv2.bilateralFilter(lab_hw3, 5, 12, 3), np.float32)


def _barriers(lab_hw3: NDArray[np.float32]) -> Any:
    """Of lightness and both colours together."""
    return np.sum([_barrier(lab_hw3[..., channel]) for channel in range(3)], axis=0)


def _barrier(values_hw: NDArray[np.float32]) -> Any:
    """The least height difference that a way from the border to each place has to bear.

    Every place takes over the best way of a neighbour until nothing changes.
    """
    highest_hw, lowest_hw = values_hw.copy(), values_hw.copy()
    cost_hw = np.full_like(values_hw, np.inf)
    cost_hw[0], cost_hw[-1], cost_hw[:, 0], cost_hw[:, -1] = 0, 0, 0, 0
    for _ in range(_ROUNDS):
        before_hw = cost_hw.copy()
        for to, of in _NEIGHBOURS:
            up_hw = np.maximum(highest_hw[of], values_hw[to])
            down_hw = np.minimum(lowest_hw[of], values_hw[to])
            through_hw = np.where(np.isinf(cost_hw[of]), np.inf, up_hw - down_hw)
            better_hw = through_hw < cost_hw[to]
            cost_hw[to] = np.where(better_hw, through_hw, cost_hw[to])
            highest_hw[to] = np.where(better_hw, up_hw, highest_hw[to])
            lowest_hw[to] = np.where(better_hw, down_hw, lowest_hw[to])
        if np.array_equal(before_hw, cost_hw):
            break
    return cost_hw


_ALL, _HEAD, _TAIL = slice(None), slice(None, -1), slice(1, None)
_NEIGHBOURS = (
    ((_TAIL, _ALL), (_HEAD, _ALL)),
    ((_HEAD, _ALL), (_TAIL, _ALL)),
    ((_ALL, _TAIL), (_ALL, _HEAD)),
    ((_ALL, _HEAD), (_ALL, _TAIL)),
)


def _unlike_border(lab_hw3: NDArray[np.float32]) -> Any:
    """How far each colour is from those of the four borders; the one that differs most is left out.

    That one may be where the subject leaves the photo.
    """
    deep = max(2, round(0.08 * min(lab_hw3.shape[:2])))
    strips = (lab_hw3[:deep], lab_hw3[-deep:], lab_hw3[:, :deep], lab_hw3[:, -deep:])
    distances = np.stack([_distance(lab_hw3, strip.reshape(-1, 3)) for strip in strips])
    return (distances.sum(0) - distances.max(0)) / 3


def _distance(lab_hw3: NDArray[np.float32], colours_N3: NDArray[np.float32]) -> Any:
    """Mahalanobis', from the mean of `colours_N3`."""
    apart_hw3 = lab_hw3 - colours_N3.mean(0)
    spread_33 = np.cov(colours_N3.T) + 9 * np.eye(3)
    return np.sqrt(np.einsum("hwi,ij,hwj->hw", apart_hw3, np.linalg.inv(spread_33), apart_hw3))


def _scaled(values_hw: Any) -> Any:
    return (values_hw / max(1e-6, float(values_hw.max()))).astype(np.float32)
