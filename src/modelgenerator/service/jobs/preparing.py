"""From a training's snapshot to prepared pictures with captions, on the machine that trains.

In: a `TrainSpec`, the storage, the dataset's room.  Out: messages, then a `PreparedDataset`.  What
the room holds already, copies, what was seen in them, captions, is not made again.
"""

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

from modelgenerator.captioning.captions import (
    CaptioningNoticed,
    Length,
    PictureCaptioned,
    caption_pictures,
)
from modelgenerator.captioning.choose import choose_captioner
from modelgenerator.content_cache import ContentCache
from modelgenerator.datasets.prepare import (
    Preparation,
    PreparedDataset,
    preparing,
    with_captions,
)
from modelgenerator.datasets.segmenters.choice import choose_segmenter
from modelgenerator.datasets.subject import Subject, SubjectKind
from modelgenerator.datasets.workers import Workers
from modelgenerator.diffusion.network_files import HubNetworkFiles
from modelgenerator.notices import Notice
from modelgenerator.service.jobs.messages import Message, Phase, PhaseBegun, Progressed, Told
from modelgenerator.service.operations.local_copies import local_source
from modelgenerator.service.records.job_specs import TrainSpec
from modelgenerator.service.store.files import Files
from modelgenerator.settings import TrainingSettings
from modelgenerator.training.planning.objective import mask_shades


def prepared(
    spec: TrainSpec, settings: TrainingSettings, files: Files, room: Path
) -> Generator[Message, None, PreparedDataset]:
    """Every usable picture with its caption, cut and masked as `settings` say.

    Raises:
        UnusableDataset, UnusableMask: see `preparing`.
        InvalidSettings, HubUnreachable: see `choose_segmenter`.
        CaptionerUnavailable: the captioner cannot be had.
        NotFound, FileDamaged, StorageUnreachable: a picture cannot be had.
    """
    yield PhaseBegun(Phase.PREPARING_DATASET)
    subject = _subject(spec)
    how = yield from _preparation(settings, subject)
    source = local_source(files, spec.pictures, room)
    with Workers() as workers:
        steps = preparing(source, how, cache=ContentCache(room / "photos"), workers=workers)
        while True:
            try:
                one = next(steps)
            except StopIteration as end:
                dataset: PreparedDataset = end.value
                break
            yield Progressed({"pictures": one.done, "totalPictures": one.total})
    dataset = yield from _captioned(dataset, spec, settings.caption_prefix, subject, room)
    for notice in dataset.notices:
        yield noticed(notice)
    refused = [{"name": one.name, "reason": one.reason} for one in dataset.refused]
    used = [one.name for one in dataset.pictures]
    yield Told("datasetPrepared", {"used": used, "refused": refused})
    return dataset


def noticed(notice: Notice) -> Told:
    """A choice that was made for the person, or something that was found out."""
    data = {"level": notice.level, "setting": notice.setting, "message": notice.message}
    return Told("notice", data)


def _subject(spec: TrainSpec) -> Subject:
    kinds = {kind.value for kind in SubjectKind}
    kind = SubjectKind(spec.subject_kind) if spec.subject_kind in kinds else None
    return Subject(kind, spec.class_name)


def _preparation(
    settings: TrainingSettings, subject: Subject
) -> Generator[Message, None, Preparation]:
    how = Preparation(
        caption_prefix=settings.caption_prefix,
        normalize=settings.normalize_dataset,
        shades=mask_shades(settings),
    )
    if not how.uses_regions:
        return how
    segmenter, notices = choose_segmenter("auto", subject.kind, HubNetworkFiles())
    for notice in notices:
        yield noticed(notice)
    return replace(how, segmenter=segmenter)


def _captioned(
    dataset: PreparedDataset, spec: TrainSpec, prefix: str | None, subject: Subject, room: Path
) -> Generator[Message, None, PreparedDataset]:
    """With words for pictures that have none of their own."""
    wordless = [picture for picture in dataset.pictures if not picture.has_own_words]
    if not wordless:
        return dataset
    choice = choose_captioner(spec.captioner, subject)
    yield noticed(choice.notice)
    if choice.captioner is None:
        return dataset
    steps = caption_pictures(
        wordless,
        choice.captioner,
        cache=ContentCache(room / "captions"),
        subject=subject,
        length=Length().beside(prefix),
    )
    while True:
        try:
            event = next(steps)
        except StopIteration as end:
            return with_captions(dataset, end.value, prefix)
        if isinstance(event, PictureCaptioned):
            yield Progressed({"captions": event.done, "totalCaptions": event.total})
        elif isinstance(event, CaptioningNoticed):
            yield noticed(event.notice)
