"""Where the main subject of a photo is: all of it, and its head.

In: two masks that a segmenter found.  Out: the same, small enough to keep for every photo, with the
boxes and shares that others decide by.  How they were found, and what a crop or a loss makes of
them, is not known here.
"""

import json
from dataclasses import dataclass
from typing import Self, cast

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Size = tuple[int, int]
"""Width and height in pixels."""

MOST_CELLS = 640
"""Per side of the grid: finer than any latent grid, and small beside the photo."""
_SUBJECT, _HEAD = 1, 2


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels of the upright photo; right and bottom are the first ones outside."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top

    def cut(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """What lies inside, of an array whose first two dimensions are rows and columns."""
        inside = pixels[self.top : self.bottom, self.left : self.right]
        return np.ascontiguousarray(inside)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SubjectRegions:
    """The main subject of one photo, on a grid of its own that covers the whole photo.

    The grid has the photo's shape and at most `MOST_CELLS` a side; a small photo's grid is its own
    pixels.
    """

    subject_HW: Mask
    """All of the subject, its head included; never empty."""
    head_HW: Mask
    """Empty for a product, or an animal whose head was not found."""
    found_by: str
    """The segmenter, as a person may read it: "a person (selfie segmentation)"."""
    subjects: int = 1
    """How many there seem to be; this one is the largest."""
    faces: int = 0

    def __post_init__(self) -> None:
        assert self.subject_HW.shape == self.head_HW.shape
        assert self.subject_HW.any(), "no subject is `None`, not an empty one"

    @property
    def has_head(self) -> bool:
        return bool(self.head_HW.any())

    @property
    def share(self) -> float:
        """Of the photo's area that the subject takes, 0 to 1."""
        return float(self.subject_HW.mean())

    def box(self, photo: Size) -> Box:
        """The smallest rectangle of the photo's pixels around the subject."""
        return _box(self.subject_HW, photo)

    def head_box(self, photo: Size) -> Box | None:
        """As `box`, around the head."""
        return _box(self.head_HW, photo) if self.has_head else None

    def borders_met(self) -> tuple[str, ...]:
        """At which of left, top, right and bottom the photo cuts the subject."""
        edges = {
            "left": self.subject_HW[:, 0],
            "top": self.subject_HW[0],
            "right": self.subject_HW[:, -1],
            "bottom": self.subject_HW[-1],
        }
        return tuple(name for name, edge_L in edges.items() if edge_L.any())

    def as_bytes(self) -> bytes:
        """A few kilobytes from which `from_bytes` makes these regions again."""
        areas_HW = np.where(self.head_HW, _HEAD, np.where(self.subject_HW, _SUBJECT, 0))
        _, png = cv2.imencode(".png", areas_HW.astype(np.uint8))
        said = {"found_by": self.found_by, "subjects": self.subjects, "faces": self.faces}
        return json.dumps(said).encode() + b"\n" + png.tobytes()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """What `as_bytes` kept."""
        said, _, png = content.partition(b"\n")
        decoded = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE)
        areas_HW = cast(NDArray[np.uint8], decoded)
        return cls(subject_HW=areas_HW > 0, head_HW=areas_HW == _HEAD, **json.loads(said))


def grid_size(photo: Size) -> Size:
    """Width and height of the grid of regions for a photo of this size."""
    scale = min(1.0, MOST_CELLS / max(photo))
    return max(1, round(photo[0] * scale)), max(1, round(photo[1] * scale))


def on_grid(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A photo, or its mask, on the grid of its regions, by averaging areas.

    It is what most segmenters look at.
    """
    height, width = pixels.shape[:2]
    size = grid_size((width, height))
    if size == (width, height):
        return pixels
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _box(mask_HW: Mask, photo: Size) -> Box:
    """Outwards to whole pixels, so that nothing of the subject is outside."""
    rows, columns = np.flatnonzero(mask_HW.any(1)), np.flatnonzero(mask_HW.any(0))
    across, down = photo[0] / mask_HW.shape[1], photo[1] / mask_HW.shape[0]
    return Box(
        int(columns[0] * across),
        int(rows[0] * down),
        min(photo[0], int(np.ceil((columns[-1] + 1) * across))),
        min(photo[1], int(np.ceil((rows[-1] + 1) * down))),
    )
