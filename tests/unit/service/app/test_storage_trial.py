"""A storage is tried until it answers."""

from collections.abc import Sequence

import pytest

from modelgenerator.errors import InvalidSettings, ModelGeneratorError
from modelgenerator.service.app.storage_trial import StorageTrial
from modelgenerator.service.errors import StorageUnreachable

NEVER = InvalidSettings("There is no bucket.")
NOT_YET = StorageUnreachable()


class Storage:
    """Answers its trials like this, one after the other."""

    def __init__(self, *answers: ModelGeneratorError | None) -> None:
        self._answers = list(answers)

    def assure_rules(self) -> None:
        if (answer := self._answers.pop(0)) is not None:
            raise answer


class Trial:
    def __init__(self, *answers: ModelGeneratorError | None) -> None:
        self.trial = StorageTrial(Storage(*answers))
        self.ended = 0

    def begin(self) -> None:
        self.trial.begin()

    def again(self) -> None:
        self.trial.again(self.end)

    def end(self) -> None:
        self.ended += 1


def said(caplog: pytest.LogCaptureFixture) -> Sequence[str]:
    return [record.levelname for record in caplog.records]


def test_one_that_answers_is_asked_once(caplog: pytest.LogCaptureFixture):
    trial = Trial(None)
    trial.begin()
    trial.again()
    assert said(caplog) == []


def test_one_that_never_will_do_ends_the_start():
    with pytest.raises(InvalidSettings, match="no bucket"):
        Trial(NEVER).begin()


def test_one_that_does_not_answer_is_a_warning_and_asked_until_it_does(
    caplog: pytest.LogCaptureFixture,
):
    trial = Trial(NOT_YET, NOT_YET, None)
    trial.begin()
    assert said(caplog) == ["WARNING"]
    with pytest.raises(StorageUnreachable):  # which is told by whoever repeats it
        trial.again()
    for _ in range(3):
        trial.again()
    assert (trial.ended, trial.trial.fault) == (0, None)


def test_one_that_will_not_do_when_it_answers_ends_the_server_once(
    caplog: pytest.LogCaptureFixture,
):
    trial = Trial(NOT_YET, NEVER)
    trial.begin()
    for _ in range(3):
        trial.again()
    assert (trial.ended, trial.trial.fault) == (1, NEVER)
    assert said(caplog) == ["WARNING", "ERROR"]
