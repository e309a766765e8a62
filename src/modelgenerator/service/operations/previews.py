"""What a person sees of one picture: small, as it is, as it is cut, or with what counts in it.

In: a picture, and what is to be shown.  Out: a webp file.  The usual ones are kept in the dataset's
room; drawing happens in a photo worker.
"""

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from uuid import UUID

import cv2
import numpy as np
from PIL import Image

from modelgenerator.content_cache import ContentCache
from modelgenerator.datasets.masks import MaskShades
from modelgenerator.datasets.prepare import Picture
from modelgenerator.datasets.views import views_of
from modelgenerator.errors import UserError
from modelgenerator.service.operations.callers import Caller
from modelgenerator.service.operations.datasets import PREVIEWS, as_snapshot, picture_of
from modelgenerator.service.operations.local_copies import local_source
from modelgenerator.service.operations.looked_at import looked_at, segmenter_for
from modelgenerator.service.operations.photo_work import in_workers
from modelgenerator.service.operations.service import Service
from modelgenerator.service.records.datasets import DatasetPicture, Subject
from modelgenerator.service.records.organizations import Role

THUMBNAIL_SIDE, PREVIEW_SIDE = 320, 1024
"""Pixels of the longer side; nothing is enlarged."""
_DRAWN_HOW = 1
"""Raised whenever the same picture would be drawn otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What is to be shown of a picture."""

    side: int = PREVIEW_SIDE
    normalize: bool = False
    shades: MaskShades | None = None
    """None: without a mask."""

    @property
    def is_usual(self) -> bool:
        """Whether it is kept: sizes and shades that a person tries are not."""
        is_usual_side = self.side in (THUMBNAIL_SIDE, PREVIEW_SIDE)
        return is_usual_side and self.shades in (None, MaskShades())

    @property
    def needs_subject(self) -> bool:
        """Whether it matters where the subject is."""
        return self.normalize or self.shades is not None


THUMBNAIL = Shown(side=THUMBNAIL_SIDE)


@dataclass(frozen=True, slots=True)
class Preview:
    """One that can be drawn, or is there already."""

    etag: str
    """Changes when what is shown does."""
    picture: DatasetPicture
    shown: Shown
    subject: Subject | None


def find_preview(
    service: Service, caller: Caller, dataset_id: UUID, picture_id: UUID, shown: Shown
) -> Preview:
    """What `draw` would draw; costs nothing.

    Raises:
        NotFound: there is no such picture.
    """
    caller.require(Role.VIEWER)
    with service.database.reading() as transaction:
        store = transaction.of(caller.organization_id)
        picture = picture_of(store, dataset_id, picture_id)
        subject = store.subjects.first(dataset_id=dataset_id)
    text = json.dumps(_facts(picture, shown, subject), sort_keys=True)
    return Preview(hashlib.sha256(text.encode()).hexdigest()[:32], picture, shown, subject)


def draw(service: Service, preview: Preview) -> bytes:
    """A webp file.

    Raises:
        UnusableMask: the picture's mask does not fit it.
        NotFound, StorageUnreachable, FileDamaged: the stored picture cannot be had.
    """
    picture, shown = preview.picture, preview.shown
    room = service.dataset_room(picture.organization_id, picture.dataset_id)
    cache = ContentCache(room / PREVIEWS / picture.id.hex if shown.is_usual else None)
    facts = _facts(picture, shown, preview.subject)
    return cache.get_bytes(facts, lambda: _drawn(service, preview))[0]


@dataclass(frozen=True, slots=True)
class _ToDraw:
    name: str
    picture: Picture
    side: int


def _drawn(service: Service, preview: Preview) -> bytes:
    picture, shown = preview.picture, preview.shown
    room = service.dataset_room(picture.organization_id, picture.dataset_id)
    if shown.needs_subject:
        segmenter = segmenter_for(preview.subject)
        dataset = looked_at(
            service, room, [picture], segmenter, normalize=shown.normalize, shades=shown.shades
        )
        [prepared] = dataset.pictures
    else:
        prepared = _unseen(service, picture, room)
    [drawn] = in_workers(service, draw_one, [_ToDraw(picture.label, prepared, shown.side)])
    if isinstance(drawn, UserError):
        raise drawn
    return drawn


def _unseen(service: Service, picture: DatasetPicture, room: Path) -> Picture:
    """All of it, which needs no look at it."""
    alone = replace(as_snapshot(picture), caption=None, mask_key=None)
    [file] = local_source(service.files, [alone], room).files
    return Picture(
        file=file, sha256=picture.sha256, width=picture.width, height=picture.height, caption=""
    )


def draw_one(item: _ToDraw) -> bytes:
    """In a worker: its outlines and shades if it has a mask, its pixels if not.

    Raises:
        UnusablePhoto, UnusableMask: see `views_of`.
    """
    picture = item.picture
    size = _within(picture.width, picture.height, item.side)
    if picture.mask is not None:
        return _webp(views_of(picture, size, height=size[1]).trained)
    pixels_HW3 = picture.read().pixels_HW3
    small_HW3 = cv2.resize(pixels_HW3, size, interpolation=cv2.INTER_AREA)
    return _webp(Image.fromarray(np.asarray(small_HW3, np.uint8)))


def _within(width: int, height: int, side: int) -> tuple[int, int]:
    scale = min(1.0, side / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _webp(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "WEBP", quality=85)
    return stream.getvalue()


def _facts(picture: DatasetPicture, shown: Shown, subject: Subject | None) -> Mapping[str, object]:
    return {
        "how": _DRAWN_HOW,
        "picture": picture.sha256,
        "mask": picture.mask_key if shown.needs_subject else None,
        "side": shown.side,
        "normalize": shown.normalize,
        "shades": asdict(shown.shades) if shown.shades else None,
        "segmenter": segmenter_for(subject).version if shown.needs_subject else None,
    }
