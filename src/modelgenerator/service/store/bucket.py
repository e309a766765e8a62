"""Files in a bucket of an S3-compatible storage.

Credentials and region come from where all S3 tools look for them, as `AWS_ACCESS_KEY_ID`.  What the
library asks again by itself is asked again; the rest is here: a file whose rest did not come, an
answer that was lost after the storage had done what it was asked.
"""

from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from modelgenerator.errors import InvalidSettings
from modelgenerator.service.errors import (
    AlreadyExists,
    ServiceError,
    StorageUnreachable,
)
from modelgenerator.service.records.clock import Clock, system_clock
from modelgenerator.service.store.bucket_rules import assure_rules
from modelgenerator.service.store.files import CHUNK, Counted, Files, Method, told_apart
from modelgenerator.service.store.keys import checked_key
from modelgenerator.service.store.patience import STARTING, Patience, Retries, patiently
from modelgenerator.service.store.ranges import RANGE, fetch_in_ranges
from modelgenerator.service.store.served_as import content_type_of, disposition_of, is_shown

if TYPE_CHECKING:
    from obstore import Attributes, GetOptions, ObjectMeta
    from obstore.store import ClientConfig, S3Config

AT_ONCE = 8 << 20
"""Bytes up to which a file is sent in one request."""
PARTS_AT_ONCE = 4
"""Of 5 MiB each: more are never held in memory."""
MOST_COPIED = 5 << 30
"""Bytes of a file that Amazon copies in one request."""
IN_RANGES = 2 * RANGE
"""Bytes from which a file is fetched in several requests."""
INCOMING = "incoming"
"""Under which is what has not got its name yet."""


