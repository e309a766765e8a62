"""Work that tells events and then returns something, with somebody watching."""

from collections.abc import Callable, Generator
from typing import TypeVar

Event = TypeVar("Event")
Result = TypeVar("Result")


def watched(steps: Generator[Event, None, Result], see: Callable[[Event], None]) -> Result:
    """What `steps` return at their end; every event is seen on the way."""
    while True:
        try:
            see(next(steps))
        except StopIteration as end:
            return end.value
