"""A coarse mask's edge, drawn along the edge that the photo shows; and a mask's separate parts.

In: masks and the photo on one grid.  Out: masks.  What they show is not known here.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from modelgenerator.datasets.regions import Mask

Likelihood = NDArray[np.float32]
"""How much a cell belongs to the subject, 0 to 1."""


def guided(likelihood_HW: Likelihood, pixels_HW3: NDArray[np.uint8], radius: int) -> Likelihood:
    """`likelihood_HW`, smooth where the photo is smooth and steep where the photo has an edge.

    Source: K. He, J. Sun, X. Tang, "Guided Image Filtering", 2010, with a colour guide.
    """
    guides = [channel_HW.astype(np.float32) / 255 for channel_HW in np.moveaxis(pixels_HW3, 2, 0)]
    means = [_mean(guide_HW, radius) for guide_HW in guides]
    mean_HW = _mean(likelihood_HW, radius)
    joint = [
        _mean(guide_HW * likelihood_HW, radius) - guide_mean_HW * mean_HW
        for guide_HW, guide_mean_HW in zip(guides, means, strict=True)
    ]
    slopes = _solved(_covariances(guides, means, radius), joint)
    smooth_HW = mean_HW.copy()
    for slope_HW, guide_mean_HW in zip(slopes, means, strict=True):
        smooth_HW -= slope_HW * guide_mean_HW
    smooth_HW = _mean(smooth_HW, radius)
    for slope_HW, guide_HW in zip(slopes, guides, strict=True):
        smooth_HW += _mean(slope_HW, radius) * guide_HW
    return np.clip(smooth_HW, 0, 1)


def _mean(values_HW: Any, radius: int) -> Any:
    """Over a square around each cell."""
    side = 2 * radius + 1
    return cv2.blur(values_HW, (side, side), borderType=cv2.BORDER_REFLECT)


def _covariances(guides: Sequence[Any], means: Sequence[Any], radius: int) -> list[list[Any]]:
    """Of the three colours around each cell; a little more, so that even places have some."""
    rows: list[list[Any]] = [[None] * 3 for _ in range(3)]
    for one in range(3):
        for other in range(one, 3):
            product_HW = _mean(guides[one] * guides[other], radius) - means[one] * means[other]
            rows[one][other] = rows[other][one] = product_HW + np.float32(1e-4 * (one == other))
    return rows


def _solved(rows: Sequence[Sequence[Any]], values: Sequence[Any]) -> list[Any]:
    """x in rows x = values, for each cell, by Cramer's rule: rows are symmetric."""
    (a, b, c), (_, d, e), (_, _, f) = rows
    minors = (d * f - e * e, c * e - b * f, b * e - c * d)
    others = (a * f - c * c, b * c - a * e, a * d - b * b)
    scale = 1 / (a * minors[0] + b * minors[1] + c * minors[2])
    x, y, z = values
    return [
        (minors[0] * x + minors[1] * y + minors[2] * z) * scale,
        (minors[1] * x + others[0] * y + others[1] * z) * scale,
        (minors[2] * x + others[1] * y + others[2] * z) * scale,
    ]


def parts_of(mask_HW: Mask, *, least: float) -> list[Mask]:
    """The parts that hang together, the largest first, of at least this share of the largest."""
    count, labels_HW, facts, _ = cv2.connectedComponentsWithStats(
        mask_HW.astype(np.uint8), connectivity=8
    )
    areas = facts[1:, cv2.CC_STAT_AREA]
    order = sorted(range(count - 1), key=lambda part: (-int(areas[part]), part))
    return [labels_HW == part + 1 for part in order if areas[part] >= least * areas[order[0]]]


def without_holes(mask_HW: Mask, *, largest: float) -> Mask:
    """Holes filled whose area is at most this share of the mask's."""
    count, labels_HW, facts, _ = cv2.connectedComponentsWithStats(
        (~mask_HW).astype(np.uint8), connectivity=4
    )
    height, width = mask_HW.shape
    filled_HW = mask_HW.copy()
    for part in range(1, count):
        left, top, wide, high, area = (int(fact) for fact in facts[part])
        inside = left > 0 and top > 0 and left + wide < width and top + high < height
        if inside and area <= largest * mask_HW.sum():
            filled_HW |= labels_HW == part
    return filled_HW
