"""Real photographs that come along with packages of the test environment, and what spoils them.

In: a name.  Out: a `Photo`, or one that was blurred, darkened or enlarged in a known way.
"""

from functools import cache
from importlib.resources import files

import cv2
import numpy as np
from numpy.typing import NDArray

from modelgenerator.datasets.images import Photo, read_photo
from modelgenerator.datasets.regions import SubjectRegions

PORTRAIT, WOMAN, CAT, CUP, CAMERA, ROCKET, BRICKS, PAGE = (
    "grace_hopper.jpg",
    "astronaut.png",
    "chelsea.png",
    "coffee.png",
    "camera.png",
    "rocket.jpg",
    "brick.png",
    "page.png",
)
PHOTOS = (PORTRAIT, WOMAN, CAT, CUP, CAMERA, ROCKET, BRICKS)


@cache
def real_photo(name: str) -> Photo:
    """One of the names above."""
    return read_photo(real_bytes(name), name=name)


def real_bytes(name: str) -> bytes:
    """The file itself."""
    folder = files("matplotlib") / "mpl-data" / "sample_data"
    if name != PORTRAIT:
        folder = files("skimage") / "data"
    return (folder / name).read_bytes()


def made(pixels_HW3: NDArray[np.uint8], name: str = "made.png") -> Photo:
    """A photo of pixels."""
    return Photo(name, np.ascontiguousarray(pixels_HW3), "0" * 64)


def blurred(photo: Photo, radius: float) -> Photo:
    """With a Gaussian of this standard deviation, in pixels."""
    return made(np.asarray(cv2.GaussianBlur(photo.pixels_HW3, (0, 0), radius)))


def enlarged(photo: Photo, times: int) -> Photo:
    """Smoothly, by a whole number."""
    size = photo.width * times, photo.height * times
    return made(np.asarray(cv2.resize(photo.pixels_HW3, size, interpolation=cv2.INTER_CUBIC)))


def lighter(photo: Photo, factor: float) -> Photo:
    """Every value times `factor`, as a longer or shorter exposure would."""
    return made((photo.pixels_HW3 * np.float32(factor)).clip(0, 255).astype(np.uint8))


def regions_in(
    photo: Photo,
    subject: tuple[float, float, float, float],
    *,
    head: tuple[float, float, float, float] | None = None,
    faces: int = 0,
    subjects: int = 1,
) -> SubjectRegions:
    """Rectangles as shares of the photo: left, top, right, bottom."""
    masks: list[NDArray[np.bool_]] = []
    for box in (subject, head):
        mask_HW = np.zeros((photo.height, photo.width), np.bool_)
        if box is not None:
            rows = slice(round(box[1] * photo.height), round(box[3] * photo.height))
            columns = slice(round(box[0] * photo.width), round(box[2] * photo.width))
            mask_HW[rows, columns] = True
        masks.append(mask_HW)
    return SubjectRegions(
        subject_HW=masks[0], head_HW=masks[1], found_by="a test", faces=faces, subjects=subjects
    )
