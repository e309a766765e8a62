"""Pixel art: drawings of 16 to 64 pixels, also enlarged, by a small network of our own.

In: a photo.  Out: the drawn subject with its head, or none for everything that is not such a
drawing.  The network has learnt from pictures that this project draws
(`diffusion.builtin.mask_recipe`): it knows the world of the embedded base model well, other pixel
art with one subject on a plain or drawn background somewhat, and photos not at all.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load

from modelgenerator.datasets.images import Photo
from modelgenerator.datasets.regions import Mask, SubjectRegions, grid_size
from modelgenerator.datasets.segmenters.edges import parts_of
from modelgenerator.datasets.segmenters.pixel_art import drawn_pixels

NETWORK = Path(__file__).parent / "drawn_network" / "network.safetensors"
_SCALES = 4
_STEP = 2 ** (_SCALES - 1)
_LEAST = 0.008
"""Of the picture that a subject takes."""

Values = NDArray[np.float32]
"""`values_HWC`."""


@dataclass(frozen=True)
class DrawnSegmenter:
    """A U-Net of 51 thousand weights, computed with numpy."""

    @property
    def version(self) -> str:
        """See `Segmenter`."""
        return f"drawn 1, {_network().sha256[:16]}"

    def find(self, photo: Photo) -> SubjectRegions | None:
        """See `Segmenter`."""
        small_hw3 = drawn_pixels(photo.pixels_HW3)
        if small_hw3 is None:
            return None
        logits_hw2 = logits(small_hw3)
        found_hw = logits_hw2[..., 0] > 0
        if found_hw.mean() < _LEAST:
            return None
        parts = parts_of(found_hw, least=0.3)
        subject_hw = parts[0]
        head_hw = subject_hw & (logits_hw2[..., 1] > 0)
        size = grid_size((photo.width, photo.height))
        return SubjectRegions(
            subject_HW=_enlarged(subject_hw, size),
            head_HW=_enlarged(head_hw, size),
            found_by="a drawn subject (pixel art)",
            subjects=len(parts),
        )


def logits(pixels_HW3: NDArray[np.uint8]) -> Values:
    """`logits_HW2` of subject and head; above 0 is yes."""
    weights = _network().weights
    height, width = pixels_HW3.shape[:2]
    room = (0, -height % _STEP), (0, -width % _STEP), (0, 0)
    values = np.pad(pixels_HW3, room, mode="edge").astype(np.float32) / np.float32(127.5) - 1
    passed: list[Values] = []
    for scale in range(_SCALES):
        values = _halved(values) if scale else values
        for number in range(2):
            values = _convolved(values, weights, f"down.{scale}.{number}")
        passed.append(values)
    for number, finer in enumerate(passed[-2::-1]):
        values = np.concatenate([values.repeat(2, 0).repeat(2, 1), finer], -1)
        values = _convolved(values, weights, f"up.{number}")
    answer = values @ weights["out.weight"][:, :, 0, 0].T + weights["out.bias"]
    return answer[:height, :width]


def _halved(values: Values) -> Values:
    height, width, channels = values.shape
    return values.reshape(height // 2, 2, width // 2, 2, channels).max((1, 3))


def _convolved(values: Values, weights: Mapping[str, Values], name: str) -> Values:
    """3 x 3, the border repeated, below 0 cut off."""
    height, width = values.shape[:2]
    kernel = weights[f"{name}.weight"]
    padded = np.pad(values, ((1, 1), (1, 1), (0, 0)), mode="edge")
    total = np.broadcast_to(weights[f"{name}.bias"], (height, width, kernel.shape[0]))
    for row in range(3):
        for column in range(3):
            seen = padded[row : row + height, column : column + width]
            total = total + seen @ kernel[:, :, row, column].T
    return np.maximum(total, 0)


def _enlarged(mask_hw: Mask, size: tuple[int, int]) -> Mask:
    grown = cv2.resize(mask_hw.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST_EXACT)
    return np.asarray(grown) > 0


@dataclass(frozen=True, slots=True)
class _Network:
    weights: Mapping[str, Values]
    sha256: str


@cache
def _network() -> _Network:
    content = NETWORK.read_bytes()
    halves = load(content)
    weights = {name: value.astype(np.float32) for name, value in halves.items()}
    return _Network(weights, hashlib.sha256(content).hexdigest())
