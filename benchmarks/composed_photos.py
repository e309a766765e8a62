"""Photos with exact masks, put together from those that installed libraries ship.

In: a seed.  Out: a photo whose subject was pasted onto a background, and where.  Objects are a
horse and blobs cut out of other photos.  People are the two portraits, cut out by the mask that
`PersonSegmenter` finds of them in full size, which was looked at: for people this measures what is
lost with size, place and background, not what the network sees at all.
"""

import random
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import matplotlib
import numpy as np
import skimage
from numpy.typing import NDArray

from modelgenerator.datasets.images import Photo
from modelgenerator.datasets.regions import Mask

SIZES = ((640, 480), (480, 640), (512, 512))
_GROUNDS = ("grass.png", "gravel.png", "brick.png", "moon.png", "ihc.png")
_SKINS = ("retina.jpg", "logo.png", "chelsea.png", "coffee.png", "brick.png", "motorcycle_left.png")
_SKIMAGE = Path(skimage.__file__).parent / "data"
_MATPLOTLIB = Path(matplotlib.get_data_path()) / "sample_data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Composed:
    """A photo and where its subject is."""

    photo: Photo
    subject_HW: Mask
    head_HW: Mask | None
    """None: it has none, or where it ends is not known."""


def real_photo(name: str) -> Photo:
    """One of scikit-image's, or matplotlib's, by file name."""
    path = next(folder / name for folder in (_SKIMAGE, _MATPLOTLIB) if (folder / name).is_file())
    return Photo(name, _pixels(path), "0" * 64)


def composed_object(seed: int) -> Composed:
    """A horse or a blob with the skin of another photo, on a ground."""
    chance = random.Random(f"object {seed}")
    ground_HW3 = _ground(chance)
    outline_hw = _horse() if chance.random() < 0.4 else _blob(chance)
    skin = real_photo(chance.choice(_SKINS)).pixels_HW3
    pixels_hw3 = _tinted(_crop(skin, outline_hw.shape[::-1], chance), chance, 0.8)
    share = chance.uniform(0.25, 0.85)
    return _pasted(f"object {seed}", ground_HW3, pixels_hw3, outline_hw, None, share, chance)


def composed_person(seed: int, cut_outs: Any) -> Composed:
    """One of `cut_outs` (pixels, person, head), smaller, mirrored or leaning, on a ground.

    It is a portrait, so it ends at the photo's lower border.
    """
    chance = random.Random(f"person {seed}")
    pixels_hw3, person_hw, head_hw = cut_outs[seed % len(cut_outs)]
    angle = chance.uniform(-20, 20)
    parts = [_turned(part, angle) for part in (pixels_hw3, person_hw, head_hw)]
    if chance.random() < 0.5:
        parts = [np.ascontiguousarray(part[:, ::-1]) for part in parts]
    share = chance.uniform(0.3, 1.0)
    ground_HW3 = _ground(chance)
    return _pasted(f"person {seed}", ground_HW3, *parts, share, chance, stands=True)


