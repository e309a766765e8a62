"""Names of stored files: plain, made by us, and each under its organization's own prefix.

In: an organization and words.  Out: a key like `organizations/…/pictures/….png`.  What a person
called a file is never a part of it.
"""

import re
from uuid import UUID

from modelgenerator.service.errors import InvalidValue

_SEGMENT = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")
_HASHED = re.compile(r"-([0-9a-f]{64})\.[a-z]+$")
LONGEST = 900


def organization_key(organization_id: UUID, *segments: str) -> str:
    """The key of one file of an organization; without `segments`, the prefix of all of them."""
    return checked_key("/".join(("organizations", organization_id.hex, *segments)))


def hashed_name(name: str, sha256: str, ending: str) -> str:
    """The last part of a key that says which bytes are there."""
    return f"{name}-{sha256}{ending}"


def sha256_in(key: str) -> str | None:
    """What `hashed_name` was told; None for any other key."""
    found = _HASHED.search(key)
    return found and found[1]


def checked_key(key: str) -> str:
    """`key`, if it is one that names a file of ours.

    Raises:
        InvalidValue: it leads elsewhere, or has other letters than a to z, digits, `.`, `_`, `-`.
    """
    if len(key) <= LONGEST and all(_SEGMENT.fullmatch(part) for part in key.split("/")):
        return key
    raise InvalidValue("This is not the name of a stored file.", field="key")
