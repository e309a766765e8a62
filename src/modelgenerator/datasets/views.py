"""What a person sees of each picture: the photo with what is cut out, and what is trained of it.

In: a prepared picture and the size it is trained in.  Out: two small pictures.  What is said about
it, and where they are put, is not known here.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from modelgenerator.datasets.buckets import Size, cut_box, fit
from modelgenerator.datasets.looking import regions_of
from modelgenerator.datasets.masks import PictureMask
from modelgenerator.datasets.prepare import Picture
from modelgenerator.datasets.regions import Box, Mask, SubjectRegions

HEAD, SUBJECT, AROUND = (255, 176, 32), (38, 214, 214), (255, 255, 255)
"""Colours of the outlines; told apart by the colour-blind and on any photo."""
_NIGHT = np.array((16, 18, 30), np.float32)
"""What does not count fades into it."""
_FAINTEST = 0.16  # of a picture's part that does not count at all: it must still be recognized
_LEFT_OUT = 0.35  # of the photo outside the cut

Pixels = NDArray[np.uint8]
Rectangle = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Views:
    """Two pictures of the same height."""

    photo: Image.Image
    """All of it; what is not trained is dimmed."""
    trained: Image.Image
    """What is trained, as sharp as it is trained; what counts less is darker."""


def views_of(picture: Picture, bucket: Size, *, height: int) -> Views:
    """Decode the picture again and show it, `height` pixels high.

    Raises:
        UnusablePhoto: the file is gone, or was changed meanwhile.
        UnusableMask: the same of its mask.
    """
    assert picture.look is not None
    regions, size = regions_of(picture.look), picture.look.size
    kept = _kept(picture, size, bucket)
    whole_HW3 = replace(picture, crop=None).read().pixels_HW3
    cut_HW3 = picture.crop.cut(whole_HW3) if picture.crop else whole_HW3
    return Views(
        photo=_photo(whole_HW3, kept, height),
        trained=_trained(fit(cut_HW3, bucket), picture.mask, regions, kept, size, height),
    )


def _kept(picture: Picture, photo: Size, bucket: Size) -> Rectangle:
    """Of the photo, in shares of its sides: left, top, right, bottom."""
    crop = picture.crop or Box(0, 0, *photo)
    left, top, right, bottom = cut_box(crop.width, crop.height, bucket)
    return (
        (crop.left + left) / photo[0],
        (crop.top + top) / photo[1],
        (crop.left + right) / photo[0],
        (crop.top + bottom) / photo[1],
    )


def _photo(whole_HW3: Pixels, kept: Rectangle, height: int) -> Image.Image:
    small_HW3 = _shown(whole_HW3, height)
    rows, columns = small_HW3.shape[:2]
    left, top, right, bottom = _on(kept, columns, rows)
    dimmed_HW3 = _faded(small_HW3, np.full((rows, columns), _LEFT_OUT, np.float32))
    dimmed_HW3[top:bottom, left:right] = small_HW3[top:bottom, left:right]
    if (right - left, bottom - top) != (columns, rows):
        cv2.rectangle(dimmed_HW3, (left, top), (right - 1, bottom - 1), AROUND, 2, cv2.LINE_AA)
    return Image.fromarray(dimmed_HW3)


def _trained(
    trained_HW3: Pixels,
    mask: PictureMask | None,
    regions: SubjectRegions | None,
    kept: Rectangle,
    photo: Size,
    height: int,
) -> Image.Image:
    shown_HW3 = _shown(trained_HW3, height)
    rows, columns = shown_HW3.shape[:2]
    if mask is not None:
        bucket = trained_HW3.shape[1], trained_HW3.shape[0]
        weights_HW = mask.weights(bucket, feather=1)
        weights_HW = cv2.resize(weights_HW, (columns, rows), interpolation=cv2.INTER_LINEAR)
        shown_HW3 = _faded(shown_HW3, np.asarray(weights_HW, np.float32))
    if regions is not None:
        _outline(shown_HW3, regions, kept, photo)
    return Image.fromarray(shown_HW3)


def _faded(pixels_HW3: Pixels, weights_HW: NDArray[np.float32]) -> Pixels:
    strength_HW1 = (_FAINTEST + (1 - _FAINTEST) * weights_HW)[..., None]
    return (pixels_HW3 * strength_HW1 + _NIGHT * (1 - strength_HW1)).round().astype(np.uint8)


def _outline(shown_HW3: Pixels, regions: SubjectRegions, kept: Rectangle, photo: Size) -> None:
    """Draw where subject and head were found, and the rectangle around the subject."""
    box = regions.box(photo)
    corners = np.array([[box.left, box.top], [box.right, box.bottom]]) / photo
    (left, top), (right, bottom) = _placed(corners, kept, shown_HW3).tolist()
    cv2.rectangle(shown_HW3, (left, top), (right, bottom), AROUND, 1, cv2.LINE_AA)
    for mask_HW, colour in ((regions.subject_HW, SUBJECT), (regions.head_HW, HEAD)):
        lines = [_placed(line, kept, shown_HW3) for line in _borders(mask_HW)]
        cv2.polylines(
            shown_HW3, lines, isClosed=True, color=colour, thickness=2, lineType=cv2.LINE_AA
        )


def _borders(mask_HW: Mask) -> list[NDArray[np.float64]]:
    """Around each part, in shares of the sides."""
    found, _ = cv2.findContours(mask_HW.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    sides = mask_HW.shape[1], mask_HW.shape[0]
    return [(np.asarray(line)[:, 0] + 0.5) / sides for line in found]


def _placed(
    places_N2: NDArray[np.float64], kept: Rectangle, shown_HW3: Pixels
) -> NDArray[np.int32]:
    """From shares of the photo to pixels of what is shown of it."""
    start_2, end_2 = np.array(kept[:2]), np.array(kept[2:])
    size_2 = np.array((shown_HW3.shape[1], shown_HW3.shape[0]))
    return ((places_N2 - start_2) / (end_2 - start_2) * size_2).round().astype(np.int32)


def _on(kept: Rectangle, columns: int, rows: int) -> tuple[int, int, int, int]:
    left, top, right, bottom = kept
    return (
        round(left * columns),
        round(top * rows),
        round(right * columns),
        round(bottom * rows),
    )


def _shown(pixels_HW3: Pixels, height: int) -> Pixels:
    """`height` high; what is smaller is enlarged without smoothing, so that its pixels show."""
    rows, columns = pixels_HW3.shape[:2]
    size = max(1, round(columns * height / rows)), height
    way = cv2.INTER_AREA if rows > height else cv2.INTER_NEAREST
    return np.asarray(cv2.resize(pixels_HW3, size, interpolation=way), np.uint8)
