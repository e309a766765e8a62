"""The pictures of a dataset as a training would see them: where the subject is, cut and masked.

In: pictures, and what is to be done with them.  Out: a `PreparedDataset`.  What was seen once is
kept in the dataset's room; what is new is looked at by the photo workers, some at a time.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

from modelgenerator.content_cache import ContentCache
from modelgenerator.datasets.looking import Looker, look_at_all
from modelgenerator.datasets.masks import MaskShades
from modelgenerator.datasets.prepare import Preparation, PreparedDataset, preparing
from modelgenerator.datasets.segmentation import Segmenter
from modelgenerator.datasets.segmenters.choice import choose_segmenter
from modelgenerator.datasets.sources import Folder, SourceFile
from modelgenerator.errors import UnusableDataset
from modelgenerator.service.errors import StoreBusy
from modelgenerator.service.operations.datasets import LOOKS, as_snapshot, subject_words
from modelgenerator.service.operations.local_copies import local_source
from modelgenerator.service.operations.photo_work import AT_ONCE
from modelgenerator.service.operations.service import Service
from modelgenerator.service.records.datasets import DatasetPicture, Subject

_TRIES = 3
_log = logging.getLogger(__name__)


def segmenter_for(subject: Subject | None) -> Segmenter:
    """As a training of this subject chooses it, with what is on this machine."""
    return choose_segmenter(kind=subject_words(subject).kind)[0]


def looked_at(
    service: Service,
    room: Path,
    pictures: Sequence[DatasetPicture],
    segmenter: Segmenter | None,
    *,
    normalize: bool = False,
    shades: MaskShades | None = None,
) -> PreparedDataset:
    """All of `pictures`, cut if `normalize`, and with masks if there are `shades`.

    Raises:
        UnusableDataset: there are none.
        UnusableMask: a mask does not fit its picture.
        NotFound, StorageUnreachable, FileDamaged: a stored picture cannot be had.
    """
    if not pictures:
        raise UnusableDataset("There is no picture in this dataset: send some first.")
    source = local_source(service.files, [as_snapshot(it) for it in pictures], room)
    how = Preparation(normalize=normalize, shades=shades, segmenter=segmenter)
    cache = ContentCache(room / LOOKS)
    labels = {picture.label for picture in pictures}
    look_in_turns(service, source, Looker(how.limits, segmenter), cache, labels)
    steps = preparing(source, how, cache=cache)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def look_in_turns(
    service: Service, source: Folder, looker: Looker, cache: ContentCache, labels: set[str]
) -> None:
    """At what was not seen before; others have a turn in between.

    Raises:
        StoreBusy: the workers are killed faster than they look.
    """
    photos = [file for file in source.files if file.name in labels]
    for start in range(0, len(photos), AT_ONCE):
        _look(service, photos[start : start + AT_ONCE], looker, cache)


def _look(
    service: Service, batch: Sequence[SourceFile], looker: Looker, cache: ContentCache
) -> None:
    """A worker that was killed while it waited or began costs another try, not the request."""
    for _ in range(_TRIES):
        try:
            with service.photo_turn:
                for _ in look_at_all(batch, looker, cache, service.photo_workers):
                    pass
        except RuntimeError:
            _log.exception("a photo worker failed")
        else:
            return
    raise StoreBusy("The photos cannot be looked at now: ask again, nothing was changed.")
