import errno

import pytest

from modelgenerator.cli import failures
from modelgenerator.errors import InvalidSettings, TrainingDiverged, TrainingProcessFailed


def shown(error: Exception, capsys, *, debug: bool = False) -> tuple[int, str]:
    exit_code = failures.show(error, debug=debug)
    captured = capsys.readouterr()
    assert captured.out == ""
    return exit_code, captured.err


def test_an_error_of_the_person_is_one_message_and_2(capsys):
    assert shown(InvalidSettings("epochs is 0"), capsys) == (2, "error: epochs is 0\n")


def test_a_training_that_diverged_is_1(capsys):
    exit_code, text = shown(TrainingDiverged(step=3, pictures=["a.jpg"]), capsys)
    assert exit_code == 1
    assert "step 3, on a.jpg" in text


def test_a_training_whose_process_was_killed_says_how_to_go_on(capsys):
    exit_code, text = shown(TrainingProcessFailed("Process 2 of 2 ended."), capsys)
    assert exit_code == 1
    assert text.startswith("error: Process 2 of 2 ended. Go on from the last checkpoint with --res")


def test_an_unexpected_error_is_our_fault_and_says_how_to_report_it(capsys):
    exit_code, text = shown(ZeroDivisionError("division by zero"), capsys)
    assert exit_code == 1
    assert "ZeroDivisionError: division by zero" in text
    assert "our fault" in text
    assert "--debug" in text
    assert "Traceback" not in text


def test_debug_shows_the_traceback_first(capsys):
    assert "Traceback" in shown(_raised(), capsys, debug=True)[1]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_named_and_2(code, capsys):
    exit_code, text = shown(OSError(code, "full", "runs/lora.safetensors"), capsys)
    assert exit_code == 2
    assert "disk is full while writing runs/lora.safetensors" in text


def test_a_full_disk_is_seen_behind_a_library_s_own_error(capsys):
    error = RuntimeError(
        "Error while serializing: I/O error: No space left on device (os error 28)"
    )
    exit_code, text = shown(error, capsys)
    assert exit_code == 2
    assert "disk is full" in text


def test_a_missing_permission_names_the_place(capsys):
    exit_code, text = shown(PermissionError(errno.EACCES, "no", "/root/x"), capsys)
    assert exit_code == 2
    assert "/root/x" in text


def _raised() -> Exception:
    try:
        raise KeyError("x")
    except KeyError as error:
        return error
