"""How long a storage is asked, on a clock that only asking and waiting move."""

from dataclasses import dataclass
from datetime import timedelta

import pytest

from modelgenerator.service.errors import StorageRefused, StorageUnreachable
from modelgenerator.service.store import patience
from modelgenerator.service.store.patience import Patience, patiently

HALF_A_MINUTE = Patience(pauses=(1, 2, 4), asking_again=timedelta(seconds=30))


@dataclass
class Storage:
    """Of which each answer takes so many seconds; None is one that is right."""

    answers: list[tuple[float, StorageUnreachable | None]]
    seconds: float = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    def ask(self) -> str:
        seconds, error = self.answers.pop(0)
        self.seconds += seconds
        if error is not None:
            raise error
        return "it"


def asked(
    monkeypatch: pytest.MonkeyPatch, *answers: tuple[float, StorageUnreachable | None]
) -> Storage:
    storage = Storage([*answers])
    monkeypatch.setattr(patience, "time", storage)
    return storage


AWAY = StorageUnreachable()


def test_who_was_long_at_it_before_it_failed_asks_again_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
):
    storage = asked(monkeypatch, (600, AWAY), (1, AWAY), (600, None))
    assert patiently(storage.ask, HALF_A_MINUTE) == "it"


def test_patience_ends_after_the_first_failure_and_with_the_pauses(monkeypatch: pytest.MonkeyPatch):
    storage = asked(monkeypatch, (600, AWAY), (31, AWAY), (1, None))
    with pytest.raises(StorageUnreachable):
        patiently(storage.ask, HALF_A_MINUTE)
    storage = asked(monkeypatch, *[(1, AWAY)] * 4, (1, None))
    with pytest.raises(StorageUnreachable):
        patiently(storage.ask, HALF_A_MINUTE)
    assert len(storage.answers) == 1


def test_what_is_refused_is_not_asked_again(monkeypatch: pytest.MonkeyPatch):
    storage = asked(monkeypatch, (1, StorageRefused()), (1, None))
    with pytest.raises(StorageRefused):
        patiently(storage.ask, HALF_A_MINUTE)
