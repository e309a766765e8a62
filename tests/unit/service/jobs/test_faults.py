import pytest

from modelgenerator import errors
from modelgenerator.errors import (
    HubUnreachable,
    InvalidSettings,
    OutputNotWritable,
    TrainingDiverged,
    TrainingProcessFailed,
    UnusablePhoto,
    UserError,
)
from modelgenerator.service.errors import NotFound, StorageFull, StorageUnreachable
from modelgenerator.service.jobs import faults
from modelgenerator.service.records.jobs import Fault


def test_what_a_person_can_mend_is_theirs_in_the_errors_own_words():
    told = faults.failed(InvalidSettings("learningRate: too large."), used_ms=7)
    assert (told.error.code, told.error.fault) == ("invalidSettings", Fault.THEIRS)
    assert told.error.message == "learningRate: too large."
    assert (told.used_ms, told.may_pass, told.trace) == (7, False, None)


OURS = {"HubUnreachable", "CaptionerUnavailable", "NotEnoughMemory", "OutputNotWritable"}
OURS |= {"CannotResume"}


OF_THE_LIBRARY = [
    kind
    for kind in UserError.__subclasses__()
    if not kind.__module__.startswith("modelgenerator.client")
]
"""The client's are for those who ask a server; a job's body never meets them."""


@pytest.mark.parametrize("kind", OF_THE_LIBRARY, ids=lambda kind: kind.__name__)
def test_whose_fault_each_error_is_was_decided(kind):
    assert kind.__module__ == errors.__name__
    error = kind.__new__(kind)
    Exception.__init__(error, "so it is")
    ours = kind.__name__ in OURS
    assert faults.failed(error).error.fault is (Fault.OURS if ours else Fault.THEIRS)


def test_a_loss_that_is_no_number_is_theirs():
    told = faults.failed(TrainingDiverged(step=3, pictures=["a.png"]))
    assert told.error.fault is Fault.THEIRS
    assert "step 3" in told.error.message


@pytest.mark.parametrize(
    ("error", "may_pass"),
    [
        (HubUnreachable("no"), True),
        (StorageUnreachable(), True),
        (TrainingProcessFailed("Process 2 of 2 was ended by SIGKILL."), True),
        (StorageFull(), False),
        (NotFound("file", "k"), False),
        (UnusablePhoto("a.png", "it is gone"), False),
    ],
)
def test_what_passes_by_itself_is_tried_again(error, may_pass):
    assert faults.failed(error).may_pass is may_pass


def test_a_mistake_of_ours_is_told_without_its_trace_and_logged_with_it():
    try:
        raise ZeroDivisionError("division by zero")
    except ZeroDivisionError as error:
        told = faults.failed(error)
    assert (told.error.code, told.error.fault) == ("internalError", Fault.OURS)
    assert "Traceback" not in told.error.message
    assert "Traceback" in told.trace


def test_words_that_speak_to_somebody_at_the_machine_are_not_passed_on():
    told = faults.failed(OutputNotWritable("choose another folder with --output"))
    assert "--output" not in told.error.message


def test_no_secret_is_repeated(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_abcdefghij")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
    words = "403 for hf_abcdefghij with wJalrXUtnFEMI"
    for told in (
        faults.failed(HubUnreachable(words)).error.message,
        faults.failed(RuntimeError(words)).error.message,
        faults.failed(RuntimeError(words)).trace,
        faults.crashed("ended", [words]).message,
    ):
        assert "hf_abc" not in told
        assert "wJalr" not in told


@pytest.mark.parametrize(
    "error", [faults.out_of_memory("drawing"), faults.stalled(130, "training")]
)
def test_what_is_ours_says_that_nothing_was_charged(error):
    assert error.fault is Fault.OURS
    assert "Nothing was charged" in error.hint
