"""Where faces are in a photo, and where the head around one can be.

In: a photo on its grid.  Out: faces, the largest first.  Two finders: a network when its file is on
this machine, else the cascade that comes with OpenCV.  Whose face it is, is not known.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from modelgenerator.datasets.regions import Mask
from modelgenerator.datasets.segmenters.edges import parts_of
from modelgenerator.datasets.segmenters.person_files import PersonFile, person_file

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Face:
    """From the brows to the chin; in cells of the grid, and perhaps partly outside of it."""

    x: float
    """Of its middle."""
    y: float
    size: float
    certainty: float
    """0 to 1."""


class FaceFinder(Protocol):
    """Finds faces."""

    @property
    def version(self) -> str:
        """What decides its answers."""
        ...

    def find(self, pixels_HW3: NDArray[np.uint8]) -> tuple[Face, ...]:
        """All faces that are turned to the camera more or less, the largest first."""
        ...


def face_finder() -> FaceFinder:
    """The better one of those that work on this machine."""
    path = person_file(PersonFile.FACES)
    return CascadeFaces() if path is None else NetworkFaces(path)


def head_region(face: Face, shape: tuple[int, ...]) -> Mask:
    """Where hair, hat, ears and chin of a face can be: an ellipse, wider and higher than it."""
    region_HW = np.zeros(shape[:2], np.uint8)
    middle = round(face.x), round(face.y - 0.32 * face.size)
    axes = round(0.97 * face.size), round(1.08 * face.size)
    cv2.ellipse(region_HW, middle, axes, 0, 0, 360, 1, cv2.FILLED)
    return region_HW > 0


def head_of(person_HW: Mask, face: Face) -> Mask:
    """Hair, face and ears: what of the person is around the face, with hats and hair above it."""
    head_HW = person_HW & head_region(face, person_HW.shape)
    parts = parts_of(head_HW, least=1.0) if head_HW.any() else [head_HW]
    return parts[0]


# --- the network


_SIDE = 128
_LIKELY, _CERTAIN = 0.5, 0.78
_TILES = ((1.0, 1), (0.6, 3), (0.36, 5))
"""Side of a tile as a share of the photo's longer side, and how many there are along it."""


@dataclass(frozen=True)
class NetworkFaces:
    """MediaPipe's short-range face detection, at three scales; what it finds is looked at twice.

    Source: V. Bazarevsky et al., "BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs",
    2019; anchors as in MediaPipe's face_detection_short_range graph.
    """

    path: Path
    version = "blazeface 0.10.21 at three scales, 1"

    def find(self, pixels_HW3: NDArray[np.uint8]) -> tuple[Face, ...]:
        """See `FaceFinder`."""
        likely = [face for tile in _tiles(pixels_HW3.shape) for face in self._in(pixels_HW3, *tile)]
        looked_at = [self._again(pixels_HW3, face) for face in _distinct(likely)]
        certain = _distinct([face for face in looked_at if face is not None])
        return tuple(sorted(certain, key=lambda face: -face.size))

    def _again(self, pixels_HW3: NDArray[np.uint8], face: Face) -> Face | None:
        """The same face, seen alone and in the size that the network knows best."""
        best: Face | None = None
        for share in (1.7, 2.4):
            side = share * face.size
            for found in self._in(pixels_HW3, face.x - side / 2, face.y - side / 2, side):
                far = max(abs(found.x - face.x), abs(found.y - face.y)) > 0.4 * face.size
                alike = 0.6 < found.size / face.size < 1.6
                if not far and alike and (best is None or found.certainty > best.certainty):
                    best = found
        return best if best is not None and best.certainty >= _CERTAIN else None

    def _in(
        self, pixels_HW3: NDArray[np.uint8], left: float, top: float, side: float
    ) -> Iterator[Face]:
        """What is seen in a square, which may reach over the photo's border."""
        scale = _SIDE / side
        onto = np.array([[scale, 0, -left * scale], [0, scale, -top * scale]], np.float64)
        reduced_HW3, factor = _reduced(pixels_HW3, scale)
        onto[:, :2] *= factor
        square_HW3 = cv2.warpAffine(reduced_HW3, onto, (_SIDE, _SIDE), flags=cv2.INTER_LINEAR)
        certainties_A, boxes_A4 = self._answers(square_HW3)
        for index in np.flatnonzero(certainties_A > _LIKELY):
            x, y, width, height = (float(number) for number in boxes_A4[index] / scale)
            yield Face(left + x, top + y, max(width, height), float(certainties_A[index]))

    def _answers(self, square_HW3: Any) -> tuple[Floats, Floats]:
        """How certain each anchor is, and its box: middle, width and height in pixels."""
        net = _network(self.path)
        net.setInput(cv2.dnn.blobFromImage(square_HW3, 1 / 127.5, (_SIDE, _SIDE), (127.5,) * 3))
        said, boxes = net.forward(["classificators", "regressors"])
        certainties_A = 1 / (1 + np.exp(-np.clip(said.reshape(-1), -50, 50)))
        boxes_A4 = boxes.reshape(-1, 16)[:, :4].copy()
        boxes_A4[:, :2] += _anchors()
        return certainties_A, boxes_A4


