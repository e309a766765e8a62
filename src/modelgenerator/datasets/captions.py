"""The words that go with a picture.

In come the bytes of a text file and a prefix, out comes one line of text.  It is text and nothing
else: `{}`, `$` or `@Map` in it mean themselves.  Which file belongs to which picture is not known
here.
"""

import codecs
import re
import unicodedata

LONGEST_CAPTION = 10_000
"""Characters: a text encoder reads a few hundred words at most."""
CAPTION_BYTES = 4 * LONGEST_CAPTION + 8
"""No more of a file needs to be read: a mark, the longest caption and one character that shows that
more follows are in it, whatever the encoding."""


def read_caption(data: bytes, remarks: list[str] | None = None) -> str | None:
    """The text on one line, or none when there is nothing but white space.

    UTF-8 first, with or without a byte order mark; UTF-16 and UTF-32 by their marks or their
    zeros; else Windows' own encoding, in which old editors write.  What comes after
    `LONGEST_CAPTION` characters is cut, and the cut is added to `remarks`.
    """
    text = _decoded(data[:CAPTION_BYTES])
    if len(text) > LONGEST_CAPTION:
        text = text[:LONGEST_CAPTION]
        if remarks is not None:
            remarks.append(f"its caption is cut after {LONGEST_CAPTION:,} characters")
    return _on_one_line(text) or None


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
    """What the bytes say; a character that is cut off at their end is left away."""
    for mark, encoding in _MARKS.items():
        if data.startswith(mark):
            return codecs.getincrementaldecoder(encoding)("replace").decode(data)
    encoding = _utf_16_by_zeros(data) or "utf-8"
    try:
        return codecs.getincrementaldecoder(encoding)().decode(data)
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # begins like the one of UTF-16
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def _utf_16_by_zeros(data: bytes) -> str | None:
    """Latin letters in UTF-16 have a zero each, on one side; no other text has zeros at all."""
    half = len(data) // 2
    if 2 * data[1::2].count(0) > half:
        return "utf-16-le"
    return "utf-16-be" if 2 * data[::2].count(0) > half else None


def _on_one_line(text: str) -> str:
    return " ".join(_UNSEEN.sub(_space_or_nothing, text).split())


_UNSEEN = re.compile(r"[^\x20-\x7e\u00a0-\u00ac\u00ae-\u02ff]")


def _space_or_nothing(match: re.Match[str]) -> str:
    """Control characters part words; marks of direction and the like are no part of them."""
    character = match[0]
    kind = unicodedata.category(character)
    if kind == "Cc":
        return " "
    return "" if kind == "Cf" and character not in "\u200c\u200d" else character
