"""Anything, by a large network from the hub that was taught to find what a photo is of.

In: a photo.  Out: its subject, with a head where there is a face.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from modelgenerator.datasets.images import Photo
from modelgenerator.datasets.regions import SubjectRegions, on_grid
from modelgenerator.datasets.segmenters.edges import Likelihood, parts_of, without_holes
from modelgenerator.datasets.segmenters.faces import FaceFinder, head_of
from modelgenerator.datasets.segmenters.onnx_network import OnnxNetwork

_SIDE = 768
"""A multiple of 64; the grid has at most 640 cells, so more would see nothing more."""
_MEAN = np.array((0.485, 0.456, 0.406), np.float32)
_SPREAD = np.array((0.229, 0.224, 0.225), np.float32)
_LEAST, _MOST = 0.002, 0.98
"""Of the photo that a subject takes."""
_ALSO = 0.25
"""Of the largest part's area, from which on another part is a subject too."""


@dataclass(frozen=True)
class BiRefNetSegmenter:
    """BiRefNet_lite as an ONNX file.

    Source: P. Zheng et al., "Bilateral Reference for High-Resolution Dichotomous Image
    Segmentation", 2024; mean and spread are those of ImageNet, as its authors feed it.
    """

    network: OnnxNetwork
    faces: FaceFinder | None = field(repr=False)
    """None: heads are not looked for."""

    @property
    def version(self) -> str:
        """See `Segmenter`."""
        faces = "no faces" if self.faces is None else f"faces: {self.faces.version}"
        return f"birefnet 1 at {_SIDE}, {self.network.sha256[:16]}, {faces}"

    def find(self, photo: Photo) -> SubjectRegions | None:
        """See `Segmenter`."""
        pixels_HW3 = on_grid(photo.pixels_HW3)
        subject_HW = self._likelihood(pixels_HW3) > 0.5
        if not _LEAST < subject_HW.mean() < _MOST:
            return None
        parts = parts_of(subject_HW, least=_ALSO)
        faces = () if self.faces is None else self.faces.find(pixels_HW3)
        inside = [face for face in faces if head_of(parts[0], face).any()]
        largest_HW = without_holes(parts[0], largest=0.002)
        return SubjectRegions(
            subject_HW=largest_HW,
            head_HW=head_of(largest_HW, inside[0]) if inside else np.zeros_like(largest_HW),
            found_by="what the photo is of (BiRefNet)",
            subjects=max(len(parts), len(faces)),
            faces=len(faces),
        )

    def _likelihood(self, pixels_HW3: NDArray[np.uint8]) -> Likelihood:
        square_HW3 = cv2.resize(pixels_HW3, (_SIDE, _SIDE), interpolation=cv2.INTER_LINEAR)
        shares_HW3 = np.asarray(square_HW3, np.float32) / np.float32(255)
        values_HW3 = (shares_HW3 - _MEAN) / _SPREAD
        logits_HW = self.network.answer(values_HW3.transpose(2, 0, 1)[None])[0, 0]
        likely_HW = 1 / (1 + np.exp(-np.clip(logits_HW, -50, 50)))
        height, width = pixels_HW3.shape[:2]
        resized_HW = cv2.resize(likely_HW, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(resized_HW, np.float32)
