"""What is wrong with a flow, and where.

Comes in: nothing.  Goes out: the `Fault` that every check of a flow yields.  A check never stops
at the first: whoever wrote a flow wants to mend all of it at once.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

SHOWN = 60
"""Characters of a value that a message repeats; strangers write values."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that keeps a flow, or a run of it, from working."""

    pointer: str
    """Where, as a JSON pointer (RFC 6901) into the definition, or into the input of a run."""
    code: str
    """What for machines, such as `unknownParameter`."""
    message: str
    hint: str = ""
    """What to do next, or what was probably meant; empty where the message says it."""

    def __str__(self) -> str:
        where = f"{self.pointer}: " if self.pointer else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{where}{self.message}{hint}"

    def as_json(self) -> dict[str, object]:
        """For programs: all four, under their names."""
        return {
            "pointer": self.pointer,
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
        }


def at(pointer: str, *steps: str | int) -> str:
    """`pointer` with `steps` below it: `/steps/0/parameters`."""
    escaped = (str(step).replace("~", "~0").replace("/", "~1") for step in steps)
    return "".join((pointer, *(f"/{step}" for step in escaped)))


def in_words(faults: Iterable[Fault]) -> str:
    """All `faults` in one message, a line each when there are several."""
    lines = [str(fault) for fault in faults]
    return lines[0] if len(lines) == 1 else "".join(f"\n  {line}" for line in lines)


def shown(value: object) -> str:
    """`value` as JSON, cut where it is long."""
    if isinstance(value, dict | list):
        kind = "an object" if isinstance(value, dict) else "a list"
        return kind if cast(object, value) else f"{kind} with nothing in it"
    text = json.dumps(value[: SHOWN + 1] if isinstance(value, str) else value, ensure_ascii=False)
    return text if len(text) <= SHOWN + 2 else f"{text[:SHOWN]}…"


def meant(name: str | None) -> str:
    """The hint for a name that was probably mistyped."""
    return f"did you mean {name}?" if name else ""
