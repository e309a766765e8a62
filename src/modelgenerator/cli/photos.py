"""From where the photos are to a prepared dataset, with the person watching.

Comes in: a folder or an archive, the settings, and what was said of the photos beside them.  Goes
out: a `PreparedDataset`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from modelgenerator.captioning.captions import (
    CaptioningEvent,
    CaptioningNoticed,
    Length,
    PictureCaptioned,
    caption_pictures,
)
from modelgenerator.captioning.choose import AUTO, choose_captioner
from modelgenerator.captioning.subject_words import words_for
from modelgenerator.captioning.template import TemplateCaptioner
from modelgenerator.cli.progress import Reporter
from modelgenerator.cli.watching import watched
from modelgenerator.content_cache import user_cache
from modelgenerator.datasets.prepare import (
    Preparation,
    PreparedDataset,
    preparing,
    with_captions,
)
from modelgenerator.datasets.segmentation import Segmenter
from modelgenerator.datasets.segmenters.choice import choose_segmenter
from modelgenerator.datasets.subject import Subject, SubjectKind
from modelgenerator.datasets.workers import Workers
from modelgenerator.diffusion.network_files import HubNetworkFiles
from modelgenerator.settings import TrainingSettings
from modelgenerator.training.planning.objective import mask_shades

NOBODY_SAID = Subject()


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoOptions:
    """What is said of photos on the command line, beside the settings."""

    segmenter: str = "auto"
    captioner: str = "auto"
    subject: Subject = NOBODY_SAID

    def as_json(self) -> dict[str, str]:
        """For the record of a training; `from_json` reads it."""
        return {
            "segmenter": self.segmenter,
            "captioner": self.captioner,
            "kind": self.subject.kind or "",
            "className": self.subject.class_name,
        }

    def changes(self, kept: Self) -> list[str]:
        """The options that were given now and are not what they were in `kept`."""
        now, then, unsaid = self.as_json(), kept.as_json(), type(self)().as_json()
        return [name for name in now if now[name] not in (unsaid[name], then[name])]

    @classmethod
    def from_json(cls, kept: Mapping[str, str]) -> Self:
        """What `as_json` kept; what is missing is as if nobody had said it."""
        kind = kept.get("kind")
        return cls(
            segmenter=kept.get("segmenter", "auto"),
            captioner=kept.get("captioner", "auto"),
            subject=Subject(SubjectKind(kind) if kind else None, kept.get("className", "")),
        )


def prepared(
    photos: Path, settings: TrainingSettings, options: PhotoOptions, report: Reporter
) -> PreparedDataset:
    """Every usable photo with its caption, cut and masked as `settings` say.

    Raises:
        UnusableDataset, UnusableMask: see `preparing`.
        InvalidSettings: no such segmenter, or its files are not here.
        HubUnreachable: the segmenter that was named cannot be downloaded.
        CaptionerUnavailable: no such captioner, or it cannot be had.
    """
    how = Preparation(
        caption_prefix=settings.caption_prefix,
        normalize=settings.normalize_dataset,
        shades=mask_shades(settings),
    )
    if how.uses_regions:
        how = replace(how, segmenter=_segmenter(options, report))
    return captioned(looked_at(photos, how, report), settings.caption_prefix, options, report)


def looked_at(photos: Path, how: Preparation, report: Reporter) -> PreparedDataset:
    """As `preparing`, on all cores of this machine; what was seen once is not looked at again."""
    with Workers() as workers:
        steps = preparing(photos, how, cache=user_cache("photos"), workers=workers)
        return watched(steps, lambda one: report.count("looking at photos", one.done, one.total))


def captioned(
    dataset: PreparedDataset, prefix: str | None, options: PhotoOptions, report: Reporter
) -> PreparedDataset:
    """With words for pictures that have none of their own."""
    wordless = [picture for picture in dataset.pictures if not picture.has_own_words]
    if not wordless:
        return dataset
    choice = choose_captioner(options.captioner, options.subject)
    is_template = isinstance(choice.captioner, TemplateCaptioner)
    if options.captioner == AUTO and is_template and not words_for(options.subject):
        return dataset  # nobody asked for words, and there are none
    report.notice(choice.notice)
    if choice.captioner is None:
        return dataset

    def see(event: CaptioningEvent) -> None:
        if isinstance(event, PictureCaptioned):
            report.count("captions", event.done, event.total)
        elif isinstance(event, CaptioningNoticed):
            report.notice(event.notice)
        else:
            report.count("MB", event.bytes_done // 10**6, event.bytes_total // 10**6)

    captions = watched(
        caption_pictures(
            wordless,
            choice.captioner,
            cache=user_cache("captions"),
            subject=options.subject,
            length=Length().beside(prefix),
        ),
        see,
    )
    return with_captions(dataset, captions, prefix)


def _segmenter(options: PhotoOptions, report: Reporter) -> Segmenter:
    segmenter, notices = choose_segmenter(
        options.segmenter, options.subject.kind, HubNetworkFiles()
    )
    for notice in notices:
        report.notice(notice)
    return segmenter
