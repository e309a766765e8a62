"""Names for new records: unique everywhere, and in the order in which they were made.

In: the time, from a clock that was passed in.  Out: a UUID of version 7.
"""

import secrets
from datetime import UTC, datetime, timedelta
from uuid import UUID

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def new_id(now: datetime) -> UUID:
    """A new UUID that sorts after those of every earlier microsecond.

    Source: RFC 9562, section 5.7 (the layout) and section 6.2, method 3 (12 bits of rand_a are the
    fraction of the millisecond).
    """
    milliseconds, rest = divmod(now - _EPOCH, _MILLISECOND)
    fraction = rest * 4096 // _MILLISECOND
    version, variant = 0b0111, 0b10
    return UUID(
        int=milliseconds << 80
        | version << 76
        | fraction << 64
        | variant << 62
        | secrets.randbits(62)
    )


def oldest_id(at: datetime) -> UUID:
    """No id that was made at `at` or later sorts before it."""
    return UUID(int=(at - _EPOCH) // _MILLISECOND << 80)
