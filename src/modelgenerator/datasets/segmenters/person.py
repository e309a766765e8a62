"""People: the one with the largest face, by what a network sees around it.

In: a photo.  Out: a person, or none where there is no face: such networks take a cat for a person
too, so a face decides.  Which network looks is passed in; the one here comes out of an installed
library and works offline on any machine.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from modelgenerator.datasets.images import Photo
from modelgenerator.datasets.regions import Mask, SubjectRegions, on_grid
from modelgenerator.datasets.segmenters.edges import Likelihood, guided, parts_of, without_holes
from modelgenerator.datasets.segmenters.faces import Face, FaceFinder, head_of, head_region

_LEAST = 0.004
"""Of the photo that a person takes."""
_LEAST_WITHOUT_FACE, _CERTAIN_WITHOUT_FACE = 0.03, 0.9
_Window = tuple[int, int, int, int]
"""Left, top, right and bottom on the grid."""


class PersonSight(Protocol):
    """A network that sees people."""

    @property
    def called(self) -> str:
        """As `SubjectRegions.found_by` says it."""
        ...

    @property
    def version(self) -> str:
        """What decides its answers."""
        ...

    def see(self, window_HW3: NDArray[np.uint8]) -> tuple[Likelihood, Likelihood | None]:
        """How likely each place is a person, and a head where it knows; of any size."""
        ...


@dataclass(frozen=True)
class SelfieSight:
    """MediaPipe's selfie segmentation, 256 x 256: all of a person, not its parts.

    Source: how it is fed: MediaPipe's selfie_segmentation graph.
    """

    path: Path
    called: str = "a person (selfie segmentation)"
    version = "selfie segmentation 0.10.21"

    def see(self, window_HW3: NDArray[np.uint8]) -> tuple[Likelihood, Likelihood | None]:
        """See `PersonSight`."""
        small_HW3 = cv2.resize(window_HW3, (256, 256), interpolation=cv2.INTER_AREA)
        net = _network(self.path)
        net.setInput(cv2.dnn.blobFromImage(small_HW3, 1 / 255))
        return net.forward().reshape(256, 256), None


@dataclass(frozen=True)
class PersonSegmenter:
    """The person with the largest face; looked at twice, the second time from near."""

    sight: PersonSight
    faces: FaceFinder = field(repr=False)
    without_face: bool = False
    """Whether someone may be found who shows no face: only where people are all there is."""

    @property
    def version(self) -> str:
        """See `Segmenter`."""
        also = ", without a face too" if self.without_face else ""
        return f"person 1, {self.sight.version}, faces: {self.faces.version}{also}"

    def find(self, photo: Photo) -> SubjectRegions | None:
        """See `Segmenter`."""
        pixels_HW3 = on_grid(photo.pixels_HW3)
        faces = self.faces.find(pixels_HW3)
        if not faces and not self.without_face:
            return None
        height, width = pixels_HW3.shape[:2]
        whole_HW, _ = self._seen(pixels_HW3, (0, 0, width, height))
        rough_HW = _person_in(whole_HW, faces)
        if rough_HW is None and not faces:
            return None
        window = _around(faces, rough_HW, (height, width))
        likely_HW, head_HW = self._seen(pixels_HW3, window)
        side = max(window[2] - window[0], window[3] - window[1])
        likely_HW = guided(likely_HW, pixels_HW3, radius=max(2, side // 80))
        person_HW = _person_in(likely_HW, faces)
        if person_HW is None:
            return None
        return SubjectRegions(
            subject_HW=person_HW,
            head_HW=_head(person_HW, head_HW, faces),
            found_by=self.sight.called,
            subjects=max(1, len(faces)),
            faces=len(faces),
        )

    def _seen(
        self, pixels_HW3: NDArray[np.uint8], window: _Window
    ) -> tuple[Likelihood, Likelihood | None]:
        """What the network says of a window, on the whole grid: nothing is outside."""
        left, top, right, bottom = window
        person_hw, head_hw = self.sight.see(
            np.ascontiguousarray(pixels_HW3[top:bottom, left:right])
        )
        person_HW = np.zeros(pixels_HW3.shape[:2], np.float32)
        head_HW = None if head_hw is None else np.zeros_like(person_HW)
        for part_hw, whole_HW in ((person_hw, person_HW), (head_hw, head_HW)):
            if part_hw is not None and whole_HW is not None:
                size = right - left, bottom - top
                whole_HW[top:bottom, left:right] = cv2.resize(
                    part_hw, size, interpolation=cv2.INTER_CUBIC
                )
        return person_HW, head_HW


def _head(person_HW: Mask, seen_HW: Likelihood | None, faces: Sequence[Face]) -> Mask:
    """What the network saw of it around the face; else what of the person is near the face."""
    if not faces:
        return np.zeros_like(person_HW)
    if seen_HW is not None:
        wide = Face(faces[0].x, faces[0].y, 2 * faces[0].size, faces[0].certainty)
        seen = person_HW & (seen_HW > 0.5) & head_region(wide, person_HW.shape)
        if seen.any():
            return parts_of(seen, least=1.0)[0]
    return head_of(person_HW, faces[0])


def _person_in(likely_HW: Likelihood, faces: Sequence[Face]) -> Mask | None:
    """The part that the largest face is in; without faces, the largest if it is beyond doubt."""
    people_HW = likely_HW > 0.5
    if not people_HW.any():
        return None
    parts = parts_of(people_HW, least=0.0)
    if not faces:
        certain = likely_HW[parts[0]].mean() > _CERTAIN_WITHOUT_FACE
        return parts[0] if certain and parts[0].mean() > _LEAST_WITHOUT_FACE else None
    inside_HW = head_region(faces[0], people_HW.shape)
    best = max(parts, key=lambda part_HW: int((part_HW & inside_HW).sum()))
    covered = (best & inside_HW).sum() / max(1, inside_HW.sum())
    if covered < 0.25 or best.mean() < _LEAST:
        return None
    return without_holes(best, largest=0.02)


def _around(faces: Sequence[Face], person_HW: Mask | None, shape: tuple[int, int]) -> _Window:
    """A window with room around the person; around a body of usual size if none was seen."""
    height, width = shape
    left, top, right, bottom = float(width), float(height), 0.0, 0.0
    for face in faces[:1]:
        left, right = face.x - 2.2 * face.size, face.x + 2.2 * face.size
        top, bottom = face.y - 1.6 * face.size, face.y + 3.5 * face.size
    if person_HW is not None:
        rows, columns = np.flatnonzero(person_HW.any(1)), np.flatnonzero(person_HW.any(0))
        room = 0.08 * max(len(rows), len(columns))
        left, right = min(left, columns[0] - room), max(right, columns[-1] + room)
        top, bottom = min(top, rows[0] - room), max(bottom, rows[-1] + room)
    return max(0, int(left)), max(0, int(top)), min(width, int(right)), min(height, int(bottom))


@cache
def _network(path: Path) -> Any:
    return cv2.dnn.readNetFromTFLite(str(path))
