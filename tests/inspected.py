"""Pictures as an inspection gets them, from photos in memory; the files do not exist.

In: photos, and where their subjects are.  Out: prepared datasets and `PictureFacts`.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace

from tests.examples import no_file
from tests.real_photos import WOMAN, real_photo, regions_in

from modelgenerator.datasets.appearance import Appearance, measure
from modelgenerator.datasets.images import Photo
from modelgenerator.datasets.inspection.facts import PictureFacts, SubjectFacts, facts_of
from modelgenerator.datasets.looking import Look
from modelgenerator.datasets.normalize import square_around
from modelgenerator.datasets.prepare import Picture, PreparedDataset, RefusedPicture
from modelgenerator.datasets.regions import SubjectRegions

SUBJECT, HEAD = (0.2, 0.1, 0.75, 0.9), (0.35, 0.12, 0.6, 0.4)
"""Shares of a photo: a person to the knees."""


def picture_of(
    name: str, photo: Photo, regions: SubjectRegions | None, *, normalize: bool = False
) -> Picture:
    """A picture that was looked at."""
    size = photo.width, photo.height
    crop = square_around(regions, size) if normalize else None
    look = Look(
        sha256=hashlib.sha256(name.encode()).hexdigest(),
        size=size,
        remarks=photo.remarks,
        appearance=measure(photo, regions),
        regions=regions.as_bytes() if regions else None,
    )
    return Picture(
        file=no_file(name),
        sha256=look.sha256,
        width=crop.width if crop else size[0],
        height=crop.height if crop else size[1],
        caption="lvff",
        crop=crop,
        look=look,
    )


def dataset_with(
    *pictures: Picture,
    refused: tuple[RefusedPicture, ...] = (),
    copies: Mapping[str, str] | None = None,
) -> PreparedDataset:
    """Of these pictures."""
    return PreparedDataset(pictures, refused, (), "f00d", copies or {})


def good_facts(name: str = "good.jpg", **changed: object) -> PictureFacts:
    """A picture that nothing stands against, but for what is `changed`."""
    photo = real_photo(WOMAN)
    regions = regions_in(photo, SUBJECT, head=HEAD, faces=1)
    facts = facts_of(picture_of(name, photo, regions), 512)
    assert facts is not None
    return replace(facts, **changed)


def seen(facts: PictureFacts, **changed: object) -> PictureFacts:
    """With another appearance."""
    appearance: Appearance = replace(facts.appearance, **changed)
    return replace(facts, appearance=appearance)


def with_subject(facts: PictureFacts, **changed: object) -> PictureFacts:
    """With another subject."""
    assert facts.subject is not None
    subject: SubjectFacts = replace(facts.subject, **changed)
    return replace(facts, subject=subject)
