"""From a training's snapshot to prepared pictures with captions, on the machine that trains.

In: a `TrainSpec`, the storage, the dataset's room.  Out: messages, then a `PreparedDataset`: the
one that the training was planned with.  What the room holds already is not made again.
"""

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

from modelgenerator.captioning.captions import CaptioningNoticed, PictureCaptioned
from modelgenerator.datasets.prepare import PhotoLookedAt, PreparedDataset
from modelgenerator.datasets.subject import Subject
from modelgenerator.datasets.workers import Workers
from modelgenerator.notices import Notice
from modelgenerator.service.jobs.messages import (
    Message,
    Phase,
    PhaseBegun,
    Progressed,
    Told,
    noticed,
)
from modelgenerator.service.operations.local_copies import local_source
from modelgenerator.service.operations.preparation import (
    PreparationCaches,
    PreparationEvent,
    PreparationNoticed,
    preparing_pictures,
)
from modelgenerator.service.records.job_specs import TrainSpec
from modelgenerator.service.store.files import Files
from modelgenerator.settings import TrainingSettings


def prepared(
    spec: TrainSpec, settings: TrainingSettings, files: Files, room: Path
) -> Generator[Message, None, PreparedDataset]:
    """Every usable picture with its caption, cut and masked as `settings` say.

    Raises:
        UnusableDataset, UnusableMask, CaptionerUnavailable: see `preparing_pictures`.
        NotFound, FileDamaged, StorageUnreachable: a picture cannot be had.
    """
    yield PhaseBegun(Phase.PREPARING_DATASET)
    source = local_source(files, spec.pictures, room)
    with Workers() as workers:
        steps = preparing_pictures(
            replace(source, path=Path(source.path.name)),  # messages name it
            settings,
            _subject(spec),
            spec.captioner,
            workers=workers,
            caches=PreparationCaches.in_room(room),
        )
        while True:
            try:
                event = next(steps)
            except StopIteration as end:
                dataset: PreparedDataset = end.value
                break
            yield from _told(event)
    for notice in dataset.notices:
        yield noticed(notice)
    for one in dataset.refused:
        message = f"{one.name} cannot be used: {one.reason}."
        yield noticed(Notice("warning", None, message))
    refused = [{"name": one.name, "reason": one.reason} for one in dataset.refused]
    used = [one.name for one in dataset.pictures]
    yield Told("datasetPrepared", {"used": used, "refused": refused})
    return dataset


def _told(event: PreparationEvent) -> Generator[Message, None, None]:
    match event:
        case PhotoLookedAt():
            yield Progressed({"pictures": event.done, "totalPictures": event.total})
        case PictureCaptioned():
            yield Progressed({"captions": event.done, "totalCaptions": event.total})
        case PreparationNoticed() | CaptioningNoticed():
            yield noticed(event.notice)
        case _:
            pass


def _subject(spec: TrainSpec) -> Subject:
    return Subject(spec.subject_kind, spec.class_name)
