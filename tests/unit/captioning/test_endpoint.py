import base64
import io
import json
import threading
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.vision_endpoint import Reply, VisionEndpoint, pictures_in, refuses, says, serve_vision

from modelgenerator.captioning.captioner import PhotoRefused
from modelgenerator.captioning.endpoint import (
    LONGEST_SIDE,
    TRIES,
    Endpoint,
    EndpointCaptioner,
    endpoint_from,
)
from modelgenerator.datasets.images import Photo
from modelgenerator.datasets.subject import Subject, SubjectKind
from modelgenerator.errors import CaptionerUnavailable

KEY = "sk-secret"
CAT = says("a cat on a mat")
SMALL = Photo("cat.png", np.full((40, 60, 3), 128, np.uint8), "0" * 64)


def captioner(server: VisionEndpoint, subject: Subject | None = None, **how: Any):
    endpoint = Endpoint(server.url, "eyes-7b", **{"key": KEY, "pause": 0.01, **how})
    return EndpointCaptioner(endpoint, subject or Subject())


def failure(*replies: Reply, **how: Any) -> tuple[str, int]:
    """What is said of a server that answers so, and how often it was asked."""
    with serve_vision(*replies) as server, pytest.raises(CaptionerUnavailable) as caught:
        captioner(server, **how).describe(SMALL)
    assert KEY not in str(caught.value)
    return str(caught.value), len(server.asked)


def test_a_photo_comes_back_as_words():
    with serve_vision(CAT) as server:
        assert captioner(server).describe(SMALL) == "a cat on a mat"


def test_it_is_asked_as_openai_says_and_always_in_the_same_way():
    with serve_vision(CAT) as server:
        for _ in range(2):
            captioner(server).describe(SMALL)
    first, second = server.asked
    assert first == second
    assert first.path == "/v1/chat/completions"
    assert first.authorization == f"Bearer {KEY}"
    assert first.body["model"] == "eyes-7b"
    assert (first.body["temperature"], first.body["seed"]) == (0, 0)


def test_without_a_key_none_is_sent():
    with serve_vision(CAT) as server:
        captioner(server, key=None).describe(SMALL)
    assert server.asked[0].authorization is None


def test_what_is_sent_is_a_small_copy_without_metadata():
    large = Photo("large.jpg", np.zeros((1500, 3000, 3), np.uint8), "0" * 64)
    with serve_vision(CAT) as server:
        captioner(server).describe(large)
    kind, _, data = pictures_in(server.asked)[0].partition(";base64,")
    sent = Image.open(io.BytesIO(base64.b64decode(data)))
    assert kind == "data:image/jpeg"
    assert sent.size == (LONGEST_SIDE, LONGEST_SIDE // 2)
    assert not sent.getexif()
    assert "icc_profile" not in sent.info


def test_the_class_name_is_part_of_the_question_but_not_that_of_a_style():
    with serve_vision(CAT) as server:
        woman = captioner(server, Subject(SubjectKind.PERSON, "woman"))
        style = captioner(server, Subject(SubjectKind.STYLE, "ukiyo-e"))
    assert "a woman" in woman.prompt
    assert "ukiyo-e" not in style.prompt


def test_the_revision_says_which_model_where_and_no_secret():
    url = "https://me:secret@host:8000/v1/?token=secret"
    made = EndpointCaptioner(Endpoint(url, "eyes-7b", KEY), Subject())
    assert made.revision == "eyes-7b at https://host:8000/v1"
    assert KEY not in repr(Endpoint(url, "eyes-7b", KEY))


@pytest.mark.parametrize(
    "busy",
    [refuses(429), refuses(429, **{"Retry-After": "0"}), refuses(500), Reply(503, b"<html>")],
)
def test_a_busy_server_is_asked_again(busy: Reply):
    with serve_vision(busy, busy, CAT) as server:
        assert captioner(server).describe(SMALL) == "a cat on a mat"
    assert len(server.asked) == 3


def test_a_server_that_stays_broken_is_told_after_a_few_tries():
    said, asked = failure(refuses(500, "out of memory"))
    assert "status 500" in said
    assert '"out of memory"' in said
    assert "--captioner template" in said
    assert asked == TRIES


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_told_at_once(status: int):
    said, asked = failure(refuses(status))
    assert "MODELGENERATOR_CAPTIONER_KEY" in said
    assert "Set it to a valid key" in said
    assert asked == 1
    assert "It is not set" in failure(refuses(status), key=None)[0]


def test_a_missing_model_is_told_at_once():
    said, asked = failure(refuses(404, "model not found"))
    assert "knows no model eyes-7b" in said
    assert "ends in /v1" in said
    assert asked == 1


def test_a_model_that_sees_nothing_is_told_with_the_servers_words():
    said, asked = failure(refuses(400, "images are not supported\x1b[31m"))
    assert "Can eyes-7b see pictures?" in said
    assert "images are not supported [31m" in said
    assert asked == 1


def test_nothing_is_sent_to_where_a_server_points():
    with serve_vision(CAT) as other:
        said, _ = failure(Reply(302, b"", {"Location": f"{other.url}/chat/completions"}))
    assert "sends its callers elsewhere" in said
    assert other.asked == []


@pytest.mark.parametrize(
    "body",
    [
        b"<html>log in</html>",
        b"",
        b"[]",
        b"{}",
        b'{"choices": []}',
        b'{"choices": [null]}',
        b'{"choices": [{"message": "words"}]}',
        b"[" * 100_000,
        b"\xff\xfe",
        b'{"choices": "' + b"x" * 1_100_000 + b'"}',
    ],
)
def test_a_server_of_another_kind_is_told(body: bytes):
    said, asked = failure(Reply(body=body))
    assert "not as an OpenAI-compatible API" in said
    assert asked == 1


def test_a_slow_server_is_not_waited_for():
    said, asked = failure(Reply(silence=1, body=CAT.body), patience=0.2)
    assert "did not answer within 0.2 seconds" in said
    assert asked == 1


def test_a_server_that_sends_drop_by_drop_is_not_waited_for():
    listening = threading.Event()

    def drip(server: Any) -> None:
        listening.set()
        connection, _ = server.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            try:
                while True:
                    connection.sendall(b" ")
                    threading.Event().wait(0.02)
            except OSError:
                return

    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip, args=(server,))
        thread.start()
        listening.wait()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        slow = EndpointCaptioner(Endpoint(url, "eyes-7b", patience=0.3), Subject())
        with pytest.raises(CaptionerUnavailable, match="did not answer within"):
            slow.describe(SMALL)
        thread.join()


