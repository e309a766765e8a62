"""What a run may be given."""

from typing import Any

import pytest
from tests.flows import flow, transform

from modelgenerator.errors import InvalidFlowInput
from modelgenerator.flows.check import checked_flow
from modelgenerator.flows.definition import Flow
from modelgenerator.flows.inputs import accepted_input, check_input

PICTURES = {"many": 12, "few": 3}


@pytest.fixture
def portraits() -> Flow:
    return checked_flow(flow())


def faults(of: Flow, given: Any) -> list[tuple[str, str]]:
    return [(fault.pointer, fault.code) for fault in check_input(of, given, PICTURES).faults]


def with_schema(**properties: Any) -> Flow:
    schema = {
        "type": "object",
        "properties": properties,
        "$defs": {"size": {"type": "integer", "default": 5}},
    }
    return checked_flow(flow(transform({}), input=schema))


def test_a_complete_input_is_taken_with_the_defaults_of_the_form(portraits):
    given = {"photos": "many", "scenes": ["beach"]}
    assert accepted_input(portraits, given, PICTURES) == {**given, "name": "lvff"}
    assert given == {"photos": "many", "scenes": ["beach"]}


def test_all_faults_of_an_input_are_told_at_once(portraits):
    given = {"photos": "few", "scenes": [], "name": 5, "person": {"age": 1.5}}
    assert set(faults(portraits, given)) == {
        ("/photos", "pictureCount"),
        ("/scenes", "invalidValue"),
        ("/name", "wrongType"),
        ("/person/age", "wrongType"),
    }
    assert set(faults(portraits, {})) == {("/photos", "missingValue"), ("/scenes", "missingValue")}


def test_an_input_that_does_not_fit_is_refused_with_every_reason(portraits):
    with pytest.raises(InvalidFlowInput, match=r"/photos(?s:.*)at least 4 pictures(?s:.*)/scenes"):
        accepted_input(portraits, {"photos": "few", "scenes": []}, PICTURES)


def test_a_dataset_that_is_not_there_is_told(portraits):
    assert faults(portraits, {"photos": "nobody's", "scenes": ["x"]}) == [
        ("/photos", "pictureCount")
    ]


@pytest.mark.parametrize("given", [None, [], "x", 5])
def test_an_input_must_be_an_object(portraits, given):
    assert faults(portraits, given) == [("", "wrongType")]


def test_defaults_are_put_in_wherever_they_stand():
    form = with_schema(
        size={"$ref": "#/$defs/size"},
        style={"type": "string", "default": "oil"},
        nested={"type": "object", "properties": {"a": {"default": [1]}}},
        absent={"type": "object", "properties": {"a": {"default": 1}}},
        people={"type": "array", "items": {"properties": {"age": {"default": 30}}}},
        empty={"default": None},
    )
    given = {"nested": {}, "people": [{}, {"age": 5}], "style": "ink"}
    assert accepted_input(form, given, {}) == {
        "nested": {"a": [1]},
        "people": [{"age": 30}, {"age": 5}],
        "style": "ink",
        "empty": None,
    }


def test_text_that_looks_like_language_is_only_text(portraits):
    given = {"photos": "many", "scenes": ["$.store.prompt", "@Index(i)", "$$"]}
    assert accepted_input(portraits, given, PICTURES) == {**given, "name": "lvff"}


def test_hostile_inputs_are_refused_before_they_are_looked_at(portraits):
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    assert faults(portraits, {"note": deep}) == [("/note" + "/0" * 63, "tooDeep")]
    assert faults(portraits, {"note": float("nan")}) == [("/note", "notFinite")]
    assert faults(portraits, {"note": "x" * 1_000_001}) == [("/note", "tooLong")]
    assert faults(portraits, {"a": ["x" * 900_000] * 12}) == [("", "tooLarge")]
