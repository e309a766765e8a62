"""What a storage must do that not everything that calls itself S3-compatible does.

In: a bucket, and a folder in it where files may come and go.  Out: what it does wrong, in words, or
that it could not be asked.  Nothing stays behind.
"""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from uuid import uuid4

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import S3Store

from modelgenerator.errors import InvalidSettings
from modelgenerator.service.store.files import told_apart

_REFUSES = (401, 403)
_NEVER_DOES = (400, 404, 405, 411, 501)
"""Statuses of a storage that does not know what it is asked."""
_OTHER_REGION = ("AuthorizationHeaderMalformed", "incorrectly configured region")
_OF_CREDENTIALS = ("ExpiredToken", "InvalidToken", "TokenRefreshRequired")
_PASSES = ("RequestTimeout", "IncompleteBody")
"""Codes that come with status 400, all of them."""
_CODE = re.compile("<Code>(.{1,100}?)</Code>")
_HINT = "See what a bucket must do in docs/guide/bucket.md."
_PUT = "PutObject"
_COPY = "UploadPartCopy and CompleteMultipartUpload"
Write = Callable[[bytes], object]


def assure_rules(bucket: S3Store, folder: str) -> None:
    """Nobody writes over a file, whether it comes in one request or is named by a copy.

    Raises:
        InvalidSettings: there is no such bucket, it refuses this service, or writes over files.
        StorageUnreachable: it does not answer.
    """
    file, copy = (f"{folder}/{uuid4().hex}" for _ in range(2))

    def put(content: bytes) -> None:
        obstore.put(bucket, file, content, mode="create")

    def name(_: bytes) -> None:
        obstore.copy(bucket, file, copy, overwrite=False)

    try:
        _try(bucket, file, _PUT, put)
        _try(bucket, copy, _COPY, name)
    finally:
        with suppress(BaseError, FileNotFoundError):
            obstore.delete(bucket, [file, copy])


def _try(bucket: S3Store, key: str, request: str, write: Write) -> None:
    with told_apart("of the bucket's trial"):
        try:
            # one whose answer was lost is asked again by the library, and finds itself
            if not _is_done(write, b"a"):
                obstore.head(bucket, key)
            is_replaced = _is_done(write, b"b")
        except (BaseError, FileNotFoundError) as error:
            if (fault := _fault_in(str(error), request)) is not None:
                raise InvalidSettings(fault) from error
            raise
    if is_replaced:
        raise InvalidSettings(
            f"The bucket of STORAGE_URL lets {request} write over a file: its storage takes no "
            f"notice of `If-None-Match: *`. {_HINT}"
        )


def _is_done(write: Write, content: bytes) -> bool:
    """Rather than refused, because there is a file."""
    try:
        write(content)
    except (AlreadyExistsError, PreconditionError):
        return False
    return True


def _fault_in(told: str, request: str) -> str | None:
    """What will not pass by itself."""
    code = found[1] if (found := _CODE.search(told)) else "without a word"
    if code in _PASSES:
        return None
    if any(sign in told for sign in _OTHER_REGION):
        return "AWS_REGION is not the region of the bucket in STORAGE_URL: set it to that."
    if code == "NoSuchBucket":
        return "There is no bucket of the name in STORAGE_URL: make it, or correct the name."
    if code in _OF_CREDENTIALS or _has_status(told, _REFUSES):
        return (
            f"The storage of STORAGE_URL refuses {request} ({code}): look at AWS_ACCESS_KEY_ID, "
            "AWS_SECRET_ACCESS_KEY and the permissions in docs/guide/bucket.md."
        )
    if _has_status(told, _NEVER_DOES):
        return f"The storage of STORAGE_URL does not do {request} ({code}). {_HINT}"
    return None


def _has_status(told: str, statuses: Sequence[int]) -> bool:
    return any(f"status code: {status} " in told for status in statuses)
