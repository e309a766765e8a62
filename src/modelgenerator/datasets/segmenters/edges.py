"""A coarse mask's edge, drawn along the edge that the photo shows; and a mask's separate parts.

In: masks and the photo on one grid.  Out: masks.  What they show is not known here.
"""

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
    guide_HW3 = np.asarray(pixels_HW3, np.float32) / 255
    mean_HW3, mean_HW = _mean(guide_HW3, radius), _mean(likelihood_HW, radius)
    products_HW33 = guide_HW3[..., :, None] * guide_HW3[..., None, :]
    shape = likelihood_HW.shape
    variance_HW33 = _mean(products_HW33.reshape(*shape, 9), radius).reshape(*shape, 3, 3)
    variance_HW33 -= mean_HW3[..., :, None] * mean_HW3[..., None, :]
    variance_HW33 += 1e-4 * np.eye(3, dtype=np.float32)
    joint_HW3 = _mean(guide_HW3 * likelihood_HW[..., None], radius) - mean_HW3 * mean_HW[..., None]
    slope_HW3 = np.linalg.solve(variance_HW33, joint_HW3[..., None])[..., 0]
    offset_HW = mean_HW - (slope_HW3 * mean_HW3).sum(-1)
    smooth_HW = (_mean(slope_HW3, radius) * guide_HW3).sum(-1) + _mean(offset_HW, radius)
    return np.clip(smooth_HW, 0, 1).astype(np.float32)


def _mean(values: Any, radius: int) -> Any:
    """Over a square around each cell; any number of channels."""
    side = 2 * radius + 1
    if values.ndim == 2 or values.shape[-1] <= 4:
        return cv2.blur(values, (side, side), borderType=cv2.BORDER_REFLECT)
    parts = [
        cv2.blur(np.ascontiguousarray(part), (side, side), borderType=cv2.BORDER_REFLECT)
        for part in np.split(values, values.shape[-1] // 3, axis=-1)
    ]
    return np.concatenate(parts, axis=-1)


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
