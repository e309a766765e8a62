"""A subject to try everything with, for whoever has no photos at hand.

In: who asks.  Out: a subject with the pictures that this package draws itself, which the embedded
base model learns on any machine within minutes.
"""

import hashlib
import shutil
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

from modelgenerator.datasets.sources import FolderFile
from modelgenerator.datasets.subject import SubjectKind
from modelgenerator.diffusion.aliases import BUILTIN
from modelgenerator.diffusion.builtin.sample import CLASS_NAME, TRIGGER_WORD, sample_photos
from modelgenerator.service.operations import subjects, uploads
from modelgenerator.service.operations.callers import Caller
from modelgenerator.service.operations.service import Service
from modelgenerator.service.operations.subjects import SubjectSeen
from modelgenerator.service.records.datasets import DatasetPicture

NAME = "Sample creature"
SETTINGS: Mapping[str, str] = {"baseModel": BUILTIN, "captionPrefix": TRIGGER_WORD}
"""What a training of it begins with."""


def create_sample_subject(service: Service, caller: Caller) -> SubjectSeen:
    """A new subject with eight pictures and their captions; asked twice, it is made once.

    Raises:
        StorageFull, QuotaReached: there is no space for them.
    """
    made = subjects.create_subject(
        service, caller, name=NAME, kind=SubjectKind.OTHER, class_name=CLASS_NAME
    )
    spool = service.spool_folder()
    try:
        # what came before is known by its hash
        files = list(_written(spool))
        uploads.add_files(service, caller, made.subject.dataset_id, files, spool)
    finally:
        shutil.rmtree(spool, ignore_errors=True)
    return subjects.read_subject(service, caller, made.subject.id)


def is_sample(pictures: Iterable[DatasetPicture]) -> bool:
    """Whether all of them are those that this package draws."""
    hashes = {picture.upload_sha256 for picture in pictures}
    return bool(hashes) and hashes <= _hashes()


def _written(folder: Path) -> Iterator[FolderFile]:
    for photo in sample_photos():
        for name, data in (
            (f"{photo.stem}.png", photo.png),
            (f"{photo.stem}.txt", photo.caption.encode()),
        ):
            path = folder / name
            path.write_bytes(data)
            yield FolderFile(name, path, len(data))


@cache
def _hashes() -> frozenset[str]:
    return frozenset(hashlib.sha256(photo.png).hexdigest() for photo in sample_photos())
