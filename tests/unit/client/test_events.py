"""A stream of events is read to its end, and taken up again where it broke off."""

import httpx
import pytest

from modelgenerator.client.connection import Connection
from modelgenerator.client.errors import NotThere, ServerUnreachable
from modelgenerator.client.events import MOST_FAILURES, parse, watch


def text(*events: tuple[int | None, str]) -> str:
    lines = []
    for id, name in events:
        lines += [f"id: {id}"] if id else []
        lines += [f"event: {name}", f'data: {{"n": {id or 0}}}', ""]
    return "\n".join(lines) + "\n"


class Cut(httpx.SyncByteStream):
    """Some bytes, and then the connection breaks."""

    def __init__(self, content: str) -> None:
        self._content = content

    def __iter__(self):
        yield self._content.encode()
        raise httpx.ReadError("cut")


def watched(*answers):
    """What is read, and after which event each request asked to go on."""
    asked, left = [], list(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers.get("last-event-id"))
        now = left.pop(0) if left else httpx.ConnectError("gone")
        if isinstance(now, Exception):
            raise now
        return now

    transport = httpx.MockTransport(answer)
    connection = Connection("http://here", "", transport=transport, sleep=lambda _: None)
    return watch(connection, "/v1/x/events"), asked


def test_events_have_ids_names_and_data():
    found = list(parse(iter(["id: 1", "event: a", 'data: {"x":', "data: 2}", "", ": ping", ""])))
    assert [(it.id, it.name, it.data) for it in found] == [("1", "a", {"x": 2})]


def test_a_stream_ends_with_its_last_event():
    events, asked = watched(httpx.Response(200, text=text((1, "queued"), (2, "finished"))))
    assert [it.name for it in events] == ["queued", "finished"]
    assert asked == [None]


def test_a_stream_that_breaks_goes_on_after_what_was_seen_last():
    events, asked = watched(
        httpx.Response(200, stream=Cut(text((1, "queued"), (None, "progress")))),
        httpx.ConnectError("restarting"),
        httpx.Response(503, json={}),
        httpx.Response(200, text=text((2, "phase"))),  # the server ended in peace
        httpx.Response(200, text=text((3, "finished"))),
    )
    assert [it.name for it in events] == ["queued", "progress", "phase", "finished"]
    assert asked == [None, "1", "1", "1", "2"]


def test_a_run_that_was_resumed_is_read_beyond_its_first_end():
    stream = text((1, "finished"), (2, "resumed"), (3, "finished"))
    events, _ = watched(httpx.Response(200, text=stream))
    assert [it.id for it in events] == ["1", "2", "3"]


def test_a_server_that_does_not_come_back_is_given_up():
    events, asked = watched(httpx.Response(200, text=text((1, "queued"))))
    assert next(events).name == "queued"
    with pytest.raises(ServerUnreachable):
        list(events)
    assert len(asked) == MOST_FAILURES + 1


def test_what_is_not_there_is_not_asked_again():
    events, asked = watched(httpx.Response(404, json={"code": "notFound"}))
    with pytest.raises(NotThere):
        list(events)
    assert asked == [None]
