"""Names of stored files: plain, made by us, and each under its organization's own prefix.

In: an organization and words.  Out: a key like `organizations/…/pictures/….png`.  What a person
called a file is never a part of it.
"""

import re
from uuid import UUID

from modelgenerator.service.errors import InvalidValue

_SEGMENT = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")
LONGEST = 900


def organization_key(organization_id: UUID, *segments: str) -> str:
    """The key of one file of an organization; without `segments`, the prefix of all of them."""
    return checked_key("/".join(("organizations", organization_id.hex, *segments)))


def checked_key(key: str) -> str:
    """`key`, if it is one that names a file of ours.

    Raises:
        InvalidValue: it leads elsewhere, or has other letters than a to z, digits, `.`, `_`, `-`.
    """
    if len(key) <= LONGEST and all(_SEGMENT.fullmatch(part) for part in key.split("/")):
        return key
    raise InvalidValue("This is not the name of a stored file.", field="key")
