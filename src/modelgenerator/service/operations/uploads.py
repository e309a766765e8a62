"""Photos, captions and masks that a person sends, and what becomes of each.

In: files on this machine with the names that a person gave them.  Out: pictures in the dataset,
stored anew without anything but their pixels, and one result for each file.  A file that cannot be
used undoes nothing; one that came before is known by its hash and is not decoded again.
"""

import hashlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from uuid import UUID, uuid4

from modelgenerator.datasets.captions import CAPTION_BYTES, read_caption
from modelgenerator.datasets.images import PhotoLimits
from modelgenerator.datasets.sources import FolderFile
from modelgenerator.errors import OutputNotWritable, UnusablePhoto, UserError
from modelgenerator.service.errors import QuotaReached, StorageFull, StorageUnreachable
from modelgenerator.service.operations.arrivals import Arrivals, Arrived, sorted_arrivals
from modelgenerator.service.operations.callers import Caller
from modelgenerator.service.operations.datasets import picture_of
from modelgenerator.service.operations.file_results import (
    FileResult,
    FileStatus,
    duplicate,
    refuse_if_nothing_is_usable,
    refused,
    refused_for,
    without_picture,
)
from modelgenerator.service.operations.kept_files import no_longer_needed
from modelgenerator.service.operations.photo_work import (
    AT_ONCE,
    Encoded,
    MaskToEncode,
    PhotoToEncode,
    encode_one_mask,
    encode_one_photo,
    in_workers,
)
from modelgenerator.service.operations.service import Service
from modelgenerator.service.records.datasets import DatasetPicture
from modelgenerator.service.records.ids import new_id
from modelgenerator.service.records.organizations import Role
from modelgenerator.service.store.files import CHUNK
from modelgenerator.service.store.keys import hashed_name, organization_key
from modelgenerator.service.store.transaction import OrganizationStore


def add_files(
    service: Service, caller: Caller, dataset_id: UUID, files: Sequence[FolderFile], spool: Path
) -> list[FileResult]:
    """Add `files` to a dataset; `spool` is an empty folder for what is made of them on the way.

    Raises:
        NotFound: there is no such dataset.
        TooLarge: more files than are accepted.
        NothingUsable: every file was refused.
        QuotaReached, StorageFull: no space; what was accepted before stays, and is known.
    """
    caller.require(Role.MEMBER)
    with service.database.reading() as transaction:
        store = transaction.of(caller.organization_id)
        store.datasets.get(dataset_id)
        stored_bytes = store.stored().byte_count
    arrivals = sorted_arrivals(files, service.config.upload_files)
    upload = _Upload(service, caller, dataset_id, spool, stored_bytes)
    with _told_how_far(upload, arrivals):
        upload.add_photos(arrivals.photos)
        upload.add_captions(arrivals.captions)
        upload.add_masks(arrivals.masks)
    results = [*upload.results, *arrivals.left_aside]
    refuse_if_nothing_is_usable(results)
    return results


def set_mask(
    service: Service, caller: Caller, dataset_id: UUID, picture_id: UUID, file: FolderFile
) -> None:
    """Give a picture this mask, in place of the one that it has.

    Raises:
        NotFound: there is no such picture.
        UnusableMask, UnusablePhoto: it does not fit the picture, or is no mask.
        StorageFull: there is no space left.
    """
    caller.require(Role.MEMBER)
    with service.database.reading() as transaction:
        picture = picture_of(transaction.of(caller.organization_id), dataset_id, picture_id)
    upload = _Upload(service, caller, dataset_id, file.path.parent, 0)
    arrived = Arrived(file, f"{PurePosixPath(picture.label).stem}.mask.png", None)
    [encoded] = in_workers(service, encode_one_mask, [upload.mask_to_encode(arrived, picture)])
    if isinstance(encoded, OutputNotWritable):
        raise StorageFull from encoded
    if isinstance(encoded, UserError):
        raise encoded
    upload.keep_mask(picture.id, encoded)


