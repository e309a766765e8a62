"""The words that go with a picture.

In come the bytes of a text file and a prefix, out comes one line of text.  Which file belongs to
which picture is not known here.
"""

import codecs
import re


def read_caption(data: bytes) -> str | None:
    """The text on one line, or none when there is nothing but white space.

    UTF-8 first, with or without a byte order mark; UTF-16 by its mark; else Windows' own encoding,
    in which old editors write.
    """
    return _on_one_line(_decoded(data)) or None


def with_prefix(caption: str | None, prefix: str | None) -> str:
    """`prefix`, a space, and `caption`; `caption` alone when it begins with `prefix` already.

    Only whole words count, in any case: `cat` is put before `cats`, not before `Cat on a mat`.
    """
    caption, prefix = _on_one_line(caption or ""), _on_one_line(prefix or "")
    if not prefix or re.match(re.escape(prefix) + r"(?!\w)", caption, re.IGNORECASE):
        return caption
    return f"{prefix} {caption}".rstrip()


def without_prefix(caption: str, prefix: str | None) -> str:
    """`caption` as it would be without `prefix` in front; what `with_prefix` did, undone."""
    caption, prefix = _on_one_line(caption), _on_one_line(prefix or "")
    found = re.match(re.escape(prefix) + r"(?!\w)", caption, re.IGNORECASE) if prefix else None
    return caption[found.end() :].lstrip() if found else caption


def _decoded(data: bytes) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def _on_one_line(text: str) -> str:
    return " ".join(text.replace("\0", " ").split())
