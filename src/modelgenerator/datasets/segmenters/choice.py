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
from modelgenerator.datasets.segmenters.birefnet import BiRefNetSegmenter
from modelgenerator.datasets.segmenters.drawn import DrawnSegmenter
from modelgenerator.datasets.segmenters.faces import face_finder
from modelgenerator.datasets.segmenters.grabcut import GrabCutSegmenter
from modelgenerator.datasets.segmenters.hub_networks import (
    BIREFNET,
    MULTICLASS,
    HubNetwork,
    NetworkFiles,
    network_at,
)
from modelgenerator.datasets.segmenters.multiclass import MulticlassSight
from modelgenerator.datasets.segmenters.onnx_network import OnnxNetwork
from modelgenerator.datasets.segmenters.own_masks import AlphaSegmenter
from modelgenerator.datasets.segmenters.person import (
    PersonSegmenter,
    PersonSight,
    SelfieSight,
)
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
    name: str = AUTO, kind: SubjectKind | None = None, files: NetworkFiles | None = None
) -> tuple[Segmenter, tuple[Notice, ...]]:
    """The segmenter called `name`; `auto` tries several ways for each photo.

    `files` brings the networks of `multiclass` and `birefnet` from a hub; `auto` uses only those
    that are on this machine already.

    Raises:
        InvalidSettings: no segmenter has that name, or what it needs is not on this machine.
        HubUnreachable: the network of the segmenter that was named cannot be had.
    """
    if name not in segmenter_names():
        raise InvalidSettings(_unknown(name))
    if name == NONE or (name == AUTO and kind is SubjectKind.STYLE):
        return NoSegmenter(), () if name == NONE else (_WHOLE_PHOTOS,)
    machine = _Machine(files)
    if name == AUTO:
        segmenter, notices = _auto(kind, machine)
    else:
        segmenter, notices = _NAMED[name](machine), ()
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


class _Machine:
    """What can be had here."""

    def __init__(self, files: NetworkFiles | None) -> None:
        self.faces = face_finder()
        self._files = files

    def here(self, network: HubNetwork) -> OnnxNetwork | None:
        """Without a download."""
        path = self._files.cached(network) if self._files else None
        return path and network_at(path, network)

    def fetched(self, network: HubNetwork) -> OnnxNetwork:
        """With a download, if it must be."""
        if self._files is None:
            raise InvalidSettings(
                f"{network.repository} comes from a model hub, and none can be asked here."
            )
        return network_at(self._files.fetch(network), network)

    def person(self) -> PersonSight | None:
        """The network out of an installed library."""
        path = person_file(PersonFile.PERSON)
        return path and SelfieSight(path)


def _auto(kind: SubjectKind | None, machine: _Machine) -> tuple[Segmenter, tuple[Notice, ...]]:
    """The chain: what a person marked, what cannot be mistaken, what is strong, what always works.

    Kinds that have no human face are not asked for one: a printed face is not the product's.
    """
    is_person = kind is SubjectKind.PERSON
    may_be_person = is_person or kind in (None, SubjectKind.OTHER)
    faces = machine.faces if may_be_person else None
    links: list[Segmenter] = [AlphaSegmenter(faces), DrawnSegmenter()]
    sight: PersonSight | None = None
    if may_be_person:
        strong = machine.here(MULTICLASS)
        sight = MulticlassSight(strong) if strong else machine.person()
        if sight is not None:
            links.append(PersonSegmenter(sight, machine.faces, without_face=is_person))
    if (strong := machine.here(BIREFNET)) is not None:
        links.append(BiRefNetSegmenter(strong, faces))
    # where people are found by a network, a photo that comes this far has no face
    links.append(GrabCutSegmenter(None if sight else faces))
    if kind is SubjectKind.ANIMAL and (path := person_file(PersonFile.PERSON)) is not None:
        # it was taught to see people, and sees a cat that fills the photo as one
        sight = SelfieSight(path, called="an animal (selfie segmentation)")
        links.append(PersonSegmenter(sight, machine.faces, without_face=True))
    notices = (_about_people(sight),) if may_be_person else ()
    return FirstThatFinds(tuple(links)), notices


def _person(machine: _Machine) -> Segmenter:
    sight = machine.person()
    if sight is None:
        raise InvalidSettings(
            f"The segmenter person needs {PersonFile.PERSON}, which is not in "
            f"{person_files_folder()}. {FETCH}"
        )
    return PersonSegmenter(sight, machine.faces)


_NAMED: Mapping[str, Callable[[_Machine], Segmenter]] = {
    "alpha": lambda machine: AlphaSegmenter(machine.faces),
    "drawn": lambda _: DrawnSegmenter(),
    "person": _person,
    "multiclass": lambda machine: PersonSegmenter(
        MulticlassSight(machine.fetched(MULTICLASS)), machine.faces
    ),
    "birefnet": lambda machine: BiRefNetSegmenter(machine.fetched(BIREFNET), machine.faces),
    "grabcut": lambda machine: GrabCutSegmenter(machine.faces),
}

_WHOLE_PHOTOS = Notice("info", None, "A style is all of a photo, so no subject is looked for.")


def _about_people(sight: PersonSight | None) -> Notice:
    if sight is not None:
        return Notice("info", None, f"Who shows a face is cut out as {sight.called}.")
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
