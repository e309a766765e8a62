"""What is cut out of a photo, and what counts in it.

In: where the subject is, by a segmenter or by a mask that a person made, and what is wanted.  Out:
a `Frame`, and sentences about all frames of a dataset.  Pixels are not touched here.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from modelgenerator.datasets.masks import MaskFile, MaskShades, PaintedMask, PictureMask
from modelgenerator.datasets.normalize import cuts_subject, square_around
from modelgenerator.datasets.regions import Box, Size, SubjectRegions
from modelgenerator.datasets.segmenters.own_masks import BY_HAND
from modelgenerator.notices import Notice, listed


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundSubject:
    """Where the subject of one photo is, and who says so."""

    name: str
    """The photo's."""
    photo: Size
    regions: SubjectRegions | None
    """None where it was not found."""
    by_hand: MaskFile | None = None
    """The mask that `regions` were read from, if a person made one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What is made of one photo."""

    crop: Box | None
    """None is all of it."""
    mask: PictureMask | None
    """None counts all of it."""
    found_by: str | None
    """None where no subject was found."""
    subjects: int = 0
    is_cut: bool = False
    """Whether a part of the subject is left outside."""


def framed(subject: FoundSubject, *, normalize: bool, shades: MaskShades | None) -> Frame:
    """The square around the subject if `normalize`, and its mask if there are `shades`."""
    regions, photo = subject.regions, subject.photo
    square = square_around(regions, photo) if normalize else None
    return Frame(
        crop=square,
        mask=_mask(subject, square, shades) if shades else None,
        found_by=regions.found_by if regions else None,
        subjects=regions.subjects if regions else 0,
        is_cut=bool(regions and square and cuts_subject(regions, square, photo)),
    )


def _mask(subject: FoundSubject, crop: Box | None, shades: MaskShades) -> PictureMask | None:
    if subject.by_hand is not None:
        return replace(subject.by_hand, crop=crop)
    if subject.regions is None:
        return None
    return PaintedMask(
        picture=subject.name,
        regions=subject.regions.as_bytes(),
        shades=shades,
        crop=crop or Box(0, 0, *subject.photo),
        photo=subject.photo,
    )


def notices_on(frames: Mapping[str, Frame], *, normalize: bool) -> Iterator[Notice]:
    """Who found the subjects, and where a person should look; `frames` by the photo's name."""
    found = Counter(frame.found_by for frame in frames.values() if frame.found_by)
    if set(found) - {BY_HAND}:
        who = "; ".join(f"{name} in {count}" for name, count in found.most_common())
        yield Notice("info", None, f"What found the subjects, and in how many pictures: {who}.")
    lost = [name for name, frame in frames.items() if frame.found_by is None]
    if lost and normalize:
        message = (
            f"No subject was found in {listed(lost)}, so the square in the middle is taken. Crop "
            "around the subject, or put a mask beside the photo."
        )
        yield Notice("warning", "normalizeDataset", message)
    if crowded := [name for name, frame in frames.items() if frame.subjects > 1]:
        message = f"Several subjects in {listed(crowded)}: the largest is taken."
        yield Notice("warning", "normalizeDataset" if normalize else "maskedLoss", message)
    if cut := [name for name, frame in frames.items() if frame.is_cut]:
        message = (
            f"The subject does not fit into a square in {listed(cut)}, so a part of it is cut off."
        )
        yield Notice("warning", "normalizeDataset", message)
