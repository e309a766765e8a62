"""What one photo looks like, in numbers that are measured once and kept.

In: a photo and where its subject is.  Out: an `Appearance`.  What is good enough for a training,
and what a person is told, is decided by others: nothing here depends on a setting.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from modelgenerator.datasets.images import Photo
from modelgenerator.datasets.measures import flatness, sharpness, tones
from modelgenerator.datasets.measures.likeness import Likeness, likeness_of
from modelgenerator.datasets.measures.pyramid import Pixels, halvings, index_of_largest
from modelgenerator.datasets.normalize import square_around
from modelgenerator.datasets.regions import Box, Mask, SubjectRegions

APPEARANCE_VERSION = 2
"""Raised when the same photo gets other numbers: it belongs into what decides a cached one."""

_SHARP_SIDE = 1024  # pixels: the copy that is searched for edges shows the subject larger
_SEARCHED_SIDE = 768  # pixels of its middle
_TONE_SIDE = 400  # pixels of the copy that everything about light and colour is taken of
_HIGHLIGHTS = 98  # per cent of the subject are darker
_LEAST_BACKGROUND = 0.05  # of the photo: less says nothing of what is behind the subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Appearance:
    """One photo, measured; "subject" is the whole photo where no subject was found."""

    detail: float | None
    """How small the photo can be made before the subject loses detail, as a share of its side:
    1 is sharp, 0.25 is as sharp as a copy of a quarter of the size.  Of the head where there is
    one.  None when there are too few edges to judge by."""
    brightness: float
    """Mean lightness of the photo, 0 to 100 (CIELAB's L*: equal steps look equal)."""
    subject_brightness: float
    """As `brightness`, of the subject."""
    highlights: float
    """Lightness that only a fiftieth of the subject exceeds: a black coat in daylight has a button
    that shines, a photo that is too dark has none."""
    dark_share: float
    """Of the subject, 0 to 1: so dark that nothing can be told apart."""
    bright_share: float
    """Of the subject, 0 to 1: so bright that nothing can be told apart."""
    contrast: float
    """Standard deviation of the subject's lightness, in the unit of `brightness`."""
    colourfulness: float
    """0 for grey, about 15 for muted and 60 for lively colours."""
    warmth: float
    """Mean of the photo from blue (negative) to yellow (CIELAB's b*)."""
    light_from_right: float
    """-1 for a subject that is lit from the left only, 1 from the right only."""
    background_brightness: float | None
    """As `brightness`, of what is outside the subject's box; none when that is next to nothing."""
    background_contrast: float | None
    """Its standard deviation: small for a plain wall."""
    background_colours: tuple[int, ...] | None
    """Thousandths of it in each of 36 colours; compare with `measures.tones.different_shares`."""
    likeness: Likeness
    """By which the same photo is found again."""
    subject_likeness: Likeness
    """Of the square around the subject: it finds another cut of the same shot."""
    bars: tuple[float, float, float, float]
    """Shares of the width or height that are a bar of one colour: left, top, right, bottom."""
    flat_share: float
    """Of pixels that are exactly as their neighbour: small in a photo, large in a drawing."""
    flat_bands: tuple[float, float]
    """The same at the top and at the bottom, where a screen shows its bars."""
    pixel_size: int
    """Of a drawing that was enlarged without smoothing: the side of its squares; else 1."""
    blockiness: float
    """1 for a photo, well above for a JPEG that was squeezed until its blocks can be seen."""

    def as_json(self) -> str:
        """One line that `from_json` reads."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """What `as_json` wrote."""
        kept: dict[str, Any] = json.loads(text)
        likenesses = {"likeness", "subject_likeness"}
        return cls(**{name: _restored(name in likenesses, value) for name, value in kept.items()})


def _restored(is_likeness: bool, value: Any) -> Any:
    """JSON knows neither likenesses nor tuples."""
    if is_likeness:
        return Likeness(**value)
    return tuple(value) if isinstance(value, list) else value


def measure(photo: Photo, regions: SubjectRegions | None) -> Appearance:
    """Look at the photo once; the same photo and regions always give the same numbers."""
    levels = halvings(photo.pixels_HW3, smallest=_TONE_SIDE)
    small_HW3 = levels[-1]
    subject_HW, lab_HW3 = _subject_on(small_HW3, regions), tones.lab(small_HW3)
    lightness_HW = lab_HW3[..., 0]
    subject_N = lightness_HW[subject_HW]
    dark, bright = tones.clipped_shares(small_HW3, subject_HW)
    behind = _behind(lab_HW3, subject_HW)
    whole, cut = _likeness(small_HW3), _likeness(_square(levels, photo, regions))
    left, top, right, bottom = flatness.bars(small_HW3)
    upper, lower = flatness.flat_bands(photo.pixels_HW3)
    return Appearance(
        detail=_detail(levels, regions),
        brightness=_rounded(lightness_HW.mean()),
        subject_brightness=_rounded(subject_N.mean()),
        highlights=_rounded(np.percentile(subject_N, _HIGHLIGHTS)),
        dark_share=_rounded(dark),
        bright_share=_rounded(bright),
        contrast=_rounded(subject_N.std()),
        colourfulness=_rounded(tones.colourfulness(small_HW3)),
        warmth=_rounded(lab_HW3[..., 2].mean()),
        light_from_right=_rounded(tones.light_from_right(lightness_HW, subject_HW)),
        background_brightness=behind.brightness,
        background_contrast=behind.contrast,
        background_colours=behind.colours,
        likeness=whole,
        subject_likeness=cut,
        bars=(_rounded(left), _rounded(top), _rounded(right), _rounded(bottom)),
        flat_share=_rounded(flatness.flat_share(photo.pixels_HW3)),
        flat_bands=(_rounded(upper), _rounded(lower)),
        pixel_size=flatness.pixel_size(photo.pixels_HW3),
        blockiness=_rounded(flatness.blockiness(_grey(_centre(photo.pixels_HW3)))),
    )


def _detail(levels: list[Pixels], regions: SubjectRegions | None) -> float | None:
    """Of the head, and of the whole subject where the head has too few edges."""
    if regions is None:
        everywhere_HW = np.ones((1, 1), np.bool_)
        return _detail_of(levels, everywhere_HW)
    found = _detail_of(levels, regions.head_HW) if regions.has_head else None
    return _detail_of(levels, regions.subject_HW) if found is None else found


def _detail_of(levels: list[Pixels], region_HW: Mask) -> float | None:
    """Searched in the middle of a copy in which the region is larger than `_SHARP_SIDE`.

    That keeps it fast; what is crisp there is taken for crisp in the photo itself.  Where it is
    too plain to judge by, the middle of a smaller copy is searched.
    """
    region = _extent(region_HW)
    full = max(levels[0].shape[:2])
    share = max(region.width * levels[0].shape[1], region.height * levels[0].shape[0]) / full
    smaller = index_of_largest(levels, not_above=_SHARP_SIDE / share)
    for level_HW3 in levels[max(0, smaller - 1) : smaller + 1]:
        height, width = level_HW3.shape[:2]
        rows = _middle(region.top * height, region.bottom * height)
        columns = _middle(region.left * width, region.right * width)
        counted_HW = _resized(region_HW, (width, height))[rows, columns]
        found = sharpness.detail(_grey(level_HW3[rows, columns]), counted_HW)
        if found is not None:
            return found if found == 1 else _rounded(found * max(height, width) / full)
    return None


def _middle(start: float, end: float) -> slice:
    """Of whole pixels, `_SEARCHED_SIDE` at most."""
    first, beyond = int(start), max(int(start) + 1, round(end))
    first += max(0, beyond - first - _SEARCHED_SIDE) // 2
    return slice(first, min(beyond, first + _SEARCHED_SIDE))


@dataclass(frozen=True, slots=True)
class _Extent:
    """A rectangle in shares of the photo's width and height."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top


def _extent(region_HW: Mask) -> _Extent:
    rows, columns = np.flatnonzero(region_HW.any(1)), np.flatnonzero(region_HW.any(0))
    height, width = region_HW.shape
    return _Extent(
        left=columns[0] / width,
        top=rows[0] / height,
        right=(columns[-1] + 1) / width,
        bottom=(rows[-1] + 1) / height,
    )


@dataclass(frozen=True, slots=True)
class _Behind:
    """What is outside the subject."""

    brightness: float | None = None
    contrast: float | None = None
    colours: tuple[int, ...] | None = None


def _subject_on(pixels_HW3: Pixels, regions: SubjectRegions | None) -> Mask:
    """The subject on this copy of the photo; all of it where none was found."""
    height, width = pixels_HW3.shape[:2]
    everywhere_HW = np.ones((height, width), np.bool_)
    if regions is None:
        return everywhere_HW
    found_HW = _resized(regions.subject_HW, (width, height))
    return found_HW if found_HW.any() else everywhere_HW


def _behind(lab_HW3: NDArray[np.float32], subject_HW: Mask) -> _Behind:
    behind_HW = _outside(subject_HW)
    if behind_HW.mean() < _LEAST_BACKGROUND:
        return _Behind()
    behind_N3 = lab_HW3[behind_HW]
    return _Behind(
        brightness=_rounded(behind_N3[:, 0].mean()),
        contrast=_rounded(behind_N3[:, 0].std()),
        colours=tones.colour_shares(behind_N3),
    )


def _outside(subject_HW: Mask) -> Mask:
    """What is not the subject, nor so near that its outline may have been missed."""
    near_HW = cv2.dilate(subject_HW.astype(np.uint8), np.ones((9, 9), np.uint8))
    return np.asarray(near_HW == 0)


def _square(levels: list[Pixels], photo: Photo, regions: SubjectRegions | None) -> Pixels:
    """The square that a training would cut out, small."""
    square = square_around(regions, (photo.width, photo.height))
    enough = 64 * max(photo.width, photo.height) / square.width
    level_HW3 = next((level for level in reversed(levels) if max(level.shape[:2]) >= enough), None)
    level_HW3 = levels[0] if level_HW3 is None else level_HW3
    scale = level_HW3.shape[1] / photo.width
    left, top = int(square.left * scale), int(square.top * scale)
    side = max(1, round(square.width * scale))
    return Box(left, top, left + side, top + side).cut(level_HW3)


def _likeness(pixels_HW3: Pixels) -> Likeness:
    return likeness_of(pixels_HW3, _grey(pixels_HW3))


def _centre(pixels_HW3: Pixels) -> Pixels:
    """1024 pixels of the middle at most, beginning where a block of 8 begins."""
    top, left = (max(0, (length - 1024) // 2) // 8 * 8 for length in pixels_HW3.shape[:2])
    return pixels_HW3[top : top + 1024, left : left + 1024]


def _grey(pixels_HW3: Pixels) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(pixels_HW3), cv2.COLOR_RGB2GRAY), np.uint8)


def _resized(mask_HW: Mask, size: tuple[int, int]) -> Mask:
    resized_HW = cv2.resize(mask_HW.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    return np.asarray(resized_HW, np.bool_)


def _rounded(number: float | np.floating) -> float:
    """To what is meant: more digits would differ between machines."""
    return round(float(number), 4)