def _pasted(
    name: str,
    ground_HW3: NDArray[np.uint8],
    pixels_hw3: Any,
    mask_hw: Any,
    head_hw: Any,
    share: float,
    chance: random.Random,
    *,
    stands: bool = False,
) -> Composed:
    """In so large a share of the photo's shorter side, with a soft edge as lenses make it.

    Who `stands` is cut by the photo's lower border.
    """
    height, width = ground_HW3.shape[:2]
    scale = share * min(width, height) / max(mask_hw.shape)
    size = max(8, round(mask_hw.shape[1] * scale)), max(8, round(mask_hw.shape[0] * scale))
    left, top = chance.randint(0, width - size[0]), chance.randint(0, height - size[1])
    if stands:
        top = height - round(0.85 * size[1])
    inside = slice(top, top + size[1]), slice(left, left + size[0])
    seen = slice(0, height - top)
    cover = cv2.resize(mask_hw.astype(np.float32), size, interpolation=cv2.INTER_AREA)[seen]
    colours = cv2.resize(pixels_hw3, size, interpolation=cv2.INTER_AREA)[seen]
    soft = cv2.GaussianBlur(cover, (3, 3), 0)[..., None]
    result_HW3 = ground_HW3.astype(np.float32)
    result_HW3[inside] += soft * (colours - result_HW3[inside])
    noise = np.random.default_rng(chance.randrange(2**31)).normal(0, 3, result_HW3.shape)
    pixels_HW3 = np.clip(result_HW3 + noise, 0, 255).astype(np.uint8)
    subject_HW = np.zeros((height, width), bool)
    subject_HW[inside] = cover > 0.5
    head_HW = None
    if head_hw is not None:
        head_HW = np.zeros_like(subject_HW)
        head_HW[inside] = cv2.resize(head_hw.astype(np.float32), size)[seen] > 0.5
    photo = Photo(name, pixels_HW3, "0" * 64)
    return Composed(photo=photo, subject_HW=subject_HW, head_HW=head_HW)


def _ground(chance: random.Random) -> NDArray[np.uint8]:
    size = chance.choice(SIZES)
    if chance.random() < 0.25:  # a wall, lit from one side
        one, other = (np.array([chance.randrange(256) for _ in range(3)]) for _ in range(2))
        other = (0.7 * one + 0.3 * other).astype(int)
        slope_W = np.linspace(0, 1, size[0])[None, :, None]
        return np.tile(one + slope_W * (other - one), (size[1], 1, 1)).astype(np.uint8)
    pixels_HW3 = real_photo(chance.choice(_GROUNDS)).pixels_HW3
    ground_HW3 = _tinted(_crop(pixels_HW3, size, chance), chance, 0.5)
    blur = chance.choice((0, 0, 2, 5))  # out of focus
    return cv2.GaussianBlur(ground_HW3, (0, 0), blur) if blur else ground_HW3


def _crop(pixels_HW3: Any, size: tuple[int, int], chance: random.Random) -> Any:
    """A random part of at least 60 %, of this size."""
    height, width = pixels_HW3.shape[:2]
    share = chance.uniform(0.6, 1.0)
    wide, high = int(width * share), int(height * share)
    left, top = chance.randint(0, width - wide), chance.randint(0, height - high)
    part = pixels_HW3[top : top + high, left : left + wide]
    return cv2.resize(np.ascontiguousarray(part), size, interpolation=cv2.INTER_AREA)


def _tinted(pixels_HW3: Any, chance: random.Random, most: float) -> NDArray[np.uint8]:
    """Towards a random colour."""
    share, colour = chance.uniform(0, most), [chance.randrange(256) for _ in range(3)]
    tinted = pixels_HW3 * (1 - share) + (pixels_HW3.mean(-1, keepdims=True) / 128) * (
        share * np.array(colour)
    )
    return np.clip(tinted, 0, 255).astype(np.uint8)


def _turned(part: Any, angle: float) -> Any:
    height, width = part.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 0.85)
    turned = cv2.warpAffine(part.astype(np.uint8), turn, (width, height))
    return turned > 0 if part.dtype == bool else turned


@cache
def _horse() -> Mask:
    grey = cv2.cvtColor(real_photo("horse.png").pixels_HW3, cv2.COLOR_RGB2GRAY)
    return grey < 128


def _blob(chance: random.Random) -> Mask:
    """A smooth outline around a middle."""
    angles = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    radius = np.ones_like(angles)
    for wave in (2, 3, 5):
        height, phase = chance.uniform(0, 0.5 / wave), chance.uniform(0, 7)
        radius += height * np.sin(wave * angles + phase)
    radius *= 180 / radius.max()
    points = np.stack([200 + radius * np.cos(angles), 200 + radius * np.sin(angles)], 1)
    mask = np.zeros((400, 400), np.uint8)
    cv2.fillPoly(mask, [points.astype(np.int32)], 1)
    return mask > 0


def _pixels(path: Path) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB), np.uint8)
