"""What a base model's licence means for a LoRA that is trained on it, as far as its name tells.

In: a licence as the hub names it.  Out: at most one notice.  It is no legal advice, and says where
to read.
"""

import re
from collections.abc import Iterator

from modelgenerator.notices import Notice

_LIMITS = {
    re.compile(r"non-?commercial|research|(?:^|-)nc(?:-|$)"): "does not allow commercial use",
    re.compile(r"community"): "allows commercial use only on conditions",
}


def licence_notices(licence: str | None) -> Iterator[Notice]:
    """One if the licence limits commercial use, which then holds for the LoRA too."""
    if licence is None:
        return
    for pattern, meaning in _LIMITS.items():
        if pattern.search(licence.lower()):
            message = (
                f"By its name, the base model's licence {licence} {meaning}, and so for what is "
                "made with it. Read it on the base model's page."
            )
            yield Notice("info", "baseModel", message)
            return
