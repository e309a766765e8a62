"""Requests are sent again where that is safe, and refusals have names."""

import httpx
import pytest

from modelgenerator.client.connection import TRIES, Connection
from modelgenerator.client.errors import (
    InConflict,
    InsufficientFunds,
    ModelGone,
    NotLetIn,
    NotThere,
    RequestRefused,
    ServerFailed,
    ServerUnreachable,
    TooManyRequests,
)
from modelgenerator.errors import UserError


class Server:
    """Answers what it was told to, in turn, and keeps what it was asked."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked: list[httpx.Request] = []
        self.waited: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def connected(self, key: str = "secret") -> Connection:
        transport = httpx.MockTransport(self)
        return Connection("http://here/", key, transport=transport, sleep=self.waited.append)


def problem(status: int, code: str = "x", **more):
    return httpx.Response(status, json={"code": code, "detail": "No.", "hint": "Else.", **more})


OK = httpx.Response(200, json={"a": 1})


def test_the_key_goes_along_in_a_header():
    server = Server(OK)
    assert server.connected().get("/v1/x", limit=3, cursor=None) == {"a": 1}
    (asked,) = server.asked
    assert asked.headers["authorization"] == "Bearer secret"
    assert str(asked.url) == "http://here/v1/x?limit=3"


def test_a_post_that_got_no_answer_is_sent_again_with_the_same_key():
    server = Server(httpx.ReadError("cut"), httpx.ConnectError("refused"), OK)
    assert server.connected().post("/v1/x", {"b": 2}) == {"a": 1}
    keys = {asked.headers["idempotency-key"] for asked in server.asked}
    assert len(server.asked) == 3
    assert len(keys) == 1
    assert server.waited == sorted(server.waited)


def test_two_posts_have_two_keys():
    server = Server(OK, OK)
    connection = server.connected()
    connection.post("/v1/x")
    connection.post("/v1/x")
    assert len({asked.headers["idempotency-key"] for asked in server.asked}) == 2


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_server_that_asks_to_come_again_is_asked_again(status):
    busy = httpx.Response(status, json={"detail": "later"}, headers={"Retry-After": "7"})
    server = Server(busy, OK)
    assert server.connected().get("/v1/x") == {"a": 1}
    assert server.waited == [7.0]


def test_it_gives_up_after_a_few_times():
    server = Server(*[problem(503, "storeBusy")] * TRIES)
    with pytest.raises(ServerFailed) as raised:
        server.connected().get("/v1/x")
    assert (raised.value.status, raised.value.code) == (503, "storeBusy")
    assert not isinstance(raised.value, UserError)


def test_a_server_that_answered_before_is_given_the_time_to_start_again():
    away = [httpx.ConnectError("Connection refused")] * (TRIES + 2)
    server = Server(httpx.Response(200, json={}), *away, httpx.Response(200, json={"a": 1}))
    connection = server.connected()
    connection.get("/v1/x")
    assert connection.get("/v1/x") == {"a": 1}


def test_who_does_not_answer_is_named():
    server = Server(*[httpx.ConnectError("Connection refused")] * TRIES)
    with pytest.raises(ServerUnreachable, match=r"http://here.*modelgenerator serve"):
        server.connected().get("/v1/x")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, RequestRefused),
        (401, NotLetIn),
        (402, InsufficientFunds),
        (403, NotLetIn),
        (404, NotThere),
        (409, InConflict),
        (410, ModelGone),
        (422, RequestRefused),
    ],
)
def test_a_refusal_has_a_name_and_says_what_to_do(status, kind):
    server = Server(problem(status, "theCode", faults=[{"pointer": "/a"}]))
    with pytest.raises(kind, match=r"No\. Else\.") as raised:
        server.connected().get("/v1/x")
    assert raised.value.code == "theCode"
    assert raised.value.problem["faults"] == [{"pointer": "/a"}]
    assert isinstance(raised.value, UserError)
    assert server.waited == []


def test_too_many_requests_are_an_error_of_their_own_in_the_end():
    server = Server(*[problem(429)] * TRIES)
    with pytest.raises(TooManyRequests):
        server.connected().get("/v1/x")


def test_an_answer_that_is_no_json_is_told_as_it_is():
    server = Server(httpx.Response(500, text="<html>"))
    with pytest.raises(ServerFailed, match="answered 500"):
        server.connected().get("/v1/x")


def test_files_are_sent_again_from_their_beginning(tmp_path):
    (tmp_path / "a.png").write_bytes(b"0123456789")
    server = Server(httpx.ReadError("cut"), httpx.Response(201, json={"files": []}))
    server.connected().send_files("/v1/x", [("a.png", tmp_path / "a.png")])
    assert [b"0123456789" in asked.content for asked in server.asked] == [True, True]


def test_a_file_is_saved_whole_or_not_at_all(tmp_path):
    server = Server(problem(404))
    with pytest.raises(NotThere):
        server.connected().save("/v1/x", tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_a_saved_file_tells_its_name_without_a_folder(tmp_path):
    headers = {"Content-Disposition": 'attachment; filename="../../evil.png"'}
    server = Server(httpx.Response(200, content=b"x", headers=headers))
    assert server.connected().save("/v1/x", tmp_path / "a") == "evil.png"
    assert (tmp_path / "a").read_bytes() == b"x"
