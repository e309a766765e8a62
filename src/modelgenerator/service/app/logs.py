"""What the server says of itself: one JSON object a line, without secrets.

In: log records of any library.  Out: lines on stderr with time, level, logger, message and, while a
request is answered, its id.
"""

import json
import logging
import re
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TextIO

REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)
_SECRET = re.compile(
    r"\b(mg_|hf_|whsec_|sk-)[A-Za-z0-9_+/=-]{8,}"  # keys of ours, the hub's, webhooks', endpoints'
    r"|(?<=[?&]token=)[^\s&\"']+"
    r"|(?<=://)[^\s/:@]+:[^\s/@]+(?=@)"  # user and password in an address
    r"|(?i:(?<=bearer )[^\s\"']+)"
)


class JsonLines(logging.Formatter):
    """One object a record."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        said: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": without_secrets(record.getMessage()),
        }
        if (request_id := REQUEST_ID.get()) is not None:
            said["requestId"] = request_id
        said |= getattr(record, "facts", {})
        if record.exc_info:
            said["exception"] = without_secrets(self.formatException(record.exc_info))
        return json.dumps(said, ensure_ascii=False, default=str)


def without_secrets(text: str) -> str:
    """`text` with keys, tokens and passwords blacked out."""
    return _SECRET.sub("[secret]", text)


def log_to(stream: TextIO = sys.stderr, *, level: int = logging.INFO) -> None:
    """From now on everything that is logged in this process goes to `stream`."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    logging.basicConfig(handlers=[handler], level=level, force=True)
    # each request is logged once, by the app, with its id and its time
    logging.getLogger("uvicorn.access").setLevel(logging.WARNING)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
