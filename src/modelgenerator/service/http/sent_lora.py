"""A trained LoRA as an answer: sent from here, or by the storage that has it.

In: the file.  Out: its bytes with their name, or the way to them.
"""

from fastapi import Response
from fastapi.responses import RedirectResponse, StreamingResponse

from modelgenerator.service.operations.trained_models import LoraFile


def sent_lora(file: LoraFile) -> Response:
    """To be saved."""
    etag = {"ETag": f'"{file.sha256}"'}
    if file.link is not None:
        return RedirectResponse(file.link, 307, {**etag, "Cache-Control": "no-store"})
    headers = {
        "Content-Length": str(file.byte_count),
        "Content-Disposition": f'attachment; filename="{file.filename}"',
        "X-Content-Type-Options": "nosniff",
    }
    return StreamingResponse(file.chunks, 200, headers | etag, "application/octet-stream")
