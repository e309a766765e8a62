"""Who finds the main subject of a photo.

In: a photo.  Out: its `SubjectRegions`, or none.  The protocol stands here; each way to find a
subject has a module in `segmenters`, and `segmenters.choice` chooses among them.
"""

from typing import Protocol

from modelgenerator.datasets.images import Photo
from modelgenerator.datasets.regions import SubjectRegions


class Segmenter(Protocol):
    """Finds the main subject.  The same photo always gives the same regions.

    It is handed to worker processes: it can be pickled, and loads what it needs when it is first
    asked.
    """

    @property
    def version(self) -> str:
        """What decides its answers: its name, its code's version, the hash of its weights."""
        ...

    def find(self, photo: Photo) -> SubjectRegions | None:
        """The main subject; none when there is none that can be told from its surroundings."""
        ...
