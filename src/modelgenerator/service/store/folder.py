"""Files in a folder of this machine.

In: keys and bytes.  Out: files that survive a power cut: each is written under a temporary name,
flushed, and given its own name, which fails if that is taken; then the folder is flushed.
obstore's own writing flushes nothing, so this is ours; it reads and lists.
"""

import errno
import os
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

from obstore.store import LocalStore

from modelgenerator.service.errors import AlreadyExists, StorageFull, StorageUnreachable
from modelgenerator.service.records.clock import Clock
from modelgenerator.service.store.files import Counted, Files, Method
from modelgenerator.service.store.keys import checked_key
from modelgenerator.service.store.links import LinkSigner

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_PATIENCE = 10


class FolderFiles(Files):
    """Files below `folder`; links lead to this service's own `/files/`."""

    def __init__(self, folder: Path, signer: LinkSigner, clock: Clock, *, base_url: str) -> None:
        """`base_url` goes before `/files/`; empty: links within the same site.

        Raises:
            StorageUnreachable: the folder cannot be made.
        """
        self._objects, self._incoming = folder / "objects", folder / "incoming"
        with _told_apart():
            _make_folder(self._objects)
            _make_folder(self._incoming)
        super().__init__(LocalStore(self._objects, automatic_cleanup=True))
        self._signer = signer
        self._clock = clock
        self._base_url = base_url.rstrip("/")

    def assure_rules(self) -> None:
        """It follows them: a name that is taken cannot be given again."""

    def _put(self, key: str, content: Counted) -> None:
        partial = self._incoming / uuid4().hex
        try:
            _write(partial, content)
            with _told_apart():
                _give_name(partial, self._objects / key)
        finally:
            partial.unlink(missing_ok=True)

    def link(self, method: Method, key: str, *, expires_in: timedelta) -> str:
        """An address of this service, which asks its `LinkSigner` whether to answer."""
        token = self._signer.sign(method, checked_key(key), self._clock() + expires_in)
        return f"{self._base_url}/files/{quote(key)}?token={token}"

    def delete(self, key: str) -> None:
        """Delete a file; nothing if there is none.  A power cut does not bring it back."""
        super().delete(key)
        folder = (self._objects / key).parent
        with _told_apart():
            # folders that became empty are gone too
            _flush_folder(next(it for it in (folder, *folder.parents) if it.is_dir()))

    def forget_partial(self, older_than: timedelta) -> int:
        """Delete what a killed process left of files that it never finished; how many."""
        oldest = self._clock().timestamp() - older_than.total_seconds()
        left = [path for path in self._incoming.iterdir() if path.stat().st_mtime < oldest]
        for path in left:
            path.unlink(missing_ok=True)
        return len(left)


def _write(path: Path, content: Iterable[bytes]) -> None:
    with _told_apart():
        file = path.open("xb", buffering=0)
    with file:
        # what the content raises is not the disk's and goes through
        for chunk in content:
            with _told_apart():
                rest = memoryview(chunk)
                while rest:
                    rest = rest[file.write(rest) :]
        with _told_apart():
            os.fsync(file.fileno())


def _give_name(partial: Path, path: Path) -> None:
    for _ in range(_PATIENCE):
        _make_folder(path.parent)
        try:
            # unlike a rename, a link does not replace what is there
            path.hardlink_to(partial)
        except FileExistsError:
            raise AlreadyExists(f"There is a file {path.name} already.") from None
        except FileNotFoundError:
            continue  # somebody deleted the last file of this folder, and so the folder
        return _flush_folder(path.parent)
    raise StorageUnreachable


def _make_folder(folder: Path) -> None:
    missing = [it for it in (folder, *folder.parents) if not it.is_dir()]
    for path in reversed(missing):
        with suppress(FileExistsError, FileNotFoundError):
            path.mkdir()
            _flush_folder(path.parent)


def _flush_folder(folder: Path) -> None:
    with suppress(FileNotFoundError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def _told_apart() -> Generator[None, None, None]:
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise StorageFull from error
        raise StorageUnreachable(f"The storage folder cannot be used: {error.strerror}.") from error
