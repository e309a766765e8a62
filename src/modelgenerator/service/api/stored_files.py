"""Stored files by signed links: `/files/<key>?token=...`, for storages that are folders.

In: a key and a token that `Files.link` gave.  Out: the file or the part of it that is asked for.
A file is sent so that no browser takes it for a page.
"""

from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse

from modelgenerator.service.api.asking import ServiceHere
from modelgenerator.service.api.problems import problems
from modelgenerator.service.errors import InvalidValue
from modelgenerator.service.store.served_as import content_type_of, disposition_of

router = APIRouter(tags=["files"])


@router.get(
    "/files/{key:path}",
    responses={206: {"description": "A part of it"}, **problems(404, 416)},
    response_class=StreamingResponse,
)
def read_file(
    service: ServiceHere,
    key: str,
    token: Annotated[str, Query(description="From the link", max_length=200)] = "",
    range_: Annotated[str | None, Header(alias="Range")] = None,
) -> StreamingResponse:
    """A stored file, for whoever has its link."""
    service.links.check(token, "GET", key, service.clock())
    size = service.files.size(key)
    start, end = _range(range_, size)
    content: Iterator[bytes] = service.files.stream(key, start=start, end=end)
    headers = _headers(key) | {"Content-Length": str(end - start), "Accept-Ranges": "bytes"}
    if range_ is None or (start, end) == (0, size):
        return StreamingResponse(content, 200, headers)
    return StreamingResponse(
        content, 206, headers | {"Content-Range": f"bytes {start}-{end - 1}/{size}"}
    )


def _headers(key: str) -> dict[str, str]:
    return {
        "Content-Type": content_type_of(key),
        "Content-Disposition": disposition_of(key),
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "X-Content-Type-Options": "nosniff",
        # a stored file never changes; the link ends by itself
        "Cache-Control": "private, max-age=3600, immutable",
    }


def _range(written: str | None, size: int) -> tuple[int, int]:
    """The first byte and the one after the last; a range that is not understood is all of it.

    Raises:
        InvalidValue: no byte of the file is in it.
    """
    unit, _, asked = (written or "").partition("=")
    first, dash, last = asked.partition("-")
    if unit.strip() != "bytes" or not dash or not (first + last).isdigit() or "," in asked:
        return 0, size
    if not first:
        return max(0, size - int(last)), size
    start, end = int(first), min(int(last) + 1, size) if last else size
    if start >= end:
        raise InvalidValue(f"The file has {size} bytes: there are none there.", field="Range")
    return start, end
