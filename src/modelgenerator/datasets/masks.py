"""How much each part of a photo counts: white fully, black not at all.

In comes a grey file beside a photo, or regions and four shades; out come weights of the size in
which the photo is trained.  Latent grids and losses are not known here.
"""

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from modelgenerator.datasets.buckets import Size, area_average, cut_box, fit_mask
from modelgenerator.datasets.images import PhotoLimits, read_grey
from modelgenerator.datasets.regions import Box, Mask, SubjectRegions
from modelgenerator.datasets.segmenters.own_masks import regions_of_mask
from modelgenerator.errors import UnusableMask, UnusablePhoto

if TYPE_CHECKING:  # labels of files are made from the ending of masks
    from modelgenerator.datasets.sources import SourceFile

MASK_ENDING = ".mask.png"
"""After the name of the photo without its own ending: `portrait.mask.png` for `portrait.jpg`."""


class PictureMask(Protocol):
    """The mask of one picture, whoever made it."""

    @property
    def sha256(self) -> str:
        """Of all that decides the weights."""
        ...

    def weights(self, bucket: Size, *, feather: int) -> NDArray[np.float32]:
        """`weights_HW` in 0..1, cut and resized as the picture is.

        `feather` is the side of a latent pixel, in pixels of the bucket: edges that were found,
        not painted by a person, are softened by it.

        Raises:
            UnusableMask: it cannot be had any more, or all that is left of it is black.
        """
        ...


@dataclass(frozen=True, slots=True)
class MaskShades:
    """How much each region counts, 0 to 255."""

    head: int = 255
    body: int = 200
    bounding: int = 40
    background: int = 40


@dataclass(frozen=True, slots=True)
class PaintedMask:
    """The regions of one picture in four shades, by what `SubjectRegions.as_bytes` kept."""

    picture: str
    """The photo's name, for messages."""
    regions: bytes = field(repr=False)
    shades: MaskShades
    crop: Box
    """What is left of the photo, in its pixels."""
    photo: Size

    @property
    def sha256(self) -> str:
        said = f"{self.shades} {self.crop} {self.photo}\n".encode()
        return hashlib.sha256(said + self.regions).hexdigest()

    def weights(self, bucket: Size, *, feather: int) -> NDArray[np.float32]:
        """See `PictureMask`."""
        regions = SubjectRegions.from_bytes(self.regions)
        seen = cut_box(self.crop.width, self.crop.height, bucket)
        left, top = self.crop.left, self.crop.top
        box = seen[0] + left, seen[1] + top, seen[2] + left, seen[3] + top
        weights_HW = paint(regions, self.shades, box=box, photo=self.photo, size=bucket)
        if feather > 1:
            # cv2 mirrors at the border, so a mask of one shade stays what it is
            weights_HW = np.asarray(cv2.blur(weights_HW, (feather, feather)), dtype=np.float32)
        if not weights_HW.any():
            raise UnusableMask(
                f"Nothing of {self.picture} would be learnt: every region that it shows has the "
                "shade 0. Give headMaskShade or bodyMaskShade more than 0, or take it out."
            )
        return weights_HW


def paint(
    regions: SubjectRegions,
    shades: MaskShades,
    *,
    box: tuple[float, float, float, float],
    photo: Size,
    size: Size,
) -> NDArray[np.float32]:
    """`weights_HW` of `size` for what lies in `box` of the photo: left, top, right, bottom.

    Background first, then the filled rectangle around the subject, the body, the head: the later
    wins, in the share of a cell that it covers.
    """
    height, width = regions.subject_HW.shape
    across, down = width / photo[0], height / photo[1]
    cells = box[0] * across, box[1] * down, box[2] * across, box[3] * down
    weights_HW = np.full((size[1], size[0]), shades.background / 255, np.float32)
    layers = (
        (_filled_rectangle(regions.subject_HW), shades.bounding),
        (regions.subject_HW, shades.body),
        (regions.head_HW, shades.head),
    )
    for region_HW, shade in layers:
        covered_HW = area_average(region_HW.astype(np.float32), cells, size)
        weights_HW += covered_HW * (np.float32(shade / 255) - weights_HW)
    return weights_HW.clip(0, 1)


def _filled_rectangle(mask_HW: Mask) -> Mask:
    """The smallest rectangle around everything in the mask, filled."""
    rows, columns = np.flatnonzero(mask_HW.any(1)), np.flatnonzero(mask_HW.any(0))
    filled_HW = np.zeros_like(mask_HW)
    filled_HW[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = True
    return filled_HW


@dataclass(frozen=True, slots=True)
class MaskFile:
    """A grey picture beside the photo, by reference: it is read when it is asked for."""

    file: "SourceFile"
    picture: str
    """The photo's name, for messages."""
    sha256: str
    crop: Box | None = None
    """What is left of the photo; none is all of it."""
    limits: PhotoLimits = field(default_factory=PhotoLimits, repr=False, compare=False)

    def weights(self, bucket: Size, *, feather: int = 1) -> NDArray[np.float32]:  # noqa: ARG002
        """See `PictureMask`; what a person painted is not softened."""
        shades_HW, sha256 = _read(self.file, self.limits)
        if sha256 != self.sha256:
            raise UnusableMask(f"{self.file.name} was changed since the training began.")
        if self.crop is not None:
            shades_HW = self.crop.cut(shades_HW)
        weights_HW = fit_mask(shades_HW.astype(np.float32) / np.float32(255), bucket)
        if not weights_HW.any():
            raise UnusableMask(
                f"Nothing of {self.picture} would be learnt: its mask {self.file.name} is black "
                f"in all that is left after the cut to {bucket[0]} x {bucket[1]} pixels. "
                "Crop the photo and its mask around the subject."
            )
        return weights_HW


def stem_of_mask(name: str) -> str | None:
    """The name, without its ending, of the photo that a file is a mask of; none if it is none."""
    return name[: -len(MASK_ENDING)] if name.lower().endswith(MASK_ENDING) else None


def read_mask(
    file: "SourceFile", *, picture: str, size: Size, limits: PhotoLimits
) -> tuple[MaskFile, SubjectRegions]:
    """The mask in `file` of a photo that is upright `size` large, and where it says the subject is.

    Raises:
        UnusableMask: not a grey picture, of another size than the photo, or black all over.
    """
    shades_HW, sha256 = _read(file, limits)
    height, width = shades_HW.shape
    if (width, height) != size:
        raise UnusableMask(
            f"{file.name} has {width} x {height} pixels, but {picture} has {size[0]} x {size[1]}: "
            "make the mask as large as the photo."
        )
    regions = regions_of_mask(shades_HW)
    if regions is None:
        raise UnusableMask(
            f"{file.name} is black all over, so nothing of {picture} would be learnt: paint "
            "white what counts."
        )
    return MaskFile(file, picture, sha256, limits=limits), regions


def _read(file: "SourceFile", limits: PhotoLimits) -> tuple[NDArray[np.uint8], str]:
    """The shades, and the hash of the file."""
    try:
        data = file.read(limits.max_bytes)
        return read_grey(data, name=file.name, limits=limits), hashlib.sha256(data).hexdigest()
    except UnusablePhoto as problem:
        raise UnusableMask(f"{problem}.") from problem
