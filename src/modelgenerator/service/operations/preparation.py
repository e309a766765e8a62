"""From a dataset's pictures to what a training learns from, where the web process can do it too.

In: a source of photos, settings, and what was said of the subject.  Out: a `PreparedDataset` with
cuts, masks and captions, and on the way what is being done.  The web process plans with it and the
job's body trains with it: on the same pictures both get the same dataset, and what one has seen and
captioned, the other finds in the caches.  Loads no torch.
"""

import os
from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path

from modelgenerator.captioning.captioner import Captioner
from modelgenerator.captioning.captions import CaptioningEvent, Length, caption_pictures
from modelgenerator.captioning.endpoint import (
    ENDPOINT,
    NOT_SET_UP,
    EndpointCaptioner,
    endpoint_from,
)
from modelgenerator.captioning.subject_words import words_for
from modelgenerator.captioning.template import TEMPLATE, TemplateCaptioner
from modelgenerator.content_cache import ContentCache
from modelgenerator.datasets.prepare import (
    PhotoLookedAt,
    Preparation,
    PreparedDataset,
    preparing,
    with_captions,
)
from modelgenerator.datasets.segmenters.choice import choose_segmenter
from modelgenerator.datasets.sources import PhotoSource
from modelgenerator.datasets.subject import Subject
from modelgenerator.datasets.workers import Workers
from modelgenerator.diffusion.network_files import HubNetworkFiles
from modelgenerator.errors import CaptionerUnavailable
from modelgenerator.notices import Notice
from modelgenerator.service.records.job_specs import CaptionerName
from modelgenerator.settings import TrainingSettings
from modelgenerator.training.planning.objective import mask_shades


@dataclass(frozen=True, slots=True)
class PreparationNoticed:
    """What was decided for the person."""

    notice: Notice


PreparationEvent = PhotoLookedAt | CaptioningEvent | PreparationNoticed


@dataclass(frozen=True, slots=True)
class PreparationCaches:
    """What was found out about pictures, and said of them."""

    looks: ContentCache
    captions: ContentCache

    @classmethod
    def in_room(cls, room: Path) -> "PreparationCaches":
        """Those of one dataset: they go when it goes."""
        return cls(looks=ContentCache(room / "looks"), captions=ContentCache(room / "captions"))


def usual_captioner() -> CaptionerName:
    """The endpoint where the operator has set one up, else the template."""
    return ENDPOINT if endpoint_from(os.environ) else TEMPLATE


def preparing_pictures(
    photos: PhotoSource,
    settings: TrainingSettings,
    subject: Subject,
    captioner: CaptionerName,
    *,
    workers: Workers | None,
    caches: PreparationCaches,
) -> Generator[PreparationEvent, None, PreparedDataset]:
    """Look at every picture; cut, mask and caption it as `settings` and `captioner` say.

    Raises:
        UnusableDataset, UnusableMask: see `preparing`.
        CaptionerUnavailable: the endpoint is not set up, or does not answer.
    """
    how, notices = preparation_of(settings, subject)
    for notice in notices:
        yield PreparationNoticed(notice)
    dataset = yield from preparing(photos, how, cache=caches.looks, workers=workers)
    return (yield from _captioned(dataset, settings.caption_prefix, subject, captioner, caches))


def preparation_of(
    settings: TrainingSettings, subject: Subject
) -> tuple[Preparation, tuple[Notice, ...]]:
    """What is done with pictures before they are captioned, and what was chosen for it."""
    how = Preparation(
        caption_prefix=settings.caption_prefix,
        normalize=settings.normalize_dataset,
        shades=mask_shades(settings),
    )
    if not how.uses_regions:
        return how, ()
    segmenter, notices = choose_segmenter(kind=subject.kind, files=HubNetworkFiles())
    return replace(how, segmenter=segmenter), notices


def _captioned(
    dataset: PreparedDataset,
    prefix: str | None,
    subject: Subject,
    name: CaptionerName,
    caches: PreparationCaches,
) -> Generator[PreparationEvent, None, PreparedDataset]:
    """With words for pictures that have none of their own, where there is anybody to say them."""
    wordless = [picture for picture in dataset.pictures if not picture.has_own_words]
    captioner = _captioner(name, subject) if wordless else None
    if captioner is None:
        return dataset
    yield PreparationNoticed(_about(captioner))
    captions = yield from caption_pictures(
        wordless,
        captioner,
        cache=caches.captions,
        subject=subject,
        length=Length().beside(prefix),
    )
    return with_captions(dataset, captions, prefix)


def _captioner(name: CaptionerName, subject: Subject) -> Captioner | None:
    if name == ENDPOINT:
        if (endpoint := endpoint_from(os.environ)) is None:
            raise CaptionerUnavailable(NOT_SET_UP)
        return EndpointCaptioner(endpoint, subject)
    has_words = name == TEMPLATE and words_for(subject)
    return TemplateCaptioner(subject) if has_words else None


def _about(captioner: Captioner) -> Notice:
    if isinstance(captioner, TemplateCaptioner):
        return Notice("info", None, f'Pictures without a caption are called "{captioner.prompt}".')
    called = f"{captioner.name} ({captioner.revision})"
    return Notice("info", None, f"Missing captions are made by {called}.")
