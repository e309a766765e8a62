"""Pictures and weights: one interface to a folder or to an S3-compatible bucket.

In: a key of `keys`, and bytes.  Out: a file that is there whole or not at all, that nobody writes
over, and its SHA-256.  A file may be larger than the memory.  What is in it is not known.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from uuid import uuid4

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import LocalStore, S3Store

from modelgenerator.service.errors import (
    AlreadyExists,
    FileDamaged,
    InvalidValue,
    NotFound,
    StorageRefused,
    StorageUnreachable,
)
from modelgenerator.service.store.keys import checked_key

if TYPE_CHECKING:
    from obstore import GetOptions, ObjectMeta

CHUNK = 1 << 20
Method = Literal["GET", "PUT"]


@dataclass(frozen=True, slots=True)
class StoredFile:
    key: str
    sha256: str
    byte_count: int


class Counted:
    """Chunks that go by, their number of bytes and their SHA-256 so far."""

    def __init__(self, chunks: Iterable[bytes], whole: int | None = None) -> None:
        self._chunks = chunks
        self.whole = whole
        """How many bytes it will have been, where that is known before."""
        self._hash = hashlib.sha256()
        self.byte_count = 0

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self._hash.update(chunk)
            self.byte_count += len(chunk)
            yield chunk

    @property
    def sha256(self) -> str:
        """In hexadecimal."""
        return self._hash.hexdigest()


class Files(ABC):
    """What a folder and a bucket have in common."""

    links_lead_to_storage = False
    """Rather than to this service."""
    asks_again = False
    """By itself, and so may find what it has put there."""

    def __init__(self, store: LocalStore | S3Store) -> None:
        self._store = store

    def put(
        self, key: str, content: bytes | Path | Iterable[bytes], *, again: bool = False
    ) -> StoredFile:
        """Store `content`, which may come in pieces; it is on the disk when this returns.

        If `content` raises, nothing is stored.  `again`: it was asked before, without an answer.
        More than 5 GiB must be a file.

        Raises:
            AlreadyExists: there is a file at `key`, which stays as it is; to a bucket, or to who
                asks again, the very same file is none.
            StorageFull: there is no space left.
            StorageUnreachable: the storage does not answer.
        """
        checked_key(key)
        counted = _counted(content)
        try:
            self._put(key, counted)
        except AlreadyExists:
            # of a request whose answer was lost, nobody knows whether it did anything
            if not ((again or self.asks_again) and self._is_there(key, counted)):
                raise
        return StoredFile(key, counted.sha256, counted.byte_count)

    @abstractmethod
    def _put(self, key: str, content: Counted) -> None:
        """Whatever happens at its end, all of `content` has gone by then."""

    def _is_there(self, key: str, content: Counted) -> bool:
        """Whether the file at `key` is this one."""
        if self.size(key) != content.byte_count:
            return False
        found = Counted(self.stream(key))
        for _ in found:
            pass
        return found.sha256 == content.sha256

    @abstractmethod
    def link(self, method: Method, key: str, *, expires_in: timedelta) -> str:
        """An address at which anybody may do `method` with the file at `key`, until it expires."""

    def read(self, key: str, *, sha256: str | None = None) -> bytes:
        """A whole file, for small ones; with a SHA-256, it is the one that had it.

        Raises:
            NotFound: there is none.
            FileDamaged: it is another one.
        """
        counted = Counted(self.stream(key))
        content = b"".join(counted)
        if sha256 is not None and counted.sha256 != sha256:
            raise _damaged(key)
        return content

    def stream(self, key: str, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """A file in pieces: its bytes from `start` up to before `end`.

        Raises:
            NotFound: there is none.
            InvalidValue: no such bytes are in it.
            StorageUnreachable: also in the middle, when the rest does not come.
        """
        found = self._look_at(key)
        size = found["size"]
        stop = size if end is None else min(end, size)
        if not 0 <= start <= stop:
            raise InvalidValue(f"The file has {size} bytes, none from {start} to {stop}.")
        # S3 has no empty range
        return self._stream(found, key, start, stop) if start < stop else iter(())

    def whole(self, key: str, *, sha256: str) -> Iterator[bytes]:
        """A file in pieces, of which the last only comes if all of it has this SHA-256.

        Raises:
            NotFound: there is none.
            FileDamaged: before the last piece.
        """
        return _checked(key, Counted(self.stream(key)), sha256)

    def _stream(self, found: "ObjectMeta", key: str, start: int, stop: int) -> Iterator[bytes]:
        """Of the file that was found, and of no later one at the same key."""
        place = start
        with told_apart(key):
            options: GetOptions = {"range": (start, stop), "if_match": found["e_tag"]}
            got = obstore.get(self._store, key, options=options)
            for chunk in got.stream(min_chunk_size=CHUNK):
                place += len(chunk)
                yield bytes(chunk)
        if place != stop:
            raise StorageUnreachable

    def download(self, key: str, to: Path, *, sha256: str | None) -> None:
        """Write a file to the path `to`, under which there is all of it or what was there before.

        Without a SHA-256, whoever reads it must see for himself whether it is the right one.

        Raises:
            NotFound: there is none.
            FileDamaged: it is not the one that had this SHA-256.
        """
        partial = to.with_name(f".{uuid4().hex}")
        try:
            self._fetch(key, partial)
            if sha256 is not None and _sha256_of(partial) != sha256:
                raise _damaged(key)
            partial.replace(to)
        finally:
            partial.unlink(missing_ok=True)

    def _fetch(self, key: str, to: Path) -> None:
        with to.open("wb") as file:
            file.writelines(self.stream(key))

    def size(self, key: str) -> int:
        """How many bytes a file has.

        Raises:
            NotFound: there is none.
        """
        return self._look_at(key)["size"]

    def _look_at(self, key: str) -> "ObjectMeta":
        with told_apart(checked_key(key)):
            return obstore.head(self._store, key)

    @abstractmethod
    def assure_rules(self) -> None:
        """The storage does what the rest relies on, as far as a short trial shows.

        Raises:
            InvalidSettings: it does not, is not there at all, or refuses this service.
            StorageUnreachable: it does not answer now.
        """

    def answers(self) -> bool:
        """Whether the storage can be asked anything."""
        try:
            self.size("a-file-that-is-never-there")
        except StorageUnreachable:
            return False
        except NotFound:
            pass
        return True

    def has(self, key: str) -> bool:
        """Whether there is a file at `key`."""
        try:
            self.size(key)
        except NotFound:
            return False
        return True

    def keys(self, prefix: str) -> Iterator[str]:
        """The files below a key: `organizations/ab` does not find those of `organizations/abc`."""
        for found in self._listed(prefix, None):
            yield found["path"]

    def _listed(self, prefix: str, after: str | None) -> Iterator["ObjectMeta"]:
        with told_apart(checked_key(prefix)):
            for batch in obstore.list(self._store, prefix, offset=after):
                yield from batch

    def delete(self, key: str) -> None:
        """Delete a file; nothing if there is none."""
        with told_apart(checked_key(key)):
            try:
                obstore.delete(self._store, key)
            except FileNotFoundError:
                return

    def forget_partial(self, older_than: timedelta) -> int:  # noqa: ARG002  a folder has some
        """Delete what a killed process left of files that it never finished; how many."""
        return 0


@contextmanager
def told_apart(key: str) -> Generator[None, None, None]:
    """The storage's errors as ours."""
    try:
        yield
    except FileNotFoundError:
        raise NotFound("file", key) from None
    except AlreadyExistsError as error:
        raise AlreadyExists(f"There is a file {key} already.") from error
    except PreconditionError as error:
        raise FileDamaged(f"The file {key} changed while it was read.") from error
    except (PermissionDeniedError, UnauthenticatedError) as error:
        raise StorageRefused from error
    except (BaseError, OSError) as error:
        raise (StorageRefused if _is_refusal(error) else StorageUnreachable) from error


def _is_refusal(error: Exception) -> bool:
    """The library has no class of its own for a list that is refused."""
    return any(f"status code: {status} " in str(error) for status in (401, 403))


def _counted(content: bytes | Path | Iterable[bytes]) -> Counted:
    if isinstance(content, bytes):
        return Counted((content,), len(content))
    if isinstance(content, Path):
        return Counted(_pieces(content), content.stat().st_size)
    return Counted(content)


def _pieces(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while chunk := opened.read(CHUNK):
            yield chunk


def _checked(key: str, counted: Counted, sha256: str) -> Iterator[bytes]:
    last = b""
    for chunk in counted:
        if last:
            yield last
        last = chunk
    if counted.sha256 != sha256:
        raise _damaged(key)
    yield last


def _sha256_of(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _damaged(key: str) -> FileDamaged:
    return FileDamaged(f"The file {key} is not what was stored.")
