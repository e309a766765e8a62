"""People, by a small network out of an installed library; it works offline on any machine.

In: a photo.  Out: the person with the largest face, or none where there is no face: the network
takes a cat for a person too, so a face decides.
"""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from modelgenerator.datasets.images import Photo
from modelgenerator.datasets.regions import Mask, SubjectRegions, on_grid
from modelgenerator.datasets.segmenters.edges import Likelihood, guided, parts_of, without_holes
from modelgenerator.datasets.segmenters.faces import Face, FaceFinder, head_of, head_region

_SIDE = 256
_LEAST = 0.004
"""Of the photo that a person takes."""
_Window = tuple[int, int, int, int]
"""Left, top, right and bottom on the grid."""


@dataclass(frozen=True)
class PersonSegmenter:
    """MediaPipe's selfie segmentation around the largest face.

    Source: the network, and how it is fed: MediaPipe's selfie_segmentation graph.
    """

    path: Path
    faces: FaceFinder = field(repr=False)

    @property
    def version(self) -> str:
        """See `Segmenter`."""
        return f"person 1, selfie segmentation 0.10.21, faces: {self.faces.version}"

    def find(self, photo: Photo) -> SubjectRegions | None:
        """See `Segmenter`."""
        pixels_HW3 = on_grid(photo.pixels_HW3)
        faces = self.faces.find(pixels_HW3)
        if not faces:
            return None
        likely_HW = self._likelihood(pixels_HW3, faces[0])
        person_HW = _person_with(faces[0], likely_HW > 0.5)
        if person_HW is None:
            return None
        return SubjectRegions(
            subject_HW=person_HW,
            head_HW=head_of(person_HW, faces[0]),
            found_by="a person (selfie segmentation)",
            subjects=len(faces),
            faces=len(faces),
        )

    def _likelihood(self, pixels_HW3: NDArray[np.uint8], face: Face) -> Likelihood:
        """Of all of the photo, then again of a window in which the person is large."""
        height, width = pixels_HW3.shape[:2]
        whole_HW = self._seen(pixels_HW3, (0, 0, width, height))
        window = _around(face, _person_with(face, whole_HW > 0.5), (height, width))
        if (window[2] - window[0]) * (window[3] - window[1]) > 0.8 * height * width:
            likely_HW = whole_HW
        else:
            likely_HW = np.zeros_like(whole_HW)
            left, top, right, bottom = window
            likely_HW[top:bottom, left:right] = self._seen(pixels_HW3, window)
        side = max(window[2] - window[0], window[3] - window[1])
        return guided(likely_HW, pixels_HW3, radius=max(2, side // 80))

    def _seen(self, pixels_HW3: NDArray[np.uint8], window: _Window) -> Likelihood:
        """What the network says of a window, in the window's own cells."""
        left, top, right, bottom = window
        cut_HW3 = np.ascontiguousarray(pixels_HW3[top:bottom, left:right])
        small_HW3 = cv2.resize(cut_HW3, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
        net = _network(self.path)
        net.setInput(cv2.dnn.blobFromImage(small_HW3, 1 / 255))
        likely_HW = net.forward().reshape(_SIDE, _SIDE)
        size = right - left, bottom - top
        return np.asarray(cv2.resize(likely_HW, size, interpolation=cv2.INTER_CUBIC), np.float32)


def _person_with(face: Face, people_HW: Mask) -> Mask | None:
    """The part of the mask that the face is in; none if the face is in none."""
    if not people_HW.any():
        return None
    inside_HW = head_region(face, people_HW.shape)
    parts = parts_of(people_HW, least=0.0)
    best = max(parts, key=lambda part_HW: int((part_HW & inside_HW).sum()))
    covered = (best & inside_HW).sum() / max(1, inside_HW.sum())
    if covered < 0.25 or best.mean() < _LEAST:
        return None
    return without_holes(best, largest=0.02)


def _around(face: Face, person_HW: Mask | None, shape: tuple[int, int]) -> _Window:
    """A window with room around the person; around a body of usual size if none was seen."""
    height, width = shape
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
