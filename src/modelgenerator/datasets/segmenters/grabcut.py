"""Objects and drawings, by colour alone: what stands out from its surroundings, cut by GrabCut.

In: a photo.  Out: the one thing in it whose colours are not those around it, or none when nothing
is: a texture, a page of text, a crowd of small things.  What the thing is, is not known, so it has
a head only where there is a face.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from modelgenerator.datasets.images import Photo
from modelgenerator.datasets.regions import Mask, SubjectRegions, on_grid
from modelgenerator.datasets.segmenters.edges import guided, parts_of, without_holes
from modelgenerator.datasets.segmenters.faces import Face, FaceFinder, head_of, head_region
from modelgenerator.datasets.segmenters.saliency import contrast, saliency

_CELLS = 160
"""Along the longer side, where GrabCut works: its time grows with the area."""
_ROUNDS = 3
_LEAST_CONTRAST = 11.0
"""See `saliency.contrast`."""
_LEAST, _MOST = 0.015, 0.92
"""Of the photo that a subject takes."""
_LEAST_APART = 0.35
"""How well a subject must be told apart from what is around it, 0 to 1."""
_LEAST_APART_WITH_FACE = 0.1
"""As above, where a face says that there is a subject."""
_LARGE, _PREFERENCE = 0.25, 0.3
"""From this share of the photo on, a guess is preferred to a small part that is told apart by so
much better: the cup on its saucer, not the coffee in it."""

Trimap = NDArray[np.uint8]
"""GrabCut's own: certainly and perhaps, background and subject."""


@dataclass(frozen=True)
class GrabCutSegmenter:
    """Guesses by saliency and by the middle, each cut out; the one that is best told apart wins.

    Source: C. Rother et al., "GrabCut: Interactive Foreground Extraction using Iterated Graph
    Cuts", 2004, in OpenCV.
    """

    faces: FaceFinder | None = field(repr=False)
    """None: heads are not looked for."""

    @property
    def version(self) -> str:
        """See `Segmenter`."""
        faces = "no faces" if self.faces is None else f"faces: {self.faces.version}"
        return f"grabcut 1, {faces}"

    def find(self, photo: Photo) -> SubjectRegions | None:
        """See `Segmenter`."""
        pixels_HW3 = on_grid(photo.pixels_HW3)
        if contrast(pixels_HW3) < _LEAST_CONTRAST:
            return None
        faces = () if self.faces is None else self.faces.find(pixels_HW3)
        face = faces[0] if faces else None
        cut_hw = _best_cut(pixels_HW3, face)
        if cut_hw is None:
            return None
        subject_HW = _on_grid(cut_hw, pixels_HW3)
        if not subject_HW.any():
            return None
        return SubjectRegions(
            subject_HW=subject_HW,
            head_HW=np.zeros_like(subject_HW) if face is None else head_of(subject_HW, face),
            found_by="what stands out (GrabCut)",
            subjects=max(1, len(faces)),
            faces=len(faces),
        )


