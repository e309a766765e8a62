"""How much a flow may hold and make, and which values are JSON at all.

Comes in: a value that a program read from a stranger's JSON.  Goes out: a `Fault` for each limit it
passes.  The walk is a loop: a value that is nested too deeply for functions is still answered.
"""

import math
import re
from collections.abc import Iterator
from typing import cast

from modelgenerator.flows.faults import Fault, at

MAX_DEPTH = 64
"""Objects and lists inside one another."""
MAX_MAPPED = 10_000
"""Items that all @Maps of one step may have together."""
MAX_TEXT = 1_000_000
"""Bytes of one text in UTF-8."""
MAX_RESULT = 10_000_000
"""Bytes of everything that one step resolves to, as JSON."""
MAX_DEFINITION = 1_000_000
"""Bytes of a flow's definition."""
_HALF = re.compile("[\ud800-\udfff]")
_UNKEPT = "a letter that is none: NUL, or half of a pair of surrogates"


def passed_limits(value: object, *, most: int) -> Iterator[Fault]:
    """What keeps `value` from being taken: depth, long texts, NaN; its size beyond `most` bytes.

    After the first thing that makes going on dangerous, nothing more is looked for.
    """
    size, waiting = 0, [(value, "", 1)]
    while waiting:
        each, pointer, depth = waiting.pop()
        size += _weight(each)
        if size > most:
            yield Fault("", "tooLarge", f"this has more than {most:,} bytes")
            return
        if isinstance(each, dict | list) and depth > MAX_DEPTH:
            yield Fault(pointer, "tooDeep", f"nested more than {MAX_DEPTH} deep")
            return
        yield from _scalar_faults(each, pointer)
        if isinstance(each, dict):
            members = cast(dict[str, object], each).items()
            size += sum(_weight(name) for name in cast(dict[str, object], each))
            if not all(map(_can_be_kept, cast(dict[str, object], each))):
                yield Fault(pointer, "invalidText", f"a name in it has {_UNKEPT}")
            waiting += [(inner, at(pointer, name), depth + 1) for name, inner in members]
        if isinstance(each, list):
            items = enumerate(cast(list[object], each))
            waiting += [(inner, f"{pointer}/{index}", depth + 1) for index, inner in items]


def _scalar_faults(value: object, pointer: str) -> Iterator[Fault]:
    if isinstance(value, float) and not math.isfinite(value):
        yield Fault(pointer, "notFinite", f"must be a finite number, not {value}")
    if isinstance(value, str) and _weight(value) > MAX_TEXT:
        yield Fault(pointer, "tooLong", f"a text has at most {MAX_TEXT:,} bytes")
    if isinstance(value, str) and not _can_be_kept(value):
        yield Fault(pointer, "invalidText", f"the text has {_UNKEPT}")


def _can_be_kept(text: str) -> bool:
    """Whether it is Unicode, and every database can keep it."""
    return "\0" not in text and not _HALF.search(text)


def _weight(value: object) -> int:
    """Bytes of a scalar, roughly; one for the bracket of anything else."""
    return len(value.encode("utf-8", "surrogatepass")) + 2 if isinstance(value, str) else 1
