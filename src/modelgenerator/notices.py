"""What a person should know about a decision that was made for them.

A notice is data: who shows it, and where, is not known here.  An error stops the work, a notice
never does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Notice:
    """One sentence, and the setting that it is about."""

    level: Literal["info", "warning"]
    setting: str | None
    """The setting's JSON name, such as `captionPrefix`; none when no setting is concerned."""
    message: str


def listed(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`; beyond five, the first five and a count."""
    if len(names) > 5:
        return f"{', '.join(names[:5])} and {len(names) - 5} more"
    *start, last = names
    return f"{', '.join(start)} and {last}" if start else last
