"""What a server tells of something that goes on, as it goes on.

In: the address of a stream.  Out: events, none of them twice and none left out, also when the
connection breaks in between: it is taken up again after the last event that came.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from modelgenerator.client.connection import AskAgain, Connection
from modelgenerator.client.errors import ServerUnreachable

FINISHED = "finished"
MOST_FAILURES = 8
"""In a row, without a single event in between."""


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event."""

    id: str | None
    """None: how far it is, which is out of date with the next."""
    name: str
    data: dict[str, Any]


def watch(connection: Connection, path: str) -> Iterator[ServerEvent]:
    """Everything that is told at `path`, until the end of what it tells of.

    Raises:
        ServerUnreachable: the connection broke and could not be taken up again.
    """
    last: str | None = None
    failures = 0
    while True:
        is_over = False
        try:
            with connection.lines(path, last) as lines:
                for event in parse(lines):
                    failures = 0
                    last = event.id or last
                    is_over = event.name == FINISHED
                    yield event
        except (httpx.TransportError, AskAgain):
            is_over = False
        if is_over:
            return
        if failures >= MOST_FAILURES:
            raise ServerUnreachable(f"{connection.base_url} does not answer any more.")
        connection.pause(failures)
        failures += 1


def parse(lines: Iterator[str]) -> Iterator[ServerEvent]:
    """The events in the lines of a stream.

    Source: https://html.spec.whatwg.org/multipage/server-sent-events.html.
    """
    id: str | None = None
    name, data = "message", list[str]()
    for line in lines:
        if line == "":
            if data:
                yield ServerEvent(id, name, json.loads("\n".join(data)))
            id, name, data = None, "message", []
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "id":
            id = value
        elif field == "event":
            name = value
        elif field == "data":
            data.append(value)