class _Upload:
    """One upload on its way into a dataset."""

    def __init__(
        self, service: Service, caller: Caller, dataset_id: UUID, spool: Path, stored_bytes: int
    ) -> None:
        self._service = service
        self._organization_id = caller.organization_id
        self._dataset_id = dataset_id
        self._spool = spool
        self._room_left = service.config.storage_gigabytes * 10**9 - stored_bytes
        self._limits = PhotoLimits(max_bytes=service.config.upload_file_megabytes * 10**6)
        self._came: dict[tuple[str | None, str], list[UUID]] = {}
        """Pictures by the archive and the stem with which they came."""
        self.results: list[FileResult] = []

    def add_photos(self, photos: Sequence[Arrived]) -> None:
        """Those that are new are decoded, some at a time."""
        for start in range(0, len(photos), AT_ONCE):
            batch = photos[start : start + AT_ONCE]
            found = dict(zip(batch, self._known(batch), strict=True))
            fresh = [one for one in batch if found[one] is None]
            encoded = in_workers(
                self._service, encode_one_photo, [self._photo_to_encode(one) for one in fresh]
            )
            made = dict(zip(fresh, encoded, strict=True))
            for one in batch:
                result = found[one] or self._kept(one, made[one])
                self.results.append(result)
                if result.picture_id is not None:
                    key = (one.archive, one.stem)
                    self._came.setdefault(key, []).append(result.picture_id)

    def add_captions(self, captions: Sequence[Arrived]) -> None:
        """To the pictures of the same names."""
        words = [(one, *_words_in(one)) for one in captions]
        with self._service.database.transaction() as transaction:
            store = transaction.of(self._organization_id)
            by_stem = self._by_stem(store)
            for one, caption, result in words:
                pictures = self._pictures_for(one, by_stem)
                if result.status is FileStatus.ACCEPTED and not pictures:
                    result = without_picture(one.label, one.archive)
                elif result.status is FileStatus.ACCEPTED:
                    result = _captioned(store, pictures, caption, result)
                self.results.append(result)

    def add_masks(self, masks: Sequence[Arrived]) -> None:
        """To the pictures of the same names, if they fit."""
        with self._service.database.reading() as transaction:
            store = transaction.of(self._organization_id)
            by_stem = self._by_stem(store)
            found = {one: self._pictures_for(one, by_stem) for one in masks}
            targets = [
                (one, store.pictures.get(id)) for one, pictures in found.items() for id in pictures
            ]
        self.results.extend(
            without_picture(one.label, one.archive)
            for one, pictures in found.items()
            if not pictures
        )
        encoded = in_workers(
            self._service, encode_one_mask, [self.mask_to_encode(*target) for target in targets]
        )
        for (one, picture), mask in zip(targets, encoded, strict=True):
            self.results.append(self._mask_result(one, picture, mask))

    def mask_to_encode(self, one: Arrived, picture: DatasetPicture) -> MaskToEncode:
        """What a worker does with a mask."""
        size = (picture.width, picture.height)
        return MaskToEncode(one.label, one.file, self._place(), picture.label, size, self._limits)

    def keep_mask(self, picture_id: UUID, mask: Encoded) -> None:
        """Store it, in place of the one that the picture had."""
        key = self._stored(mask, hashed_name(uuid4().hex, mask.sha256, mask.ending))
        try:
            with self._service.database.transaction() as transaction:
                store = transaction.of(self._organization_id)
                picture = store.pictures.get_locked(picture_id)
                store.pictures.replace(replace(picture, mask_key=key))
                earlier = [picture.mask_key] if picture.mask_key else []
                gone = no_longer_needed(store, self._dataset_id, earlier)
        except BaseException:
            self._service.files.delete(key)
            raise
        for one in gone:
            self._service.files.delete(one)

    def _known(self, photos: Sequence[Arrived]) -> list[FileResult | None]:
        """What can be said without decoding; none: it must be decoded."""
        hashes = [_sha256_of(one, self._limits.max_bytes) for one in photos]
        results: list[FileResult | None] = []
        with self._service.database.reading() as transaction:
            pictures = transaction.of(self._organization_id).pictures
            for one, hash in zip(photos, hashes, strict=True):
                if isinstance(hash, FileResult):
                    results.append(hash)
                    continue
                known = pictures.first(dataset_id=self._dataset_id, upload_sha256=hash)
                results.append(known and duplicate(one.label, one.archive, known))
        return results

    def _kept(self, one: Arrived, encoded: Encoded | UserError) -> FileResult:
        """Store a photo that was decoded."""
        if isinstance(encoded, OutputNotWritable):
            raise StorageFull from encoded
        if isinstance(encoded, UserError):
            return refused_for(one.label, one.archive, encoded)
        if encoded.byte_count > self._room_left:
            raise QuotaReached
        key = self._stored(encoded, f"{uuid4().hex}{encoded.ending}")
        try:
            result = self._entered(one, encoded, key)
        except BaseException:
            self._service.files.delete(key)
            raise
        if result.status is FileStatus.ACCEPTED:
            self._room_left -= encoded.byte_count
        else:
            self._service.files.delete(key)
        return result

    def _entered(self, one: Arrived, encoded: Encoded, key: str) -> FileResult:
        """One transaction, in which nobody else adds to this dataset."""
        with self._service.database.transaction() as transaction:
            store = transaction.of(self._organization_id)
            store.datasets.get_locked(self._dataset_id)
            mine = {"dataset_id": self._dataset_id}
            for hashes in ({"upload_sha256": encoded.upload_sha256}, {"sha256": encoded.sha256}):
                known = store.pictures.first(**mine, **hashes)
                if known is not None:
                    return duplicate(one.label, one.archive, known)
            most = self._service.config.dataset_pictures
            if store.pictures.count(**mine) >= most:
                reason = f"the dataset has the {most:,} pictures it may have"
                return refused(one.label, one.archive, "tooLarge", reason)
            picture = self._picture(store, one, encoded, key)
            store.pictures.add(picture)
        return FileResult(
            name=picture.label,
            status=FileStatus.ACCEPTED,
            archive=one.archive,
            picture_id=picture.id,
            notices=encoded.remarks,
        )

    def _picture(
        self, store: OrganizationStore, one: Arrived, encoded: Encoded, key: str
    ) -> DatasetPicture:
        now = self._service.clock()
        return DatasetPicture(
            id=new_id(now),
            organization_id=self._organization_id,
            dataset_id=self._dataset_id,
            position=store.pictures.next_position(self._dataset_id),
            label=free_label(one.label, store.pictures.labels(self._dataset_id)),
            upload_sha256=encoded.upload_sha256,
            sha256=encoded.sha256,
            byte_count=encoded.byte_count,
            width=encoded.size[0],
            height=encoded.size[1],
            caption=None,
            storage_key=key,
            mask_key=None,
            created_at=now,
        )

    def _mask_result(
        self, one: Arrived, picture: DatasetPicture, mask: Encoded | UserError
    ) -> FileResult:
        if isinstance(mask, OutputNotWritable):
            raise StorageFull from mask
        if isinstance(mask, UserError):
            return refused_for(one.label, one.archive, mask)
        self.keep_mask(picture.id, mask)
        return FileResult(
            name=one.label,
            status=FileStatus.ACCEPTED,
            archive=one.archive,
            picture_id=picture.id,
        )

    def _photo_to_encode(self, one: Arrived) -> PhotoToEncode:
        return PhotoToEncode(one.label, one.file, self._place(), self._limits)

    def _place(self) -> Path:
        return self._spool / f"made-{uuid4().hex}"

    def _stored(self, encoded: Encoded, name: str) -> str:
        key = organization_key(self._organization_id, "datasets", self._dataset_id.hex, name)
        self._service.files.put(key, _pieces(encoded.path))
        encoded.path.unlink()
        return key

    def _by_stem(self, store: OrganizationStore) -> dict[str, list[UUID]]:
        stems: dict[str, list[UUID]] = {}
        for picture in store.pictures.in_order(self._dataset_id):
            stems.setdefault(PurePosixPath(picture.label).stem, []).append(picture.id)
        return stems

    def _pictures_for(self, one: Arrived, by_stem: dict[str, list[UUID]]) -> list[UUID]:
        """Those that came together with it, else those of that name that were there."""
        return self._came.get((one.archive, one.stem)) or by_stem.get(one.stem, [])


