"""Paths: what they find, and which are refused."""

from contextlib import suppress

import pytest

from modelgenerator.flows.references import (
    InvalidPath,
    TooManyMatches,
    compile_path,
    find,
)

ROOT = {
    "input": {"users": [{"name": "Ada", "age": 36}, {"name": "Bo", "age": 7}], "odd name": 1},
    "results": {},
    "store": {"age": 36},
}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("$.input.users[1].name", ["Bo"]),
        ("$.input.users[-1].name", ["Bo"]),
        ("$.input['odd name']", [1]),
        ("$.input.users[*].name", ["Ada", "Bo"]),
        ("$.input.users[0:1].name", ["Ada"]),
        ("$.input.users[?@.age > 18].name", ["Ada"]),
        ("$.input.users[?@.age == $.store.age].name", ["Ada"]),
        ("$.input.users[?match(@.name, 'A.*')].age", [36]),
        ("$.input.users[?search(@.name, 'o')].age", [7]),
        ("$.input.users[?count(@.*) > 1].age", [36, 7]),
        ("$.input..age", [36, 7]),
        ("$.input.users[0]['name','age']", ["Ada", 36]),
        ("$.input.nothing", []),
        ("$.store", [{"age": 36}]),
    ],
)
def test_a_path_finds_what_rfc_9535_says(text, found):
    assert find(compile_path(text), ROOT) == found


@pytest.mark.parametrize(
    ("text", "is_single"),
    [("$.input.a[0]['b']", True), ("$.input.*", False), ("$.input[0:1]", False), ("$$", True)],
)
def test_a_path_says_whether_it_can_find_more_than_one(text, is_single):
    assert compile_path(text).is_single is is_single


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("$", r"must begin with \$\.input"),
        ("$5 off", "is not a JSON Path"),
        ("$.", "is not a JSON Path"),
        ("$.input.", "is not a JSON Path"),
        ("$input", "is not a JSON Path"),
        ("$.input | $.store", "is not a JSON Path"),
        ("$.secrets.key", r"must begin with \$\.input"),
        ("$..key", r"must begin with \$\.input"),
        ("$.input[?@.a == $.secrets]", r"must begin with \$\.input"),
        ("$.input..a..b", "once"),
        ("$.input[?@..a]", "not inside a filter"),
        ("$.input['a','a']", "different names"),
        ("$.input[0,-1]", "different names"),
        ("$.input[*,'a']", "different names"),
        ("$.input[?@['a','a']]", "different names"),
        ("$.input[?$.store.*]", "must lead to one value"),
        ("$$[?@.a == $.store.b]", "the item alone"),
        ("$." + "a" * 1000, "at most 1,000 characters"),
    ],
)
def test_what_is_no_path_or_could_take_for_ever_is_refused(text, complaint):
    with pytest.raises(InvalidPath, match=complaint):
        compile_path(text)


@pytest.mark.parametrize(
    "text", ["$.input[?" + "(" * 480 + "@.a" + ")" * 480 + "]", "$.input" + "[0]" * 300]
)
def test_a_deep_path_is_read_or_refused(text):
    with suppress(InvalidPath):
        assert find(compile_path(text), ROOT) == []


def test_a_mistyped_root_is_recognized():
    with pytest.raises(InvalidPath) as caught:
        compile_path("$.inputs.name")
    assert caught.value.hint == "did you mean $.input?"


def test_a_pattern_that_makes_others_backtrack_for_ever_is_matched_at_once():
    items = {"input": ["a" * 50_000, "aac"]}
    assert find(compile_path("$.input[?match(@, '(a+)+c')]"), items) == ["aac"]
    assert find(compile_path(r"$.input[?match(@, '(a)\\1')]"), items) == []


def test_a_text_is_never_parsed_as_json():
    assert find(compile_path("$$.secret"), '{"secret": 1}') == []


def test_a_path_that_finds_too_much_is_stopped():
    with pytest.raises(TooManyMatches, match="more than 10,000"):
        find(compile_path("$.input[*]"), {"input": list(range(10_001))})
    assert len(find(compile_path("$.input[*]"), {"input": list(range(10_000))})) == 10_000
