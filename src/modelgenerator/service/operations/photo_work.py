"""What is done with a stranger's photos and masks in worker processes: decoded, written anew.

In: a file as it came, and where to write.  Out: a file that holds the pixels and nothing else, on
this machine, and what is known of it.  Nothing decoded comes back to the process that asked, so its
memory stays flat.
"""

import hashlib
import io
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from PIL import Image

from modelgenerator.datasets.images import PhotoLimits, encode_photo, read_grey, read_photo
from modelgenerator.datasets.masks import read_mask
from modelgenerator.datasets.regions import Size
from modelgenerator.datasets.sources import SourceFile
from modelgenerator.datasets.workers import Named
from modelgenerator.errors import OutputNotWritable, UnusablePhoto, UserError
from modelgenerator.service.operations.service import Service

Item = TypeVar("Item", bound=Named)
Result = TypeVar("Result")
AT_ONCE = 16
"""Files for which the workers are taken: then others have a turn."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PhotoToEncode:
    """One photo as it came."""

    name: str
    file: SourceFile
    to: Path
    limits: PhotoLimits = field(default_factory=PhotoLimits)


@dataclass(frozen=True, slots=True)
class MaskToEncode:
    """One mask as it came, and whose it is."""

    name: str
    file: SourceFile
    to: Path
    picture: str
    size: Size
    """Of the upright photo."""
    limits: PhotoLimits = field(default_factory=PhotoLimits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """What was written."""

    path: Path
    ending: str
    upload_sha256: str
    """Of the file as it came."""
    sha256: str
    byte_count: int
    size: Size
    remarks: tuple[str, ...] = ()


def encode_one_photo(item: PhotoToEncode) -> Encoded:
    """In a worker.

    Raises:
        UnusablePhoto: see `read_photo`.
        OutputNotWritable: the disk is full.
    """
    data = item.file.read(item.limits.max_bytes)
    photo = read_photo(data, name=item.name, limits=item.limits)
    content = encode_photo(photo)
    ending = ".webp" if content.startswith(b"RIFF") else ".png"
    return _written(
        item.to, content, ending, photo.sha256, (photo.width, photo.height), photo.remarks
    )


def encode_one_mask(item: MaskToEncode) -> Encoded:
    """In a worker.

    Raises:
        UnusableMask, UnusablePhoto: see `read_mask`.
        OutputNotWritable: the disk is full.
    """
    mask, _ = read_mask(item.file, picture=item.picture, size=item.size, limits=item.limits)
    data = item.file.read(item.limits.max_bytes)
    grey_HW = read_grey(data, name=item.name, limits=item.limits)
    stream = io.BytesIO()
    Image.fromarray(grey_HW).save(stream, "PNG")
    return _written(item.to, stream.getvalue(), ".png", mask.sha256, item.size, ())


def in_workers(
    service: Service, function: Callable[[Item], Result], items: Sequence[Item]
) -> Iterator[Result | UserError]:
    """`function` of each item, in order; others have a turn in between."""
    for start in range(0, len(items), AT_ONCE):
        yield from _batch(service, function, items[start : start + AT_ONCE])


def _batch(
    service: Service, function: Callable[[Item], Result], items: Sequence[Item]
) -> list[Result | UserError]:
    try:
        with service.photo_turn:
            return list(service.photo_workers.map(function, items))
    except RuntimeError as problem:
        if len(items) == 1:
            # a mistake of ours or of a decoder: it costs the file, not the upload
            _log.exception("a photo worker failed", exc_info=problem)
            return [UnusablePhoto(items[0].name, "the program that reads it fails at it")]
    return [one for item in items for one in _batch(service, function, [item])]


def _written(
    path: Path,
    content: bytes,
    ending: str,
    upload_sha256: str,
    size: Size,
    remarks: tuple[str, ...],
) -> Encoded:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise OutputNotWritable(f"There is no space for it: {error.strerror}.") from error
    return Encoded(
        path=path,
        ending=ending,
        upload_sha256=upload_sha256,
        sha256=hashlib.sha256(content).hexdigest(),
        byte_count=len(content),
        size=size,
        remarks=remarks,
    )
