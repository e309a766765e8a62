from datetime import UTC, datetime, timedelta

import pytest

from modelgenerator.service.errors import RateLimited
from modelgenerator.service.operations import attempts as module
from modelgenerator.service.operations.attempts import Attempts

NOW = datetime(2026, 11, 25, tzinfo=UTC)


def after(seconds):
    return NOW + timedelta(seconds=seconds)


def test_so_many_are_counted_and_then_there_is_a_wait():
    attempts = Attempts(2, timedelta(seconds=60))
    attempts.count("a", NOW)
    attempts.count("a", after(10))
    with pytest.raises(RateLimited) as refused:
        attempts.count("a", after(20))
    assert refused.value.retry_after == timedelta(seconds=40)
    attempts.count("b", after(20))
    attempts.count("a", after(60))


def test_a_clock_that_is_set_back_makes_nobody_wait_longer():
    attempts = Attempts(1, timedelta(seconds=60))
    attempts.count("a", NOW)
    attempts.count("a", after(-3_600))


def test_what_was_no_guessing_is_forgotten():
    attempts = Attempts(1, timedelta(seconds=60))
    attempts.count("a", NOW)
    attempts.forget("a")
    attempts.forget("nobody")
    attempts.count("a", NOW)


def test_its_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(module, "MOST_KEPT", 3)
    attempts = Attempts(1, timedelta(seconds=60))
    for who in "abcd":
        attempts.count(who, NOW)
    attempts.count("a", NOW)
    with pytest.raises(RateLimited):
        attempts.count("d", NOW)
