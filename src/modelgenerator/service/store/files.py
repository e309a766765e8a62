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
from typing import Literal

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, S3Store

from modelgenerator.service.errors import (
    AlreadyExists,
    FileDamaged,
    InvalidValue,
    NotFound,
    StorageUnreachable,
)
from modelgenerator.service.store.keys import checked_key

CHUNK = 1 << 20
Method = Literal["GET", "PUT"]


@dataclass(frozen=True, slots=True)
class StoredFile:
    key: str
    sha256: str
    byte_count: int


class Counted:
    """Chunks that go by, their number of bytes and their SHA-256 so far."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = chunks
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

    def __init__(self, store: LocalStore | S3Store) -> None:
        self._store = store

    def put(self, key: str, content: bytes | Iterable[bytes]) -> StoredFile:
        """Store `content`, which may come in pieces; it is on the disk when this returns.

        If `content` raises, nothing is stored.

        Raises:
            AlreadyExists: there is a file at `key`, which stays as it is.
            StorageFull: there is no space left.
            StorageUnreachable: the storage does not answer.
        """
        checked_key(key)
        counted = Counted((content,) if isinstance(content, bytes) else content)
        self._put(key, counted)
        return StoredFile(key, counted.sha256, counted.byte_count)

    @abstractmethod
    def _put(self, key: str, content: Counted) -> None: ...

    @abstractmethod
    def link(self, method: Method, key: str, *, expires_in: timedelta) -> str:
        """An address at which anybody may do `method` with the file at `key`, until it expires."""

    def read(self, key: str) -> bytes:
        """A whole file, for small ones.

        Raises:
            NotFound: there is none.
        """
        return b"".join(self.stream(key))

    def stream(self, key: str, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """A file in pieces: its bytes from `start` up to before `end`.

        Raises:
            NotFound: there is none.
            InvalidValue: no such bytes are in it.
        """
        size = self.size(key)
        stop = size if end is None else min(end, size)
        if not 0 <= start <= stop:
            raise InvalidValue(f"The file has {size} bytes, none from {start} to {stop}.")
        # S3 has no empty range
        return self._stream(key, start, stop) if start < stop else iter(())

    def _stream(self, key: str, start: int, stop: int) -> Iterator[bytes]:
        with told_apart(key):
            found = obstore.get(self._store, key, options={"range": (start, stop)})
            for chunk in found.stream(min_chunk_size=CHUNK):
                yield bytes(chunk)

    def download(self, key: str, to: Path, *, sha256: str) -> None:
        """Write a file to the path `to`, which must not be relied on if this raises.

        Raises:
            NotFound: there is none.
            FileDamaged: it is not the one that had this SHA-256.
        """
        counted = Counted(self.stream(key))
        with to.open("wb") as file:
            file.writelines(counted)
        if counted.sha256 != sha256:
            to.unlink()
            raise FileDamaged(f"The file {key} is not what was stored.")

    def size(self, key: str) -> int:
        """How many bytes a file has.

        Raises:
            NotFound: there is none.
        """
        with told_apart(checked_key(key)):
            return obstore.head(self._store, key)["size"]

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
        with told_apart(checked_key(prefix)):
            for batch in obstore.list(self._store, prefix):
                yield from (found["path"] for found in batch)

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
    except (BaseError, OSError) as error:
        raise StorageUnreachable from error
