"""What time it is: a function that is passed in, so that tests own it."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""The time now, aware and in UTC."""


def system_clock() -> datetime:
    """The time of this machine."""
    return datetime.now(UTC)
