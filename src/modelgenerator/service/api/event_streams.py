"""What a job tells, as it tells it: server-sent events that a reader can take up again.

In: how to read what comes after a number.  Out: events whose ids are those numbers; the last one
ends the stream.  A reader that was cut off names the last id that it saw and misses nothing.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Header
from fastapi.sse import ServerSentEvent
from starlette.concurrency import run_in_threadpool

from modelgenerator.service.errors import InvalidValue
from modelgenerator.service.operations.callers import Caller
from modelgenerator.service.operations.readable_events import readable
from modelgenerator.service.operations.service import Service
from modelgenerator.service.records.jobs import JobEvent
from modelgenerator.service.records.trainings import JsonObject
from modelgenerator.service.store.files import Files

_GLANCE_SECONDS = 0.2
"""Between two looks at this process's news, which cost nothing."""
_LOOK_SECONDS = 2.0
"""Between two looks into the database when there is no news: another process may have written."""


@dataclass(frozen=True, slots=True)
class Told:
    """One event of a stream."""

    number: int | None
    """None: how far it is, which is out of date with the next; who comes later is not told."""
    name: str
    data: object
    is_final: bool


Read = Callable[[int], Sequence[Told] | None]
"""What comes after event number N; in a thread.  None: N was the last, and nothing ever comes."""


def _last_event_id(
    last_event_id: Annotated[
        str | None, Header(description="Go on after this event; absent: from the beginning.")
    ] = None,
) -> int:
    if last_event_id is None or last_event_id == "":
        return 0
    if last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) < 16:
        return int(last_event_id)
    raise InvalidValue("Last-Event-ID is a number that an event had.", field="Last-Event-ID")


LastEventId = Annotated[int, Depends(_last_event_id)]


def events_of_job(service: Service, caller: Caller, job_id: UUID) -> Read:
    """How to read what a job of the caller's organization tells."""
    progress = Progress()

    def read(after: int) -> Sequence[Told] | None:
        with service.database.reading() as transaction:
            jobs = transaction.of(caller.organization_id).jobs
            events = jobs.events_after(job_id, after)
            job = jobs.get(job_id)
        told = [_told(event, service.files) for event in events]
        if job.status.is_final:
            return told or None
        return [*told, *progress.news(job.progress, {})]

    return read


class Progress:
    """How far a job is, told to one reader when it has changed."""

    def __init__(self) -> None:
        self._last: object = None

    def news(self, progress: JsonObject | None, beside: JsonObject) -> list[Told]:
        """An event, if this is not what was told last."""
        if progress is None or progress == self._last:
            return []
        self._last = progress
        return [Told(None, "progress", {**progress, **beside}, is_final=False)]


async def stream(
    service: Service, watched: UUID, read: Read, after: int
) -> AsyncIterator[ServerSentEvent]:
    """Everything after event number `after`, until the last one or until this server ends."""
    while True:
        count = service.news.count(watched)
        told = await run_in_threadpool(read, after)
        if told is None:
            return
        for one in told:
            after = after if one.number is None else one.number
            id = None if one.number is None else str(one.number)
            yield ServerSentEvent(id=id, event=one.name, data=one.data)
            if one.is_final:
                return
        if not told and not await _news(service, watched, count):
            return


async def _news(service: Service, watched: UUID, count: int) -> bool:
    """Wait for something to read; whether to go on."""
    give_up = time.monotonic() + _LOOK_SECONDS
    while time.monotonic() < give_up and service.news.count(watched) == count:
        if service.news.is_closing:
            return False
        await asyncio.sleep(_GLANCE_SECONDS)
    return True


def _told(event: JobEvent, files: Files) -> Told:
    data = {
        **readable(event, files),
        "attempt": event.attempt,
        "at": event.created_at.isoformat(),
    }
    return Told(event.sequence, event.name, data, event.is_final)
