"""Files in a bucket of an S3-compatible storage.

Credentials and region come from where all S3 tools look for them, as `AWS_ACCESS_KEY_ID`.
"""

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from itertools import chain
from typing import TYPE_CHECKING
from uuid import uuid4

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from modelgenerator.errors import InvalidSettings
from modelgenerator.service.errors import ServiceError
from modelgenerator.service.store.files import Counted, Files, Method, told_apart
from modelgenerator.service.store.keys import checked_key

if TYPE_CHECKING:
    from obstore.store import S3Config

AT_ONCE = 8 << 20
"""Bytes up to which a file is sent in one request."""
PARTS_AT_ONCE = 4
"""Of 5 MiB each: more are never held in memory."""


class BucketFiles(Files):
    """Files below `s3://bucket/prefix`; links lead to the storage itself."""

    def __init__(self, url: str, *, endpoint: str | None) -> None:
        """`endpoint` is the address of a storage that is not Amazon's.

        Raises:
            InvalidSettings: not an address of a bucket.
        """
        config: S3Config = {"copy_if_not_exists": "multipart"}
        if endpoint is not None:
            config["endpoint"] = endpoint
        try:
            store = S3Store.from_url(
                url,
                config=config,
                client_options={"allow_http": (endpoint or "").startswith("http://")},
                retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=30)},
            )
        except (BaseError, ValueError) as error:
            raise InvalidSettings(f"STORAGE_URL is no bucket: {error}") from None
        super().__init__(store)
        self._bucket = store

    def _put(self, key: str, content: Counted) -> None:
        chunks = iter(content)
        beginning = _up_to(AT_ONCE, chunks)
        if sum(map(len, beginning)) < AT_ONCE:
            with told_apart(key):
                obstore.put(self._store, key, b"".join(beginning), mode="create")
            return
        self._put_in_parts(key, chain(beginning, chunks))

    def _put_in_parts(self, key: str, chunks: Iterator[bytes]) -> None:
        """A file that comes in parts cannot refuse to replace another; a copy of it can."""
        incoming = f"incoming/{uuid4().hex}"
        try:
            with told_apart(key):
                obstore.put(self._store, incoming, chunks, max_concurrency=PARTS_AT_ONCE)
                obstore.copy(self._store, incoming, key, overwrite=False)
        finally:
            # what stays behind after all is under a prefix of its own, which the bucket may expire
            with suppress(ServiceError):
                self.delete(incoming)

    def link(self, method: Method, key: str, *, expires_in: timedelta) -> str:
        """An address of the storage, signed with our credentials."""
        with told_apart(checked_key(key)):
            return obstore.sign(self._bucket, method, key, expires_in)


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