class BucketFiles(Files):
    """Files below `s3://bucket/prefix`; links lead to the storage itself."""

    links_lead_to_storage = True
    asks_again = True

    def __init__(
        self,
        url: str,
        *,
        endpoint: str | None,
        clock: Clock = system_clock,
        patience: Patience | None = None,
    ) -> None:
        """`endpoint` is the address of a storage that is not Amazon's.

        Raises:
            InvalidSettings: not an address of a bucket.
        """
        self._url, self._endpoint, self._clock = url, endpoint, clock
        self._patience = patience or Patience()
        # silence ends a reading, however long all of it takes
        reading: ClientConfig = {
            "timeout": timedelta(days=1),
            "read_timeout": self._patience.reading,
        }
        self._bucket = self._opened(reading)
        super().__init__(self._bucket)
        self._writing = self._opened({"timeout": self._patience.writing})
        self._naming = cache(self._named_as)

    def _opened(self, client: "ClientConfig") -> S3Store:
        config: S3Config = {"copy_if_not_exists": "multipart"}
        if self._endpoint is not None:
            config["endpoint"] = self._endpoint
        patience = self._patience
        try:
            return S3Store.from_url(
                self._url,
                config=config,
                client_options={
                    "allow_http": (self._endpoint or "").startswith("http://"),
                    "connect_timeout": patience.connecting,
                    **client,
                },
                retry_config={
                    "max_retries": 3,
                    "retry_timeout": patience.asking_again,
                    "backoff": {"init_backoff": patience.first_backoff},
                },
            )
        except (BaseError, ValueError) as error:
            raise InvalidSettings(f"STORAGE_URL is no bucket: {error}") from None

    def _named_as(self, content_type: str, *, is_shown: bool) -> S3Store:
        """What is copied in a bucket gets its type and its disposition from the client."""
        options: ClientConfig = {
            "timeout": self._patience.naming,
            "default_content_type": content_type,
        }
        if not is_shown:
            options["default_headers"] = {"Content-Disposition": "attachment"}
        return self._opened(options)

    def assure_rules(self) -> None:
        """It keeps files from being replaced; asked once, for a few seconds.

        Raises:
            InvalidSettings: it does not, there is no such bucket, or it refuses this service.
            StorageUnreachable: it does not answer now.
        """
        hurried = BucketFiles(self._url, endpoint=self._endpoint, patience=STARTING)
        assure_rules(hurried._writing, INCOMING)

    def _put(self, key: str, content: Counted) -> None:
        chunks = iter(content)
        beginning = _up_to(AT_ONCE, chunks)
        if sum(map(len, beginning)) < AT_ONCE:
            self._put_at_once(key, b"".join(beginning))
        elif (content.whole or 0) <= MOST_COPIED:
            self._put_in_parts(key, content, chain(beginning, chunks))
        else:
            self._put_in_place(key, content, chain(beginning, chunks))

    def _put_at_once(self, key: str, content: bytes) -> None:
        def put() -> None:
            with _writing(key):
                obstore.put(
                    self._writing,
                    key,
                    content,
                    mode="create",
                    attributes=_attributes_of(key),
                )

        patiently(put, self._patience)

    def _put_in_parts(self, key: str, content: Counted, chunks: Iterator[bytes]) -> None:
        """A file that comes in parts cannot refuse to replace another; a copy of it can."""
        incoming = f"{INCOMING}/{uuid4().hex}"
        namer = self._naming(content_type_of(key), is_shown=is_shown(key))

        def name() -> None:
            with _writing(key):
                obstore.copy(namer, incoming, key, overwrite=False)

        try:
            self._send(incoming, content, chunks, {})
            patiently(name, self._patience)
        except StorageUnreachable:
            raise  # it would not delete either; `forget_partial` finds what stays behind
        except BaseException:
            self._delete_if_it_can(incoming)
            raise
        self._delete_if_it_can(incoming)

    def _put_in_place(self, key: str, content: Counted, chunks: Iterator[bytes]) -> None:
        """What is too large to be copied; that nobody else puts something there meanwhile is owed
        to the key: files of that size are of one attempt at one job.
        """
        if self.has(key):
            for _ in chunks:  # they are compared
                pass
            raise AlreadyExists(f"There is a file {key} already.")
        self._send(key, content, chunks, _attributes_of(key))

    def _send(
        self, to: str, content: Counted, chunks: Iterator[bytes], attributes: "Attributes"
    ) -> None:
        try:
            with _writing(to):
                obstore.put(
                    self._writing,
                    to,
                    chunks,
                    max_concurrency=PARTS_AT_ONCE,
                    attributes=attributes,
                )
        except StorageUnreachable:
            # the last answer, that all of it is there, may be the one that was lost
            if not self.has(to) or self.size(to) != content.byte_count:
                raise

    def _stream(self, found: "ObjectMeta", key: str, start: int, stop: int) -> Iterator[bytes]:
        """Where it broke off, it goes on, as long as that brings it further."""
        place, retries = start, Retries(self._patience)
        while place < stop:
            try:
                for chunk in super()._stream(found, key, place, stop):
                    place += len(chunk)
                    if len(chunk) >= CHUNK:
                        retries.went_on()
                    yield chunk
            except StorageUnreachable as error:
                retries.wait_after(error)

    def _fetch(self, key: str, to: Path) -> None:
        found = self._look_at(key)
        if found["size"] < IN_RANGES:
            with to.open("wb") as file:
                file.writelines(self._stream(found, key, 0, found["size"]))
            return
        fetch_in_ranges(to, found["size"], lambda start, stop: self._range(found, key, start, stop))

    def _range(self, found: "ObjectMeta", key: str, start: int, stop: int) -> memoryview:
        options: GetOptions = {"range": (start, stop), "if_match": found["e_tag"]}

        def get() -> memoryview:
            with told_apart(key):
                content = memoryview(obstore.get(self._bucket, key, options=options).bytes())
            if len(content) != stop - start:
                raise StorageUnreachable
            return content

        return patiently(get, self._patience)

    def keys(self, prefix: str) -> Iterator[str]:
        """The files below a key; where the list broke off, it goes on."""
        last, retries = None, Retries(self._patience)
        while True:
            try:
                for found in self._listed(prefix, last):
                    last = found["path"]
                    retries.went_on()
                    yield last
            except StorageUnreachable as error:
                retries.wait_after(error)
            else:
                return

    def delete(self, key: str) -> None:
        """Delete a file; nothing if there is none."""
        patiently(lambda: Files.delete(self, key), self._patience)

    def _delete_if_it_can(self, key: str) -> None:
        with suppress(ServiceError):
            self.delete(key)

    def link(self, method: Method, key: str, *, expires_in: timedelta) -> str:
        """An address of the storage, signed with our credentials."""
        with told_apart(checked_key(key)):
            return obstore.sign(self._bucket, method, key, expires_in)

    def forget_partial(self, older_than: timedelta) -> int:
        """Delete what a killed process left of files that it never finished; how many.

        Parts of uploads that were never completed are not seen here: the bucket's own lifecycle
        rules remove them, see docs/guide/bucket.md.
        """
        oldest = self._clock() - older_than
        found = self._listed(INCOMING, None)
        left = [each["path"] for each in found if each["last_modified"] < oldest]
        for key in left:
            self.delete(key)
        return len(left)


def _attributes_of(key: str) -> "Attributes":
    return {"Content-Type": content_type_of(key), "Content-Disposition": disposition_of(key)}


@contextmanager
def _writing(key: str) -> Generator[None, None, None]:
    """The storage's errors as ours; nobody has asked for what is not found there."""
    with told_apart(key):
        try:
            yield
        except FileNotFoundError as error:
            raise StorageUnreachable from error


def _up_to(byte_count: int, chunks: Iterator[bytes]) -> list[bytes]:
    """The first of `chunks`, until they are that many bytes or more."""
    taken: list[bytes] = []
    size = 0
    for chunk in chunks:
        taken.append(chunk)
        size += len(chunk)
        if size >= byte_count:
            break
    return taken
