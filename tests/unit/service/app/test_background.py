"""What is done from time to time goes on whatever happens to it."""

import logging
import threading

import pytest

from modelgenerator.service.app.background import Repeated
from modelgenerator.service.errors import StoreBusy


@pytest.mark.parametrize(
    ("error", "level"), [(StoreBusy(), logging.WARNING), (ValueError("a mistake"), logging.ERROR)]
)
def test_what_fails_is_told_and_tried_again(error, level, caplog):
    again, calls = threading.Event(), []

    def work():
        calls.append(1)
        if len(calls) == 1:
            raise error
        again.set()

    with Repeated("sums", work, seconds=0.001):
        assert again.wait(30)
    (told,) = caplog.records
    assert (told.levelno, told.exc_info is None) == (level, level == logging.WARNING)
    assert "sums" in told.message
