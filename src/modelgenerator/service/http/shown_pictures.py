"""A picture of a dataset, drawn as it was asked for, unless the browser has it.

In: which picture, what is to be shown of it, and what the browser has.  Out: webp, or that nothing
changed.
"""

from uuid import UUID

from fastapi import Response

from modelgenerator.service.operations import previews
from modelgenerator.service.operations.callers import Caller
from modelgenerator.service.operations.previews import Shown
from modelgenerator.service.operations.service import Service


def shown_picture(
    service: Service,
    caller: Caller,
    dataset_id: UUID,
    picture_id: UUID,
    shown: Shown,
    if_none_match: str | None,
) -> Response:
    """Raises NotFound: there is no such picture."""
    preview = previews.find_preview(service, caller, dataset_id, picture_id, shown)
    etag = f'"{preview.etag}"'
    headers = {
        "ETag": etag,
        # asked for again each time, and answered without drawing while nothing changed
        "Cache-Control": "private, no-cache",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    if if_none_match is not None and etag in if_none_match:
        return Response(status_code=304, headers=headers)
    return Response(previews.draw(service, preview), media_type="image/webp", headers=headers)
