"""What is wrong with the JSON Schema of an input, and what a value under it must be."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelgenerator.flows import validation
from modelgenerator.flows.schemas import faults_in_schema, remarks_in_schema
from modelgenerator.flows.validation import Held


def of(properties: Any = None, **others: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties or {}, **others}


def faults(schema: Any) -> list[tuple[str, str]]:
    return [(fault.pointer, fault.code) for fault in faults_in_schema(schema, "")]


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        of({"a": {"type": "string", "title": "A", "placeholder": "x", "pattern": "^[a-z]+$"}}),
        of({"a": {"$ref": "#/$defs/b"}}, **{"$defs": {"b": {"type": ["string", "null"]}}}),
        of({"tree": {"$ref": "#/$defs/t"}}, **{"$defs": {"t": of({"t": {"$ref": "#/$defs/t"}})}}),
        of({"a": {"$ref": "#/$defs/x~1y"}}, **{"$defs": {"x/y": {"type": "string"}}}),
        of(**{"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "https://a/b"}),
        of({"d": {"type": "string", "dataset": True, "min": 4, "max": 20}}),
        of({"d": {"type": "string", "dataset": False}}),
        of({"pattern": {"type": "string"}, "$ref": {"type": "string"}}),
        of({"a": {"const": {"$ref": "http://x"}}}),
        of({"a": {"type": "integer", "default": 3}}),
        of({"a": {"$ref": "#/$defs/b", "default": "x"}}, **{"$defs": {"b": {"type": "string"}}}),
        of({"a": {"type": "string", "pattern": "(a+)+$"}}),
    ],
)
def test_a_sound_schema_has_no_fault(schema):
    assert faults(schema) == []


@pytest.mark.parametrize(
    ("schema", "pointer", "code"),
    [
        ([], "", "wrongType"),
        ({"type": "array"}, "/type", "wrongType"),
        ({}, "/type", "wrongType"),
        (of({"a": {"type": "text"}}), "/properties/a/type", "invalidSchema"),
        (of({"a": 5}), "/properties/a", "invalidSchema"),
        (of(required="a"), "/required", "invalidSchema"),
        (of({"a": {"minLength": -1}}), "/properties/a/minLength", "invalidSchema"),
        (of({"a": {"$ref": "http://x/y"}}), "/properties/a/$ref", "remoteReference"),
        (of({"a": {"$ref": "file:///etc/passwd"}}), "/properties/a/$ref", "remoteReference"),
        (of({"a": {"$ref": "other.json"}}), "/properties/a/$ref", "remoteReference"),
        (of({"a": {"$ref": "#/$defs/none"}}), "/properties/a/$ref", "unknownReference"),
        (of({"a": {"$ref": "#name"}}), "/properties/a/$ref", "unknownReference"),
        (
            of({"a": {"$ref": "#/properties/b/const"}, "b": {"const": {}}}),
            "/properties/a/$ref",
            "unknownReference",
        ),
        (of({"a": {"$dynamicRef": "#x"}}), "/properties/a/$dynamicRef", "unsupportedKeyword"),
        (of({"a": {"$anchor": "x"}}), "/properties/a/$anchor", "unsupportedKeyword"),
        (of({"a": {"$id": "http://x"}}), "/properties/a/$id", "unsupportedKeyword"),
        (of(patternProperties={"(a+)+$": {}}), "/patternProperties", "unsupportedKeyword"),
        (
            of(**{"$schema": "http://json-schema.org/draft-07/schema#"}),
            "/$schema",
            "unsupportedDialect",
        ),
        (of({"a": {"pattern": "(?=a)"}}), "/properties/a/pattern", "invalidPattern"),
        (of({"a": {"pattern": r"(a)\1"}}), "/properties/a/pattern", "invalidPattern"),
        (of({"a": {"pattern": "("}}), "/properties/a/pattern", "invalidPattern"),
        (of({"a": {"pattern": "((a{999}){999}){999}"}}), "/properties/a/pattern", "invalidPattern"),
        (of({"a": {"pattern": "a" * 1001}}), "/properties/a/pattern", "invalidPattern"),
        (of({"a": {"items": {"pattern": "("}}}), "/properties/a/items/pattern", "invalidPattern"),
        (of({"d": {"dataset": True}}), "/properties/d/type", "datasetType"),
        (of({"d": {"dataset": True, "type": "array"}}), "/properties/d/type", "datasetType"),
        (of({"d": {"dataset": "yes", "type": "string"}}), "/properties/d/dataset", "wrongType"),
        (
            of({"d": {"dataset": True, "type": "string", "min": 0}}),
            "/properties/d/min",
            "pictureCount",
        ),
        (
            of({"d": {"dataset": True, "type": "string", "max": "9"}}),
            "/properties/d/max",
            "pictureCount",
        ),
        (
            of({"d": {"dataset": True, "type": "string", "min": True}}),
            "/properties/d/min",
            "pictureCount",
        ),
        (
            of({"d": {"dataset": True, "type": "string", "min": 5, "max": 4}}),
            "/properties/d/min",
            "pictureCount",
        ),
        (of({"a": {"type": "integer", "default": "3"}}), "/properties/a/default", "invalidDefault"),
        (of({"a": {"$ref": "#/properties/a"}}), "/properties/a", "endlessReference"),
        (of(allOf=[{"$ref": "#"}]), "", "endlessReference"),
        (of({"x": {"enum": list(range(20_000))}}), "", "tooLarge"),
    ],
)
def test_what_is_wrong_with_a_schema_is_told_with_its_place(schema, pointer, code):
    assert (pointer, code) in faults(schema)


def test_schemas_that_lead_to_each_other_without_end_are_all_told():
    loop = {"a": {"anyOf": [{"$ref": "#/$defs/b"}]}, "b": {"not": {"$ref": "#/$defs/a"}}}
    assert {code for _, code in faults(of(**{"$defs": loop}))} == {"endlessReference"}
    through_data = {"a": of({"x": {"$ref": "#/$defs/b"}}), "b": {"allOf": [{"$ref": "#/$defs/a"}]}}
    assert faults(of(**{"$defs": through_data})) == []


@pytest.mark.parametrize(
    ("schema", "pointer", "hint"),
    [
        ({"type": "number", "min": 4}, "/properties/a/min", "did you mean minimum?"),
        ({"type": "string", "minLenght": 4}, "/properties/a/minLenght", "did you mean minLength?"),
        ({"items": {"requierd": []}}, "/properties/a/items/requierd", "did you mean required?"),
    ],
)
def test_a_keyword_that_would_be_passed_over_in_silence_is_remarked_upon(schema, pointer, hint):
    assert faults(of({"a": schema})) == []
    (remark,) = remarks_in_schema(of({"a": schema}), "")
    assert remark.pointer == pointer
    assert hint in remark.hint


def test_a_keyword_that_is_known_or_of_another_program_is_not_remarked_upon():
    known = {"type": "string", "dataset": True, "min": 1, "max": 2, "placeholder": "x"}
    ordinary = {"title": "A", "examples": [{"min": 1}], "x-order": 3, "then": {}, "format": "email"}
    assert list(remarks_in_schema(of({"a": known, "min": ordinary}, title="T"), "")) == []


def fits(value: Any, schema: dict[str, Any], **others: Any) -> list[tuple[str, str, str]]:
    found = Held(schema, **others).misfits(value)
    return [(fault.pointer, fault.code, fault.message) for fault in found]


@pytest.mark.parametrize(
    ("schema", "value", "message"),
    [
        ({"type": "string"}, 5, "must be text, not 5"),
        ({"type": ["integer", "null"]}, "x", 'must be a whole number or null, not "x"'),
        ({"type": "object"}, [], "must be an object, not a list with nothing in it"),
        ({"minimum": 3}, 2, "must be at least 3, not 2"),
        ({"exclusiveMaximum": 3}, 3, "must be below 3, not 3"),
        ({"multipleOf": 8}, 9, "must be a multiple of 8, not 9"),
        ({"minLength": 2}, "x", "must have at least 2 characters"),
        ({"maxItems": 1}, [1, 2], "must have at most 1 items"),
        ({"pattern": "^a+$"}, "b", 'must match the pattern "^a+$", not "b"'),
        ({"enum": ["a", "b"]}, "c", 'must be one of "a", "b", not "c"'),
        ({"const": 1}, 2, "must be 1, not 2"),
        ({"uniqueItems": True}, [1, 1.0], "must not have the same item twice"),
        ({"format": "email"}, "x", 'must be written as "email", not "x"'),
    ],
)
def test_a_value_that_does_not_fit_is_told_in_plain_words(schema, value, message):
    assert [told for _, _, told in fits(value, schema)] == [message]


def test_every_missing_name_has_a_place_of_its_own():
    schema = {"type": "object", "required": ["a", "it's"]}
    assert fits({}, schema) == [
        ("/a", "missingValue", "a is required"),
        ("/it's", "missingValue", "it's is required"),
    ]


def test_a_pattern_is_searched_for_as_json_schema_has_it():
    assert fits("xay", {"pattern": "a"}) == []
    assert fits("a\n", {"pattern": "^a$"}) != []  # as in JavaScript, unlike Python


def test_a_pattern_that_makes_others_backtrack_for_ever_is_answered_at_once():
    assert fits("a" * 100_000 + "b", {"pattern": "^(a+)+$"}) != []


def test_unlike_items_are_unique():
    unlike = [1, "1", True, [1], {"a": 1}, {"a": 2}, None, 0, False]
    assert fits(unlike, {"uniqueItems": True}) == []
    assert fits([{"a": 1, "b": [1.0]}, {"b": [1], "a": 1}], {"uniqueItems": True}) != []


def test_a_schema_that_doubles_its_work_at_every_level_is_stopped(monkeypatch):
    monkeypatch.setattr(validation, "MAX_WORK", 20_000)
    again = {"$ref": "#/$defs/t"}
    schema = of(
        {"t": again}, **{"$defs": {"t": {"properties": {"t": {"anyOf": [again, again, False]}}}}}
    )
    schema["$defs"]["t"]["required"] = ["never"]
    assert faults(schema) == []
    value: dict[str, Any] = {}
    for _ in range(40):
        value = {"t": value}
    assert [code for _, code, _ in fits(value, schema)] == ["tooMuchWork"]


def test_pictures_are_counted_where_a_dataset_is_wanted():
    schema = of({"d": {"type": "string", "dataset": True, "min": 4, "max": 6}})

    def told(count: int) -> list[str]:
        return [message for *_, message in fits({"d": "id"}, schema, pictures={"id": count})]

    assert told(4) == told(6) == []
    assert told(3) == ["needs at least 4 pictures, not 3"]
    assert told(7) == ["takes at most 6 pictures, not 7"]
    assert fits({"d": "id"}, schema, pictures={})[0][:2] == ("/d", "pictureCount")
    assert fits({"d": "id"}, schema) == []


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (of({"x": {"items": {"enum": [f"e{n}" for n in range(9_000)]}}}), {"x": ["e"] * 10_000}),
        (of({"x": {"allOf": [{"pattern": "^(a|b)+$"}] * 2_000}}), {"x": "ab" * 450_000}),
        (of({"x": {"allOf": [{"uniqueItems": True}] * 2_000}}), {"x": [["ab" * 450_000]]}),
        (
            of({"x": {"items": {"properties": {str(n): {} for n in range(3_000)}}}}),
            {"x": [{}] * 999},
        ),
    ],
    ids=["enum", "pattern", "uniqueItems", "properties"],
)
def test_a_schema_that_is_large_for_a_large_value_is_stopped(schema, value):
    assert faults(schema) == []
    assert [code for _, code, _ in fits(value, schema)][-1] == "tooMuchWork"


def test_a_schema_with_an_id_finds_its_own_parts():
    schema = of(
        {"a": {"$ref": "#/$defs/b"}}, **{"$id": "https://x/y", "$defs": {"b": {"type": "null"}}}
    )
    assert faults(schema) == []
    assert [code for _, code, _ in fits({"a": 1}, schema)] == ["wrongType"]


def test_half_a_letter_is_matched_like_any_other():
    assert fits("\ud800", {"pattern": "^.$"}) == []
    assert fits("\ud800", {"pattern": "^a$"}) != []


def test_a_value_is_told_only_so_many_faults():
    assert len(fits([0] * 1_000, {"items": {"type": "string"}})) == validation.MAX_FAULTS


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.lists(json_values, max_size=6))
def test_uniqueness_is_that_of_json(items):
    twice = any(
        type(one) is type(two) and one == two and repr(one) == repr(two)
        for index, one in enumerate(items)
        for two in items[:index]
    )
    if twice:
        assert fits(items, {"uniqueItems": True}) != []
