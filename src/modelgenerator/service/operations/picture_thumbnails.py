"""Small pictures of generated ones, made once and kept beside them.

In: who asks, and which picture.  Out: its mark, and a file for a browser.  A picture that is small
already is sent as it is: nothing is enlarged.
"""

import io
from dataclasses import dataclass
from uuid import UUID

from PIL import Image

from modelgenerator.service.errors import AlreadyExists, NotFound
from modelgenerator.service.operations.callers import Caller
from modelgenerator.service.operations.previews import THUMBNAIL_SIDE
from modelgenerator.service.operations.service import Service
from modelgenerator.service.records.generations import GeneratedPicture
from modelgenerator.service.records.organizations import Role

_MADE_HOW = 1
"""Raised whenever the same picture would be made smaller otherwise."""
_KINDS = {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp"}


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A file for a browser."""

    content: bytes
    media_type: str


def find_picture(service: Service, caller: Caller, id: UUID) -> GeneratedPicture:
    """The picture of which `thumbnail` makes a small one.

    Raises:
        NotFound: there is none.
    """
    caller.require(Role.VIEWER)
    with service.database.reading() as transaction:
        return transaction.of(caller.organization_id).generated_pictures.get(id)


def mark_of(picture: GeneratedPicture) -> str:
    """Changes when what is shown does."""
    return f"{picture.sha256[:32]}-{_MADE_HOW}"


def thumbnail(service: Service, picture: GeneratedPicture) -> Thumbnail:
    """A small picture.

    Raises:
        NotFound, StorageUnreachable, FileDamaged: the stored picture cannot be had.
    """
    if max(picture.width, picture.height) <= THUMBNAIL_SIDE:
        kind = _KINDS[picture.storage_key.rpartition(".")[2]]
        return Thumbnail(_read(service, picture), kind)
    key = _key(picture)
    try:
        return Thumbnail(service.files.read(key), "image/webp")
    except NotFound:
        content = _made_small(_read(service, picture))
    _keep(service, picture, key, content)
    return Thumbnail(content, "image/webp")


def _read(service: Service, picture: GeneratedPicture) -> bytes:
    return service.files.read(picture.storage_key, sha256=picture.sha256)


def _key(picture: GeneratedPicture) -> str:
    """Beside the picture, so that it goes with it."""
    return f"{picture.storage_key.rpartition('.')[0]}.thumbnail-{_MADE_HOW}.webp"


def _keep(service: Service, picture: GeneratedPicture, key: str, content: bytes) -> None:
    try:
        service.files.put(key, content)
    except AlreadyExists:
        return  # somebody else looked at the same time
    with service.database.reading() as transaction:
        pictures = transaction.of(picture.organization_id).generated_pictures
        is_there = pictures.find(picture.id) is not None
    if not is_there:  # it was deleted meanwhile, and nothing would find this file any more
        service.files.delete(key)


def _made_small(content: bytes) -> bytes:
    stream = io.BytesIO()
    with Image.open(io.BytesIO(content)) as image:
        small = image.convert("RGB")
    small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.LANCZOS)
    small.save(stream, "WEBP", quality=85)
    return stream.getvalue()
