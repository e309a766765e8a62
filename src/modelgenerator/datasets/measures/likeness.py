"""Whether two pictures show the same, by 64 bits and a thumbnail of each.

The bits say for 64 coarse waves whether the picture has more or less of them than is usual in it:
another size, other compression or a little more light change few of them.

Source: the DCT hash as in C. Zauner, "Implementation and Benchmarking of Perceptual Image Hash
Functions" (2010), section 3.2.1, and https://phash.org.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

_SIDE = 32  # pixels that the waves are taken of
_WAVES = 8  # per direction
_THUMBNAIL = 4  # pixels per side


@dataclass(frozen=True, slots=True)
class Likeness:
    """What is kept of a picture to compare it with others; everything in hexadecimal."""

    bits: str
    """64 of them."""
    mirrored_bits: str
    """Of the mirror image."""
    thumbnail: str
    """4 x 4 pixels of red, green and blue."""


def likeness_of(pixels_HW3: NDArray[np.uint8], grey_HW: NDArray[np.uint8]) -> Likeness:
    """Of a picture and of the same in grey."""
    small_HW = cv2.resize(grey_HW, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    waves_HW: NDArray[np.float32] = np.asarray(
        cv2.dct(small_HW.astype(np.float32)), dtype=np.float32
    )[:_WAVES, :_WAVES]
    signs_W = np.where(np.arange(_WAVES) % 2, -1, 1)  # what mirroring does to a cosine
    size = (_THUMBNAIL, _THUMBNAIL)
    thumbnail_HW3 = np.asarray(cv2.resize(pixels_HW3, size, interpolation=cv2.INTER_AREA))
    return Likeness(_bits(waves_HW), _bits(waves_HW * signs_W), thumbnail_HW3.tobytes().hex())


def different_bits(one: str, other: str) -> int:
    """0 for the same picture to 64; about 32 for two that have nothing to do with each other."""
    return (int(one, 16) ^ int(other, 16)).bit_count()


def different_colours(one: Likeness, other: Likeness, *, mirrored: bool = False) -> float:
    """Mean difference of the thumbnails, 0 to 255, whatever the brightness of each as a whole."""
    first_HW3, second_HW3 = _colours(one), _colours(other)
    if mirrored:
        second_HW3 = second_HW3[:, ::-1]
    shift = first_HW3.mean() - second_HW3.mean()
    return float(np.abs(first_HW3 - second_HW3 - shift).mean())


def _bits(waves_HW: NDArray[np.float32]) -> str:
    # the first wave is the brightness of all, which says nothing and would shift the middle
    waves_N = waves_HW.ravel()
    return np.packbits(waves_N > np.median(waves_N[1:])).tobytes().hex()


def _colours(likeness: Likeness) -> NDArray[np.float32]:
    pixels = np.frombuffer(bytes.fromhex(likeness.thumbnail), np.uint8)
    return pixels.reshape(_THUMBNAIL, _THUMBNAIL, 3).astype(np.float32)