def _tiles(shape: tuple[int, ...]) -> Iterator[tuple[float, float, float]]:
    """Left, top and side of overlapping squares that cover the photo, whole first."""
    height, width = shape[:2]
    longer = max(height, width)
    for share, count in _TILES:
        side = share * longer
        for middle_y in _spread(height, side, count):
            for middle_x in _spread(width, side, count):
                yield middle_x - side / 2, middle_y - side / 2, side


def _spread(length: int, side: float, count: int) -> Sequence[float]:
    """Middles of as many squares as it takes, `count` at most."""
    if side >= length:
        return (length / 2,)
    needed = min(count, int(np.ceil((length - side) / (side * 0.45))) + 1)
    return [float(middle) for middle in np.linspace(side / 2, length - side / 2, needed)]


def _reduced(pixels_HW3: NDArray[np.uint8], scale: float) -> tuple[Any, float]:
    """The photo halved until linear interpolation does not skip pixels, and by how much."""
    reduced: Any = pixels_HW3
    factor = 1.0
    while scale * factor < 0.6 and min(reduced.shape[:2]) >= 2:
        height, width = reduced.shape[:2]
        reduced = cv2.resize(reduced, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        factor *= 2
    return reduced, factor


def _distinct(faces: Sequence[Face]) -> list[Face]:
    """One of those that mean the same face: the most certain, of equals the first."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: -face.certainty):
        if not any(_same(face, other) for other in kept):
            kept.append(face)
    return kept


def _same(one: Face, other: Face) -> bool:
    reach = 0.5 * max(one.size, other.size)
    return abs(one.x - other.x) < reach and abs(one.y - other.y) < reach


@cache
def _anchors() -> Floats:
    """Middles in pixels: two for each of 16 x 16 cells, six for each of 8 x 8."""
    middles = [
        ((column + 0.5) * _SIDE / cells, (row + 0.5) * _SIDE / cells)
        for cells, each in ((16, 2), (8, 6))
        for row in range(cells)
        for column in range(cells)
        for _ in range(each)
    ]
    return np.array(middles, np.float32)


@cache
def _network(path: Path) -> Any:
    return cv2.dnn.readNetFromTFLite(str(path))


# --- the cascade


@dataclass(frozen=True)
class CascadeFaces:
    """OpenCV's frontal faces: misses more, and finds no face that is turned or leans."""

    version = "haar alt2, 1"

    def find(self, pixels_HW3: NDArray[np.uint8]) -> tuple[Face, ...]:
        """See `FaceFinder`."""
        grey_HW = cv2.cvtColor(pixels_HW3, cv2.COLOR_RGB2GRAY)
        least = max(24, min(grey_HW.shape) // 20)
        boxes = _cascade().detectMultiScale(
            grey_HW, scaleFactor=1.1, minNeighbors=6, minSize=(least, least)
        )
        faces = [
            Face(float(x + width / 2), float(y + width / 2), 0.9 * float(width), 1.0)
            for x, y, width, _ in boxes
        ]
        return tuple(sorted(faces, key=lambda face: -face.size))


@cache
def _cascade() -> Any:
    folder = Path(str(cv2.__file__)).parent / "data"
    return cv2.CascadeClassifier(str(folder / "haarcascade_frontalface_alt2.xml"))
