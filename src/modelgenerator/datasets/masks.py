"""Grey pictures that say which parts of a photo count: white fully, black not at all.

In comes a file beside a photo, out come its shades, checked against the photo, and later as weights
of the size in which the photo is trained.  Latent grids and losses are not known here.
"""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from modelgenerator.datasets.buckets import Size, fit_mask
from modelgenerator.datasets.images import PhotoLimits, check_bytes, read_grey
from modelgenerator.errors import UnusableMask, UnusablePhoto

MASK_ENDING = ".mask.png"
"""After the name of the photo without its own ending: `portrait.mask.png` for `portrait.jpg`."""


@dataclass(frozen=True)
class MaskFile:
    """The mask of one picture, by reference: it is read when it is asked for."""

    path: Path
    picture: str
    """The photo's name, for messages."""
    sha256: str
    limits: PhotoLimits = field(default_factory=PhotoLimits, repr=False, compare=False)

    def weights(self, bucket: Size) -> NDArray[np.float32]:
        """`weights_HW` in 0..1, cut and resized as the photo is.

        Raises:
            UnusableMask: the file is gone or was changed, or all that is left of it is black.
        """
        mask, shades_HW = _read(self.path, self.picture, self.limits)
        if mask.sha256 != self.sha256:
            raise UnusableMask(f"{self.path.name} was changed since the training began.")
        weights_HW = fit_mask(shades_HW.astype(np.float32) / np.float32(255), bucket)
        if not weights_HW.any():
            raise UnusableMask(
                f"Nothing of {self.picture} would be learnt: its mask {self.path.name} is black "
                f"in all that is left after the cut to {bucket[0]} x {bucket[1]} pixels. "
                "Crop the photo and its mask around the subject."
            )
        return weights_HW


def stem_of_mask(file: Path) -> str | None:
    """The name, without its ending, of the photo that `file` is a mask of; none if it is none."""
    if file.name.lower().endswith(MASK_ENDING):
        return file.name[: -len(MASK_ENDING)]
    return None


def read_mask(
    path: Path, *, picture: str, size: Size, limits: PhotoLimits | None = None
) -> MaskFile:
    """The mask in `path` of a photo that is upright `size` large.

    Raises:
        UnusableMask: not a grey picture, of another size than the photo, or black all over.
    """
    mask, shades_HW = _read(path, picture, limits or PhotoLimits())
    height, width = shades_HW.shape
    if (width, height) != size:
        raise UnusableMask(
            f"{path.name} has {width} x {height} pixels, but {picture} has {size[0]} x {size[1]}: "
            "make the mask as large as the photo."
        )
    if not shades_HW.any():
        raise UnusableMask(
            f"{path.name} is black all over, so nothing of {picture} would be learnt: paint "
            "white what counts."
        )
    return mask


def _read(path: Path, picture: str, limits: PhotoLimits) -> tuple[MaskFile, NDArray[np.uint8]]:
    try:
        check_bytes(path.stat().st_size, path.name, limits)
        data = path.read_bytes()
        shades_HW = read_grey(data, name=path.name, limits=limits)
    except OSError as problem:
        raise UnusableMask(f"{path.name} cannot be opened: {problem.strerror}.") from problem
    except UnusablePhoto as problem:
        raise UnusableMask(f"{problem}.") from problem
    return MaskFile(path, picture, hashlib.sha256(data).hexdigest(), limits), shades_HW
