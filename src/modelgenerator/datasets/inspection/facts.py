"""What is known of one picture of a dataset, in the numbers that are judged by.

In: a picture as it was prepared.  Out: `PictureFacts`.  What is good or bad is not known here.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from modelgenerator.datasets.appearance import Appearance
from modelgenerator.datasets.looking import regions_of
from modelgenerator.datasets.prepare import Picture
from modelgenerator.datasets.regions import Box, Mask, Size, SubjectRegions

_OUTLINE_SIDE = 16  # cells of the subject's outline that are compared


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectFacts:
    """The subject of one picture."""

    found_by: str
    subjects: int
    faces: int
    box: Box
    """In pixels of the upright photo."""
    head: Box | None
    borders_met: tuple[str, ...]
    """Of the photo: left, top, right, bottom."""
    head_cut: bool
    """Whether a border of the photo cuts the head."""
    share: float
    """Of the trained picture that the subject's rectangle takes, 0 to 1."""
    left_out: float
    """Share of the subject's rectangle that the square leaves out, 0 to 1."""
    outline: tuple[int, ...]
    """16 x 16 cells of its rectangle: how much of each it covers, in hundredths."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureFacts:
    """One picture."""

    name: str
    width: int
    """Of the upright photo, in pixels."""
    height: int
    crop: Box | None
    """What is cut out of it; none is all of it."""
    caption: str
    enlargement: float
    """How many trained pixels are made of one of the photo's, per side: above 1 they are made up,
    below 1 the photo is reduced.  A drawing that was enlarged counts in its own pixels."""
    crispness: float | None
    """Detail that the trained picture has of what it could have, per side, 0 to 1; lost by blur,
    not by enlarging.  None when there are no edges to judge by."""
    remarks: tuple[str, ...]
    subject: SubjectFacts | None
    """None when no subject was found, or nobody looked for one."""
    appearance: Appearance

    @property
    def trained_part(self) -> Box:
        """All that is left after the cut."""
        return self.crop or Box(0, 0, self.width, self.height)

    @property
    def is_cut_blindly(self) -> bool:
        """Whether a square was cut out though no subject was found."""
        return self.crop is not None and self.subject is None

    @property
    def has_face(self) -> bool:
        return self.subject is not None and self.subject.faces > 0

    @property
    def head_share(self) -> float | None:
        """Of the trained picture's height that the head takes; none without a head."""
        if self.subject is None or self.subject.head is None:
            return None
        return self.subject.head.height / self.trained_part.height


def facts_of(picture: Picture, resolution: int) -> PictureFacts | None:
    """None for a picture that was never looked at."""
    look = picture.look
    if look is None:
        return None
    appearance, regions = look.appearance, regions_of(look)
    drawn = appearance.pixel_size
    scale = resolution / math.sqrt(picture.width * picture.height)
    return PictureFacts(
        name=picture.name,
        width=look.size[0],
        height=look.size[1],
        crop=picture.crop,
        caption=picture.caption,
        enlargement=round(scale * drawn, 3),
        crispness=_crispness(appearance.detail, scale),
        remarks=look.remarks,
        subject=_subject(regions, look.size, picture.crop) if regions else None,
        appearance=appearance,
    )


def _crispness(detail: float | None, scale: float) -> float | None:
    """A photo that is reduced loses detail that blur had taken already."""
    return None if detail is None else round(min(1.0, detail / min(1.0, scale)), 3)


def _subject(regions: SubjectRegions, photo: Size, crop: Box | None) -> SubjectFacts:
    box, head = regions.box(photo), regions.head_box(photo)
    seen = crop or Box(0, 0, *photo)
    inside = _overlap(box, seen)
    return SubjectFacts(
        found_by=regions.found_by,
        subjects=regions.subjects,
        faces=regions.faces,
        box=box,
        head=head,
        borders_met=regions.borders_met(),
        head_cut=head is not None and _meets_border(regions.head_HW),
        share=round(inside / _area(seen), 4),
        left_out=round(1 - inside / _area(box), 4),
        outline=_outline(regions.subject_HW),
    )


def _area(box: Box) -> int:
    return max(0, box.width) * max(0, box.height)


def _overlap(one: Box, other: Box) -> int:
    both = Box(
        max(one.left, other.left),
        max(one.top, other.top),
        min(one.right, other.right),
        min(one.bottom, other.bottom),
    )
    return _area(both)


def _meets_border(head_HW: Mask) -> bool:
    """At the bottom a head meets the border of a portrait that shows nothing else: that counts."""
    return bool(
        head_HW[0].any() or head_HW[-1].any() or head_HW[:, 0].any() or head_HW[:, -1].any()
    )


def _outline(subject_HW: Mask) -> tuple[int, ...]:
    rows, columns = np.flatnonzero(subject_HW.any(1)), np.flatnonzero(subject_HW.any(0))
    within_HW = subject_HW[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    size = (_OUTLINE_SIDE, _OUTLINE_SIDE)
    covered_HW: NDArray[np.float32] = np.asarray(
        cv2.resize(within_HW.astype(np.float32), size, interpolation=cv2.INTER_AREA), np.float32
    )
    return tuple(round(100 * share) for share in covered_HW.ravel().tolist())
