"""The captioner that does not look: the same words for every photo.

In: whom or what the photos show.  Out: `a photo of a woman`.
"""

from collections.abc import Generator

from modelgenerator.captioning.subject_words import words_for
from modelgenerator.datasets.images import Photo
from modelgenerator.datasets.subject import Subject
from modelgenerator.diffusion.downloads import DownloadProgress

TEMPLATE = "template"


class TemplateCaptioner:
    """Words from the subject's kind and class name."""

    name = TEMPLATE
    revision = "1"
    """Raised whenever the same subject gets other words."""

    def __init__(self, subject: Subject) -> None:
        self._words = words_for(subject)

    @property
    def prompt(self) -> str:
        return self._words

    def prepare(self) -> Generator[DownloadProgress, None, None]:
        yield from ()

    def describe(self, photo: Photo) -> str:  # noqa: ARG002  every photo gets the same
        return self._words

    def close(self) -> None:
        """Nothing was taken."""
