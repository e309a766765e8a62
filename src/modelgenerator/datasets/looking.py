"""One look at one photo: everything that is worth knowing of it, found out once.

In comes a file, out comes a `Look`: its size, how it looks, where its subject is.  It is small, can
be kept and sent between processes, and says nothing of the file's name.  Other photos, settings and
base models are not known here.
"""

import hashlib
import json
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from modelgenerator.content_cache import ContentCache
from modelgenerator.datasets.appearance import APPEARANCE_VERSION, Appearance, measure
from modelgenerator.datasets.images import Photo, PhotoLimits, read_photo
from modelgenerator.datasets.regions import Size, SubjectRegions
from modelgenerator.datasets.segmentation import Segmenter
from modelgenerator.datasets.sources import SourceFile
from modelgenerator.datasets.workers import Workers
from modelgenerator.errors import UnusablePhoto, UserError

CODE_VERSION = 2
"""Raised whenever the same photo would be seen otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What was found out about one photo."""

    sha256: str
    """Of the file's bytes."""
    size: Size
    """Upright."""
    remarks: tuple[str, ...]
    """As `Photo.remarks`."""
    appearance: Appearance
    regions: bytes | None
    """As `SubjectRegions.as_bytes`; none when nothing was found, or nobody looked for it."""

    def as_bytes(self) -> bytes:
        """From which `from_bytes` makes it again."""
        said = {
            "sha256": self.sha256,
            "size": self.size,
            "remarks": self.remarks,
            "appearance": self.appearance.as_json(),
            "has_regions": self.regions is not None,
        }
        return json.dumps(said).encode() + b"\n" + (self.regions or b"")

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """What `as_bytes` kept."""
        line, _, regions = content.partition(b"\n")
        said = json.loads(line)
        return cls(
            sha256=said["sha256"],
            size=(said["size"][0], said["size"][1]),
            remarks=tuple(said["remarks"]),
            appearance=Appearance.from_json(said["appearance"]),
            regions=regions if said["has_regions"] else None,
        )


@dataclass(frozen=True, slots=True)
class Looker:
    """How photos are looked at; handed to worker processes, one photo at a time."""

    limits: PhotoLimits
    segmenter: Segmenter | None
    """None where it does not matter where the subject is."""

    def __call__(self, file: SourceFile) -> Look:
        """Read and decode `file`, and look at it.

        Raises:
            UnusablePhoto: see `read_photo` and `SourceFile.read`.
        """
        data = file.read(self.limits.max_bytes)
        return self._look_at(read_photo(data, name=file.name, limits=self.limits))

    def facts(self, sha256: str) -> Mapping[str, object]:
        """What decides the look at the photo whose bytes have this hash."""
        return {
            "photo": sha256,
            "limits": repr(self.limits),
            "segmenter": self.segmenter.version if self.segmenter else "",
            "code": (CODE_VERSION, APPEARANCE_VERSION),
        }

    def _look_at(self, photo: Photo) -> Look:
        regions = self.segmenter.find(photo) if self.segmenter else None
        return Look(
            sha256=photo.sha256,
            size=(photo.width, photo.height),
            remarks=photo.remarks,
            appearance=measure(photo, regions),
            regions=regions.as_bytes() if regions else None,
        )


def look_at_all(
    files: Sequence[SourceFile], looker: Looker, cache: ContentCache, workers: Workers
) -> Iterator[Look | UserError]:
    """One answer for each file, in order; what `cache` knows is not looked at again."""
    answers: dict[int, Look | UserError] = {}
    asked: deque[int] = deque()

    def unknown() -> Iterator[SourceFile]:
        for number, file in enumerate(files):
            answer = _known(file, looker, cache)
            if answer is None:
                asked.append(number)
                yield file
            else:
                answers[number] = answer

    seen = workers.map(looker, unknown())
    for number in range(len(files)):
        while number not in answers:
            answer = next(seen, None)
            if answer is not None:
                answers[asked.popleft()] = _kept(answer, looker, cache)
        yield answers.pop(number)


def _known(file: SourceFile, looker: Looker, cache: ContentCache) -> Look | UserError | None:
    """None where it must be looked at."""
    try:
        sha256 = hashlib.sha256(file.read(looker.limits.max_bytes)).hexdigest()
    except UnusablePhoto as problem:
        return problem
    found = cache.find(looker.facts(sha256))
    return Look.from_bytes(found) if found else None


def _kept(answer: Look | UserError, looker: Looker, cache: ContentCache) -> Look | UserError:
    if isinstance(answer, Look):
        cache.keep(looker.facts(answer.sha256), answer.as_bytes())
    return answer


def regions_of(look: Look) -> SubjectRegions | None:
    """Unpacked; some hundred kilobytes, so not kept for every photo at once."""
    return SubjectRegions.from_bytes(look.regions) if look.regions else None