def free_label(label: str, taken: Sequence[str]) -> str:
    """`label`, numbered where a picture has that name already, with whatever ending."""
    path = PurePosixPath(label)
    stems = {PurePosixPath(one).stem.casefold() for one in taken}
    stem, number = path.stem, 2
    while stem.casefold() in stems:
        stem = f"{path.stem} ({number})"
        number += 1
    return stem + path.suffix


@contextmanager
def _told_how_far(upload: _Upload, arrivals: Arrivals) -> Generator[None, None, None]:
    """A storage that takes no more, in words that say what is kept."""
    try:
        yield
    except StorageFull as error:
        why = error.__doc__ if isinstance(error, QuotaReached) else "The disk is full."
        hint = f"Make space, or ask the operator for it; {_AGAIN}"
        raise type(error)(f"{why} {_kept_of(upload, arrivals)}", hint=hint) from error
    except StorageUnreachable as error:
        message = f"{error} {_kept_of(upload, arrivals)}"
        raise type(error)(message, hint=f"Wait a little; {_AGAIN}") from error


_AGAIN = "then send the same files again: those that were kept are known."


def _kept_of(upload: _Upload, arrivals: Arrivals) -> str:
    kept = sum(one.status is FileStatus.ACCEPTED for one in upload.results)
    return f"{kept} of {arrivals.count} files were kept."


def _sha256_of(one: Arrived, most: int) -> str | FileResult:
    try:
        return hashlib.sha256(one.file.read(most)).hexdigest()
    except UnusablePhoto as problem:
        return refused_for(one.label, one.archive, problem)


def _captioned(
    store: OrganizationStore, ids: Sequence[UUID], caption: str | None, result: FileResult
) -> FileResult:
    pictures = [store.pictures.get_locked(id) for id in ids]
    result = replace(result, picture_id=ids[0])
    if all(picture.caption == caption for picture in pictures):
        reason = "the same words are there already"
        return replace(result, status=FileStatus.DUPLICATE, reason=reason)
    for picture in pictures:
        store.pictures.replace(replace(picture, caption=caption))
    return result


def _words_in(one: Arrived) -> tuple[str | None, FileResult]:
    remarks: list[str] = []
    try:
        words = read_caption(one.file.head(CAPTION_BYTES), remarks)
    except UnusablePhoto as problem:
        return None, refused_for(one.label, one.archive, problem)
    status = FileStatus.ACCEPTED if words else FileStatus.IGNORED
    reason = None if words else "there is nothing in it"
    result = FileResult(
        name=one.label, status=status, archive=one.archive, reason=reason, notices=tuple(remarks)
    )
    return words, result


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(CHUNK):
            yield piece
