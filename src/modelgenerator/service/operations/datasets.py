"""The pictures of a dataset: read, put in order, captioned, taken out.

In: who asks, and which picture is meant.  Out: a dataset as it is now.  Bytes are not touched here,
except that a picture's files go with it.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from modelgenerator.captioning.subject_words import words_for
from modelgenerator.datasets.captions import read_caption
from modelgenerator.datasets.subject import Subject as SubjectWords
from modelgenerator.service.errors import InvalidValue, NotFound
from modelgenerator.service.operations.callers import Caller, earlier_answer, remember
from modelgenerator.service.operations.kept_files import no_longer_needed
from modelgenerator.service.operations.local_copies import forget_copies
from modelgenerator.service.operations.service import Service
from modelgenerator.service.records.datasets import (
    Dataset,
    DatasetPicture,
    SnapshotPicture,
    Subject,
)
from modelgenerator.service.records.ids import new_id
from modelgenerator.service.records.organizations import Role
from modelgenerator.service.store.transaction import OrganizationStore

LOOKS, REPORTS, PREVIEWS = "looks", "reports", "previews"
"""Folders in a dataset's room, for what was found out about its pictures."""


@dataclass(frozen=True, slots=True)
class DatasetSeen:
    """A dataset as it is now."""

    dataset: Dataset
    subject: Subject | None
    """None: a form of a flow brought the pictures."""
    pictures: tuple[DatasetPicture, ...]
    """In order."""


def new_dataset(caller: Caller, now: datetime) -> Dataset:
    """One that is not kept yet."""
    return Dataset(
        id=new_id(now),
        organization_id=caller.organization_id,
        origin=caller.origin,
        created_at=now,
    )


def create_dataset(service: Service, caller: Caller) -> Dataset:
    """A dataset without a subject, for the pictures that a form of a flow brings."""
    caller.require(Role.MEMBER)
    now = service.clock()
    dataset = new_dataset(caller, now)
    with service.database.transaction() as transaction:
        store = transaction.of(caller.organization_id)
        if (earlier := earlier_answer(store, caller, now)) is not None:
            return store.datasets.get(earlier)
        store.datasets.add(dataset)
        remember(store, caller, dataset.id)
    return dataset


def read_dataset(service: Service, caller: Caller, id: UUID) -> DatasetSeen:
    """Raises NotFound: there is none."""
    caller.require(Role.VIEWER)
    with service.database.reading() as transaction:
        return dataset_seen(transaction.of(caller.organization_id), id)


def dataset_seen(store: OrganizationStore, id: UUID) -> DatasetSeen:
    """Within a transaction.

    Raises:
        NotFound: there is none.
    """
    dataset = store.datasets.get(id)
    subject = store.subjects.first(dataset_id=id)
    return DatasetSeen(dataset, subject, tuple(store.pictures.in_order(id)))


def read_picture(
    service: Service, caller: Caller, dataset_id: UUID, picture_id: UUID
) -> DatasetPicture:
    """Raises NotFound: there is none."""
    caller.require(Role.VIEWER)
    with service.database.reading() as transaction:
        return picture_of(transaction.of(caller.organization_id), dataset_id, picture_id)


def set_caption(
    service: Service, caller: Caller, dataset_id: UUID, picture_id: UUID, caption: str | None
) -> DatasetPicture:
    """Other words for a picture; none takes them away.

    Raises:
        NotFound: there is no such picture.
    """
    set_captions(service, caller, dataset_id, {picture_id: caption})
    return read_picture(service, caller, dataset_id, picture_id)


def set_captions(
    service: Service,
    caller: Caller,
    dataset_id: UUID,
    captions: Mapping[UUID, str | None],
    *,
    with_template: bool = False,
) -> DatasetSeen:
    """Other words for some pictures; `with_template`, "a photo of a woman" for those without any.

    Raises:
        NotFound: there is no such dataset, or no such picture in it.
        InvalidValue: a template needs a class name, and the subject has none.
    """
    caller.require(Role.MEMBER)
    with service.database.transaction() as transaction:
        store = transaction.of(caller.organization_id)
        seen = dataset_seen(store, dataset_id)
        there = {picture.id: picture for picture in seen.pictures}
        for id, caption in captions.items():
            if id not in there:
                raise NotFound("picture", id)
            there[id] = replace(there[id], caption=_one_line(caption))
        if with_template:
            words = _template(seen.subject)
            there = {id: replace(it, caption=it.caption or words) for id, it in there.items()}
        for before in seen.pictures:
            if there[before.id] != before:
                store.pictures.replace(there[before.id])
        return replace(seen, pictures=tuple(there.values()))


