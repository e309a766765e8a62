"""Values of one setting as people type them."""

import pytest

from modelgenerator.service.dashboard.settings_form import controls
from modelgenerator.service.dashboard.sweeps import values_in
from modelgenerator.service.dashboard.training_form import about
from modelgenerator.service.dashboard.training_templates import Change, changes_between


@pytest.mark.parametrize(
    ("setting", "written", "values"),
    [
        ("learningRate", "1e-4, 0.001,\n1", [0.0001, 0.001, 1]),
        ("epochs", "10\n20\n\n", [10, 20]),
        ("optimizer", "AdamW, Prodigy", ["AdamW", "Prodigy"]),
        ("maskedLoss", "Yes, false", [True, False]),
        ("captionPrefix", "lvff, a fox\nsks", ["lvff, a fox", "sks"]),
        (
            "networkTargets",
            "attention\nattention, convolutions",
            [["attention"], ["attention", "convolutions"]],
        ),
        ("epochs", " ", []),
        ("epochs", "ten, 3", ["ten", 3]),
    ],
)
def test_values_are_read_by_the_kind_of_their_setting(
    setting: str, written: str, values: list[object]
) -> None:
    assert values_in(written, controls()[setting]) == values


@pytest.mark.parametrize(
    ("microdollars", "words"),
    [(0, "$0.00"), (3, "less than $0.01"), (123_456, "about $0.12"), (9_996_000, "about $10.00")],
)
def test_what_a_button_promises_is_in_whole_cents(microdollars: int, words: str) -> None:
    assert about(microdollars) == words


def test_changes_are_said_by_setting() -> None:
    before, after = {"epochs": 3, "maskedLoss": True}, {"epochs": 5, "repeats": 2}
    assert changes_between(before, after) == (
        Change("epochs", "3", "5"),
        Change("repeats", "", "2"),
        Change("maskedLoss", "yes", ""),
    )
