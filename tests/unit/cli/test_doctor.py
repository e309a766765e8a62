import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from huggingface_hub import constants

from modelgenerator.cli import doctor

GIB = 2**30


def test_enough_memory_needs_no_advice():
    assert doctor.memory_finding(8 * GIB).advice is None


def test_too_little_memory_gets_advice():
    assert doctor.memory_finding(1 * GIB).advice


def test_a_nearly_full_disk_gets_advice():
    assert doctor.disk_finding(100).advice


def test_a_hub_that_does_not_answer_is_said_with_what_still_works(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    finding = doctor.hub_finding()
    assert "does not answer" in finding.found
    assert "built-in" in str(finding.advice)


def test_a_hub_that_is_switched_off_is_not_asked(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE" in doctor.hub_finding().found


def test_a_hub_that_answers_with_an_error_still_answers(hub, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", hub)
    assert doctor.hub_finding().found == f"{hub} answers 404"


@pytest.fixture
def hub():
    class Refusing(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_error(404)

        def log_message(self, format: str, *args: object) -> None:
            """Stay quiet."""

    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
