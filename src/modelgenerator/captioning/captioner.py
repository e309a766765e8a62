"""What every captioner can do, whatever looks at the photo.

In comes a photo, out go words about it, as they come: cleaning and cutting are done elsewhere.  The
same photo gets the same words: nothing is drawn by lot.
"""

from collections.abc import Callable, Generator
from typing import Protocol

from modelgenerator.datasets.images import Photo
from modelgenerator.diffusion.downloads import DownloadProgress

Describe = Callable[[Photo], str]
"""What the photo shows, in words as they come."""


class Captioner(Protocol):
    """Something that puts photos into words."""

    @property
    def name(self) -> str:
        """As it is chosen: `florence2`."""
        ...

    @property
    def revision(self) -> str:
        """Of what exactly looks at the photos: with another one the words may be others."""
        ...

    @property
    def prompt(self) -> str:
        """What it is asked; empty when it is not asked in words."""
        ...

    def prepare(self) -> Generator[DownloadProgress, None, None]:
        """Bring here and load what `describe` needs; what is ready is not made ready again.

        Raises:
            CaptionerUnavailable: its files are not to be had, or cannot be used.
            HubUnreachable: they are not on this machine, and the hub does not answer.
            OutputNotWritable: the disk of the hub's cache is full, or not writable.
        """
        ...

    def describe(self, photo: Photo) -> str:
        """What the photo shows.

        Raises:
            PhotoRefused: not this one.
            CaptionerUnavailable: none at all.
        """
        ...

    def close(self) -> None:
        """Give back the memory that `prepare` took; it may be prepared again."""
        ...


class PhotoRefused(Exception):
    """A captioner has no words for this one photo; the next one may go well."""