def move_picture(
    service: Service, caller: Caller, dataset_id: UUID, picture_id: UUID, position: int
) -> DatasetPicture:
    """Put a picture at a place, counted from 0; the others make room.

    Raises:
        NotFound: there is no such picture.
    """
    caller.require(Role.MEMBER)
    with service.database.transaction() as transaction:
        store = transaction.of(caller.organization_id)
        store.datasets.get_locked(dataset_id)
        picture_of(store, dataset_id, picture_id)
        ids = [it.id for it in store.pictures.in_order(dataset_id) if it.id != picture_id]
        ids.insert(max(0, position), picture_id)
        store.pictures.put_in_order(dataset_id, ids)
        return store.pictures.get(picture_id)


def remove_mask(service: Service, caller: Caller, dataset_id: UUID, picture_id: UUID) -> None:
    """The picture has none any more; nothing if it had none.

    Raises:
        NotFound: there is no such picture.
    """
    caller.require(Role.MEMBER)
    with service.database.transaction() as transaction:
        store = transaction.of(caller.organization_id)
        picture = picture_of(store, dataset_id, picture_id)
        store.pictures.replace(replace(picture, mask_key=None))
        gone = no_longer_needed(store, dataset_id, [picture.mask_key] if picture.mask_key else [])
    for key in gone:
        service.files.delete(key)


def delete_picture(service: Service, caller: Caller, dataset_id: UUID, picture_id: UUID) -> None:
    """Take a picture out.

    Its files go at once, unless a training was given them: then they go with that.

    Raises:
        NotFound: there is no such picture.
    """
    caller.require(Role.MEMBER)
    with service.database.transaction() as transaction:
        store = transaction.of(caller.organization_id)
        picture = picture_of(store, dataset_id, picture_id)
        store.pictures.delete(picture_id)
        keys = [picture.storage_key, *([picture.mask_key] if picture.mask_key else [])]
        gone = no_longer_needed(store, dataset_id, keys)
    for key in gone:
        service.files.delete(key)
    room = service.dataset_room(caller.organization_id, dataset_id)
    for derived in (LOOKS, REPORTS, f"{PREVIEWS}/{picture_id.hex}"):
        shutil.rmtree(room / derived, ignore_errors=True)
    if gone:
        forget_copies(room, as_snapshot(picture))
    service.database.forget_deleted()


def as_snapshot(picture: DatasetPicture) -> SnapshotPicture:
    """A picture as a training would see it now."""
    return SnapshotPicture(
        picture_id=picture.id,
        label=picture.label,
        sha256=picture.sha256,
        caption=picture.caption,
        storage_key=picture.storage_key,
        mask_key=picture.mask_key,
    )


def picture_of(store: OrganizationStore, dataset_id: UUID, picture_id: UUID) -> DatasetPicture:
    """A dataset's picture.

    Raises:
        NotFound: there is no such dataset, or no such picture in it.
    """
    store.datasets.get(dataset_id)
    found = store.pictures.first(id=picture_id, dataset_id=dataset_id)
    if found is None:
        raise NotFound("picture", picture_id)
    return found


def subject_words(subject: Subject | None) -> SubjectWords:
    """What the library wants to know of a subject."""
    if subject is None:
        return SubjectWords()
    return SubjectWords(subject.kind, subject.class_name)


def _template(subject: Subject | None) -> str:
    words = words_for(subject_words(subject))
    if not words:
        raise InvalidValue(
            "A template needs to know what the pictures show, and nobody said it.",
            field="className",
            hint='Give the subject a class name, as "woman" or "sneaker".',
        )
    return words


def _one_line(caption: str | None) -> str | None:
    return read_caption(caption.encode("utf-8", "replace")) if caption else None
