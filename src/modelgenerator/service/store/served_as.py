"""What browsers are told that a stored file is: a picture to be shown, or a file to be kept.

In: its key.  Out: its type, and whether it is shown.  What nobody knows is never taken for a page.
"""

_SHOWN = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp"}
_KEPT = {".zip": "application/zip", ".json": "application/json"}


def content_type_of(key: str) -> str:
    """By its ending."""
    return _SHOWN.get(_ending(key)) or _KEPT.get(_ending(key), "application/octet-stream")


def is_shown(key: str) -> bool:
    """Rather than kept."""
    return _ending(key) in _SHOWN


def disposition_of(key: str) -> str:
    """How it is to be treated, and by which name it is kept."""
    placed = "inline" if is_shown(key) else "attachment"
    return f'{placed}; filename="{key.rpartition("/")[2]}"'


def _ending(key: str) -> str:
    return f".{key.rpartition('.')[2].lower()}"
