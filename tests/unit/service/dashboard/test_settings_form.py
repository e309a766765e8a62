"""Every setting has a control, and what is written into it is what comes out."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelgenerator.errors import InvalidSettings
from modelgenerator.service.dashboard.settings_form import (
    COMMON,
    SettingControl,
    SettingKind,
    controls,
    in_words,
    read_form,
    read_json,
    settings_form,
)
from modelgenerator.setting_faults import faults_in
from modelgenerator.settings import TrainingSettings

_LINE = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=20)


def _values(control: SettingControl) -> st.SearchStrategy[Any]:
    low, high = control.minimum, control.maximum
    match control.kind:
        case SettingKind.SWITCH:
            return st.booleans()
        case SettingKind.CHOICE:
            return st.sampled_from(control.choices)
        case SettingKind.CHOICES:
            return st.sets(st.sampled_from(control.choices), min_size=1).map(sorted)
        case SettingKind.WHOLE:
            return st.integers(int(low or 0), int(high or 2**31))
        case SettingKind.NUMBER:
            top = 1e12 if high is None else high
            numbers = st.floats(low or 0, top, exclude_min=True, exclude_max=True)
            return numbers | st.integers(1, 9) if top > 9 else numbers
        case SettingKind.TEXT:
            return _LINE
        case SettingKind.LINES:
            return st.lists(_LINE, min_size=1, max_size=4)


@given(
    st.fixed_dictionaries(
        {"baseModel": _LINE},
        optional={name: _values(it) for name, it in controls().items() if name != "baseModel"},
    )
)
def test_what_is_written_into_the_form_comes_out_of_it(settings: dict[str, Any]) -> None:
    assert faults_in(settings, TrainingSettings) == []
    texts = {name: controls()[name].written(value) for name, value in settings.items()}
    assert read_form(texts) == settings
    assert read_json(json.dumps(settings)) == settings


def test_every_setting_has_one_place_in_the_form() -> None:
    form = settings_form({}, {}, {})
    grouped = [field.control.name for group in form.groups for field in group.fields]
    placed = [form.base_model.control.name, *(it.control.name for it in form.common), *grouped]
    known = [TrainingSettings.written_name(name) for name in TrainingSettings.model_fields]
    assert sorted(placed) == sorted(known)
    assert [it.control.name for it in form.common] == list(COMMON)


def test_a_form_that_is_left_empty_sets_nothing() -> None:
    empty = {name: [""] for name in controls()}
    assert read_form(empty) == {}
    assert read_form({}) == {}


def test_a_switch_says_no_and_nothing_by_different_words() -> None:
    assert read_form({"maskedLoss": ["false"]}) == {"maskedLoss": False}
    assert read_form({"maskedLoss": [""]}) == {}


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("epochs", "many", 'epochs must be a whole number from 1 to 10000, not "many"'),
        ("epochs", "1.5", "epochs must be a whole number from 1 to 10000, not 1.5"),
        ("epochs", "9" * 5000, "epochs must be a whole number from 1 to 10000"),
        ("learningRate", "1e999", "learningRate must be a number above 0"),
        ("learningRate", "nan", 'learningRate must be a number above 0, not "nan"'),
        ("maskedLoss", "perhaps", "maskedLoss must be true or false"),
        ("optimizer", "adam", "optimizer must be one of"),
    ],
)
def test_what_cannot_be_meant_is_told_in_the_words_of_the_settings(
    name: str, text: str, fault: str
) -> None:
    (found,) = faults_in({"baseModel": "x", **read_form({name: [text]})}, TrainingSettings)
    assert found.name == name
    assert str(found).startswith(fault)


@pytest.mark.parametrize(
    ("text", "number"),
    [("1e-4", 0.0001), (" 40 ", 40), (".5", 0.5), ("9223372036854775807", 2**63 - 1)],
)
def test_numbers_are_read_as_people_write_them(text: str, number: float) -> None:
    name = "learningRate" if number < 1 else "seed"
    assert read_form({name: [text]}) == {name: number}


def test_json_of_a_flow_step_is_taken_for_its_settings() -> None:
    step = (
        "{type: 'ModelGenerator', parameters: {datasetId: 'x', settings: {epochs: 80, d0: null}}}"
    )
    assert read_json(step) == {"epochs": 80}
    assert read_json("  ") == {}


@pytest.mark.parametrize(
    ("text", "says"), [('{"epochs": }', "line 1, column"), ("[1]", "Write an object")]
)
def test_json_that_is_no_settings_says_where(text: str, says: str) -> None:
    with pytest.raises(InvalidSettings, match=says):
        read_json(text)


def test_a_preset_shows_through_where_nothing_is_written() -> None:
    form = settings_form({"epochs": 3}, {"repeats": 2, "maskedLoss": True}, {"epochs": "too few"})
    fields = {field.control.name: field for field in form.common}
    assert (fields["epochs"].text, fields["epochs"].fault) == ("3", "too few")
    assert (fields["repeats"].text, fields["repeats"].otherwise) == ("", "2")
    assert fields["repeats"].is_preset
    assert fields["maskedLoss"].otherwise == "yes"
    assert (fields["resolution"].otherwise, fields["resolution"].is_preset) == ("1024", False)
    assert fields["captionPrefix"].otherwise == ""


def test_a_control_is_called_as_people_say_it() -> None:
    labels = {name: it.label for name, it in controls().items()}
    assert labels["learningRate"] == "Learning rate"
    assert labels["d0"] == "D0"
    assert in_words(["attention", True]) == "attention, yes"
    assert in_words({"momentum": 0.9, "clip": 2.0}) == "momentum 0.9, clip 2"
    assert in_words(0.1 + 0.2) == "0.3"
    assert in_words(None) == "not given"
    assert in_words([]) == "none"