def test_nobody_at_the_address_is_told():
    nobody = EndpointCaptioner(Endpoint("http://127.0.0.1:1/v1", "m", pause=0.01), Subject())
    with pytest.raises(CaptionerUnavailable, match="cannot be reached: Connection refused"):
        nobody.describe(SMALL)


@pytest.mark.parametrize(
    "reply",
    [
        says("I'm sorry, but I can't help with identifying people."),
        says("I cannot assist with that request."),
        says(None, refusal="I won't describe this"),
        says("a", finish_reason="content_filter"),
        says(""),
        says(None),
        says("<think>it is a"),
    ],
)
def test_a_refused_photo_is_no_caption(reply: Reply):
    with serve_vision(reply) as server, pytest.raises(PhotoRefused, match="eyes-7b"):
        captioner(server).describe(SMALL)


def test_a_photo_of_an_apology_is_described():
    sign = "Sorry we are closed, says a sign on a door"
    with serve_vision(says(sign)) as server:
        assert captioner(server).describe(SMALL) == sign


def test_an_answer_in_parts_is_joined():
    parts = [{"type": "text", "text": "a cat"}, {"type": "text", "text": "on a mat"}]
    with serve_vision(says(parts)) as server:
        assert captioner(server).describe(SMALL) == "a cat on a mat"


# --- the environment


def test_only_our_own_variables_name_a_server():
    assert endpoint_from({"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": "http://host/v1"}) is None


def test_the_environment_says_where_which_and_for_whom():
    found = endpoint_from(
        {
            "MODELGENERATOR_CAPTIONER_URL": " http://host/v1 ",
            "MODELGENERATOR_CAPTIONER_MODEL": "eyes-7b",
            "MODELGENERATOR_CAPTIONER_KEY": "",
        }
    )
    assert found == Endpoint("http://host/v1", "eyes-7b", None)


@pytest.mark.parametrize("url", ["host/v1", "ftp://host", "file:///etc/passwd", "http://"])
def test_what_is_no_address_is_told(url: str):
    with pytest.raises(CaptionerUnavailable, match="which is no address"):
        endpoint_from({"MODELGENERATOR_CAPTIONER_URL": url})


def test_a_model_must_be_named():
    with pytest.raises(CaptionerUnavailable, match="MODELGENERATOR_CAPTIONER_MODEL is not"):
        endpoint_from({"MODELGENERATOR_CAPTIONER_URL": "http://host/v1"})


def test_the_question_is_json_that_a_strict_server_reads():
    with serve_vision(CAT) as server:
        captioner(server).describe(SMALL)
    json.dumps(server.asked[0].body, allow_nan=False)