def _best_cut(pixels_HW3: NDArray[np.uint8], face: Face | None) -> Mask | None:
    """On a coarser grid."""
    height, width = pixels_HW3.shape[:2]
    scale = min(1.0, _CELLS / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small_hw3 = cv2.resize(pixels_HW3, size, interpolation=cv2.INTER_AREA)
    salient_hw = cv2.resize(saliency(pixels_HW3), size, interpolation=cv2.INTER_LINEAR)
    least = _LEAST_APART if face is None else _LEAST_APART_WITH_FACE
    best_hw, best = None, 0.0
    for trimap_hw in _guesses(salient_hw, size, face, scale):
        cut_hw = _cut(small_hw3, trimap_hw)
        apart = 0.0 if cut_hw is None else _apart(small_hw3, salient_hw, cut_hw)
        if cut_hw is None or apart < least or (face and not _holds(cut_hw, face, scale)):
            continue
        quality = apart + _PREFERENCE * min(1.0, float(np.sqrt(cut_hw.mean() / _LARGE)))
        if quality > best:
            best_hw, best = cut_hw, quality
    return best_hw


def _holds(cut_hw: Mask, face: Face, scale: float) -> bool:
    """Whether most of the face is in it."""
    half = max(1, round(0.35 * face.size * scale))
    x, y = round(face.x * scale), round(face.y * scale)
    around_hw = cut_hw[max(0, y - half) : y + half + 1, max(0, x - half) : x + half + 1]
    return bool(around_hw.mean() > 0.6)


def _guesses(
    salient_hw: Any, size: tuple[int, int], face: Face | None, scale: float
) -> Iterator[Trimap]:
    if face is not None:
        yield _around_face(face, size, scale)
    yield _by_saliency(salient_hw)
    yield _in_the_middle(size, 0.08)
    yield _in_the_middle(size, 0.22)


def _by_saliency(salient_hw: Any) -> Trimap:
    levels_hw = (salient_hw * 255).astype(np.uint8)
    middle, _ = cv2.threshold(levels_hw, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    trimap_hw = np.full(levels_hw.shape, cv2.GC_PR_BGD, np.uint8)
    trimap_hw[levels_hw > middle] = cv2.GC_PR_FGD
    trimap_hw[levels_hw > middle + 0.6 * (255 - middle)] = cv2.GC_FGD
    edge = max(1, round(0.02 * min(levels_hw.shape)))
    quiet_hw = levels_hw < 0.5 * middle
    inner_hw = np.zeros_like(quiet_hw)
    inner_hw[edge:-edge, edge:-edge] = True
    trimap_hw[quiet_hw & ~inner_hw] = cv2.GC_BGD
    return trimap_hw


def _in_the_middle(size: tuple[int, int], margin: float) -> Trimap:
    """All but a frame may be the subject; a spot in the middle is."""
    width, height = size
    trimap_hw = np.full((height, width), cv2.GC_BGD, np.uint8)
    across, down = max(1, round(margin * width)), max(1, round(margin * height))
    trimap_hw[down : height - down, across : width - across] = cv2.GC_PR_FGD
    return trimap_hw


def _around_face(face: Face, size: tuple[int, int], scale: float) -> Trimap:
    """The face is; hair and a body below it may be."""
    width, height = size
    near = Face(face.x * scale, face.y * scale, face.size * scale, face.certainty)
    trimap_hw = np.full((height, width), cv2.GC_PR_BGD, np.uint8)
    trimap_hw[head_region(near, (height, width))] = cv2.GC_PR_FGD
    neck, half = round(near.y + 0.5 * near.size), 1.5 * near.size
    left, right = max(0, round(near.x - half)), round(near.x + half)
    trimap_hw[max(0, neck) :, left:right] = cv2.GC_PR_FGD
    trimap_hw[max(0, neck) :, : max(0, round(near.x - 2 * half))] = cv2.GC_BGD
    trimap_hw[max(0, neck) :, round(near.x + 2 * half) :] = cv2.GC_BGD
    trimap_hw[: max(0, round(near.y - 1.4 * near.size))] = cv2.GC_BGD
    middle = round(near.x), round(near.y)
    axes = max(1, round(0.35 * near.size)), max(1, round(0.45 * near.size))
    cv2.ellipse(trimap_hw, middle, axes, 0, 0, 360, cv2.GC_FGD, cv2.FILLED)
    return trimap_hw


def _cut(small_hw3: Any, trimap_hw: Trimap) -> Mask | None:
    """What GrabCut makes of a guess: the part that is largest, and those nearly as large."""
    cut_hw = trimap_hw.copy()
    background, subject = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)  # GrabCut begins with clusters from random centres
    try:
        cv2.grabCut(
            small_hw3, cut_hw, (0, 0, 0, 0), background, subject, _ROUNDS, cv2.GC_INIT_WITH_MASK
        )
    except cv2.error:  # it wants some of both
        return None
    subject_hw = (cut_hw == cv2.GC_FGD) | (cut_hw == cv2.GC_PR_FGD)
    subject_hw = _opened(subject_hw)
    if not subject_hw.any():
        return None
    largest_hw = parts_of(subject_hw, least=1.0)[0]
    scattered = largest_hw.sum() < 0.5 * subject_hw.sum()
    if scattered or not _LEAST < largest_hw.mean() < _MOST:
        return None
    return without_holes(largest_hw, largest=0.05)


def _opened(mask_hw: Mask) -> Mask:
    """Without threads and specks."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
    return cv2.morphologyEx(mask_hw.astype(np.uint8), cv2.MORPH_OPEN, kernel) > 0


def _apart(small_hw3: Any, salient_hw: Any, cut_hw: Mask) -> float:
    """How well it is told apart from what is around it.

    Half by colour: 1 less the share that inside and outside have in common.  Half by how much more
    salient it is.  What takes much of the photo's border is rather the surroundings themselves.
    """
    reach = max(3, round(0.1 * max(cut_hw.shape)))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    around_hw = (cv2.dilate(cut_hw.astype(np.uint8), kernel) > 0) & ~cut_hw
    if around_hw.sum() < 20:
        return 0.0
    lab_hw3 = cv2.cvtColor(small_hw3, cv2.COLOR_RGB2LAB)
    inside_B, outside_B = _colours(lab_hw3, cut_hw), _colours(lab_hw3, around_hw)
    unlike = 1 - float(np.sqrt(inside_B * outside_B).sum())
    brighter = float(salient_hw[cut_hw].mean() - salient_hw[around_hw].mean())
    border = np.concatenate([cut_hw[0], cut_hw[-1], cut_hw[:, 0], cut_hw[:, -1]]).mean()
    return (unlike + brighter) / 2 - 0.5 * max(0.0, float(border) - 0.25)


def _colours(lab_hw3: Any, mask_hw: Mask) -> NDArray[np.float32]:
    """Shares of 12 x 12 x 12 colours, softened."""
    counted = cv2.calcHist(
        [lab_hw3], [0, 1, 2], mask_hw.astype(np.uint8), [12] * 3, [0, 256, 0, 256, 0, 256]
    )
    return (counted / counted.sum()).ravel()


def _on_grid(cut_hw: Mask, pixels_HW3: NDArray[np.uint8]) -> Mask:
    """The cut on the photo's grid, along the edges that only the finer grid shows."""
    height, width = pixels_HW3.shape[:2]
    if cut_hw.shape == (height, width):
        return cut_hw
    likely_HW = cv2.resize(
        cut_hw.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR
    )
    radius = max(2, round(1.5 * max(height, width) / _CELLS))
    likely_HW = guided(np.asarray(likely_HW, np.float32), pixels_HW3, radius)
    return parts_of(likely_HW > 0.5, least=1.0)[0] if (likely_HW > 0.5).any() else cut_hw[:0]
