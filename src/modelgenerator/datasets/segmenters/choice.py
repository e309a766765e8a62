"""Which segmenter a training uses, and why.

In: a name that a person gave, and what kind of subject they teach.  Out: a segmenter, and notices
about what was chosen for them.  Files from the hub come from whoever asks; nothing is downloaded
unless its segmenter was named.
"""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from modelgenerator.datasets.images import Photo
from modelgenerator.datasets.regions import SubjectRegions
from modelgenerator.datasets.segmentation import Segmenter
from modelgenerator.datasets.segmenters.faces import face_finder
from modelgenerator.datasets.segmenters.grabcut import GrabCutSegmenter
from modelgenerator.datasets.segmenters.own_masks import AlphaSegmenter
from modelgenerator.datasets.segmenters.person import PersonSegmenter
from modelgenerator.datasets.segmenters.person_files import (
    FETCH,
    PersonFile,
    person_file,
    person_files_folder,
)
from modelgenerator.datasets.subject import SubjectKind
from modelgenerator.errors import InvalidSettings
from modelgenerator.notices import Notice

AUTO, NONE = "auto", "none"


def choose_segmenter(
    name: str = AUTO, kind: SubjectKind | None = None
) -> tuple[Segmenter, tuple[Notice, ...]]:
    """The segmenter called `name`; `auto` tries several ways for each photo.

    Raises:
        InvalidSettings: no segmenter has that name, or what it needs is not on this machine.
    """
    if name == NONE or (name == AUTO and kind is SubjectKind.STYLE):
        return NoSegmenter(), () if name == NONE else (_WHOLE_PHOTOS,)
    if name != AUTO and name not in _NAMED:
        raise InvalidSettings(_unknown(name))
    segmenter, notices = _auto(kind) if name == AUTO else (_NAMED[name](), ())
    return (Headless(segmenter) if kind is SubjectKind.PRODUCT else segmenter), notices


def segmenter_names() -> tuple[str, ...]:
    """All that `choose_segmenter` knows."""
    return (AUTO, *_NAMED, NONE)


@dataclass(frozen=True)
class NoSegmenter:
    """Finds nothing: the whole photo counts."""

    version = "none"

    def find(self, photo: Photo) -> SubjectRegions | None:  # noqa: ARG002
        """See `Segmenter`."""
        return None


@dataclass(frozen=True)
class FirstThatFinds:
    """Several ways for each photo; the first that finds a subject answers."""

    links: tuple[Segmenter, ...]

    @property
    def version(self) -> str:
        """See `Segmenter`."""
        return " > ".join(link.version for link in self.links)

    def find(self, photo: Photo) -> SubjectRegions | None:
        """See `Segmenter`; `found_by` says who answered."""
        for link in self.links:
            if (regions := link.find(photo)) is not None:
                return regions
        return None


@dataclass(frozen=True)
class Headless:
    """Another segmenter's subjects, without heads: a mug with a face printed on it has none."""

    inner: Segmenter

    @property
    def version(self) -> str:
        """See `Segmenter`."""
        return f"{self.inner.version}, no heads"

    def find(self, photo: Photo) -> SubjectRegions | None:
        """See `Segmenter`."""
        regions = self.inner.find(photo)
        if regions is None:
            return None
        return replace(regions, head_HW=np.zeros_like(regions.head_HW))


def _auto(kind: SubjectKind | None) -> tuple[Segmenter, tuple[Notice, ...]]:
    file = person_file(PersonFile.PERSON)
    may_be_person = kind in (None, SubjectKind.PERSON, SubjectKind.OTHER)
    links: list[Segmenter] = [AlphaSegmenter(face_finder() if may_be_person else None)]
    if may_be_person and file is not None:
        links.append(PersonSegmenter(file, face_finder()))
    # who has a face was found before, if that can be done here
    faces = face_finder() if may_be_person and file is None else None
    links.append(GrabCutSegmenter(faces))
    notices = (_missing_files(),) if may_be_person and file is None else ()
    return FirstThatFinds(tuple(links)), notices


def _person() -> Segmenter:
    file = person_file(PersonFile.PERSON)
    if file is None:
        raise InvalidSettings(
            f"The segmenter person needs {PersonFile.PERSON}, which is not in "
            f"{person_files_folder()}. {FETCH}"
        )
    return PersonSegmenter(file, face_finder())


_NAMED: Mapping[str, Callable[[], Segmenter]] = {
    "alpha": lambda: AlphaSegmenter(face_finder()),
    "person": _person,
    "grabcut": lambda: GrabCutSegmenter(face_finder()),
}

_WHOLE_PHOTOS = Notice("info", None, "A style is all of a photo, so no subject is looked for.")


def _missing_files() -> Notice:
    return Notice(
        "info",
        None,
        f"People are cut out by colour alone, because {PersonFile.PERSON} is not in "
        f"{person_files_folder()}. {FETCH}",
    )


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name.lower(), segmenter_names(), n=1)
    meant = f" Do you mean {near[0]}?" if near else ""
    return f"There is no segmenter {name}.{meant} There are: {', '.join(segmenter_names())}."
