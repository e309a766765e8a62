"""Subjects that a person marked themselves: transparency, or a grey mask beside the photo.

In: a photo with its alpha channel, or the shades of a mask.  Out: regions as they were marked.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from modelgenerator.datasets.images import Photo
from modelgenerator.datasets.regions import SubjectRegions, on_grid
from modelgenerator.datasets.segmenters.faces import Face, FaceFinder, head_of

BY_HAND = "your own mask"

_LEAST, _MOST = 0.004, 0.98
"""Of the photo that is opaque, where its transparency is meant to say what the subject is."""


@dataclass(frozen=True)
class AlphaSegmenter:
    """What is opaque, of a photo that was cut out."""

    faces: FaceFinder | None = field(repr=False)
    """None: heads are not looked for."""

    @property
    def version(self) -> str:
        """See `Segmenter`."""
        faces = "no faces" if self.faces is None else f"faces: {self.faces.version}"
        return f"alpha 1, {faces}"

    def find(self, photo: Photo) -> SubjectRegions | None:
        """See `Segmenter`."""
        if photo.alpha_HW is None or int(photo.alpha_HW.min()) > 127:
            return None
        alpha_HW = on_grid(photo.alpha_HW)
        subject_HW = alpha_HW > 127
        if not _LEAST < subject_HW.mean() < _MOST:
            return None
        found: tuple[Face, ...] = ()
        if self.faces is not None:
            found = self.faces.find(on_grid(photo.pixels_HW3))
        return SubjectRegions(
            subject_HW=subject_HW,
            head_HW=head_of(subject_HW, found[0]) if found else np.zeros_like(subject_HW),
            found_by="the photo's own transparency",
            subjects=max(1, len(found)),
            faces=len(found),
        )


def regions_of_mask(shades_HW: NDArray[np.uint8]) -> SubjectRegions | None:
    """Of a grey mask file: all that is at least half as bright as its brightest place.

    The mask has no heads: which shade its painter gave them is not known.  None if it is black.
    """
    brightest = int(shades_HW.max())
    if brightest == 0:
        return None
    reduced_HW = on_grid(shades_HW)
    subject_HW = reduced_HW >= brightest / 2
    if not subject_HW.any():  # a line so thin that it vanishes on the grid
        subject_HW = reduced_HW == reduced_HW.max()
    return SubjectRegions(
        subject_HW=subject_HW, head_HW=np.zeros_like(subject_HW), found_by=BY_HAND
    )
