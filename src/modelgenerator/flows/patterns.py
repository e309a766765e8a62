"""Regular expressions that strangers wrote, matched in linear time.

Comes in: a pattern.  Goes out: a compiled one, or `InvalidPattern`.  The engine is RE2: it has
neither look-around nor back-references, and nothing can make it take for ever.
"""

from functools import lru_cache
from typing import Any

import re2  # pyright: ignore[reportMissingTypeStubs]

MAX_LENGTH = 1_000
"""Characters of a pattern."""

_OPTIONS: Any = re2.Options()
_OPTIONS.log_errors = False


class InvalidPattern(ValueError):
    """The pattern is not a regular expression that RE2 knows."""


@lru_cache(maxsize=1024)
def compile_pattern(pattern: str) -> Any:
    """`pattern` as RE2 has it; it has `search` and `fullmatch`.

    Raises:
        InvalidPattern: with the reason.
    """
    if len(pattern) > MAX_LENGTH:
        raise InvalidPattern(f"it has {len(pattern):,} characters, {MAX_LENGTH:,} are allowed")
    try:
        return re2.compile(pattern, _OPTIONS)
    except (re2.error, UnicodeEncodeError) as error:
        reason: Any = error.args[0] if error.args else "it cannot be read"
        words = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise InvalidPattern(words) from None


def is_found(pattern: str, text: str, *, whole: bool = False) -> bool:
    """Whether `pattern`, which can be compiled, matches `text`: somewhere, or as a whole."""
    compiled = compile_pattern(pattern)
    plain = text.encode("utf-8", "replace").decode("utf-8")  # half of a surrogate pair is "?"
    return (compiled.fullmatch(plain) if whole else compiled.search(plain)) is not None
