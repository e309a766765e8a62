"""Where everything in a JSON5 text stands."""

import json

import pyjson5
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelgenerator.flows.faults import at
from modelgenerator.flows.places import find_places

TEXT = """\
// a flow
{
  id: 'a',  /* two
  lines */ "b c": [1,
    {d: -.5e3, 'e\\'~/': "x: {y"}, [],
  ],
  \\u0061z: null, // last
}"""


@pytest.mark.parametrize(
    ("pointer", "place"),
    [
        ("", "2:1"),
        ("/id", "3:3"),
        ("/b c", "4:12"),
        ("/b c/0", "4:20"),
        ("/b c/1/d", "5:6"),
        ("/b c/1/e'~0~1", "5:16"),
        ("/b c/2", "5:35"),
        ("/az", "7:3"),
    ],
)
def test_every_value_has_its_line_and_column(pointer, place):
    assert str(find_places(TEXT).of[pointer]) == place


def test_what_was_not_written_has_the_place_of_what_is_around_it():
    assert str(find_places(TEXT).nearest("/b c/1/missing/deeper")) == "5:5"
    assert str(find_places(TEXT).nearest("/b c/7")) == "4:12"


@pytest.mark.parametrize(
    ("pointer", "written"),
    [
        ("/id", "'a'"),
        ("/b c/1/d", "-.5e3"),
        ("/b c", '"b c"'),
        ("/b c/1", "{"),
        ("/az", "null"),
        ("/b c/1/d/deeper", "d"),
        ("/nothing", "{"),
    ],
)
def test_a_plain_value_is_marked_whole_and_anything_else_where_it_begins(pointer, written):
    span = find_places(TEXT).marked(pointer)
    assert span is not None
    assert TEXT[span.start : span.end] == written


def test_a_value_reaches_from_its_first_to_its_last_sign():
    found = find_places(TEXT)
    assert pyjson5.decode(TEXT[found.values["/b c"].start : found.values["/b c"].end]) == [
        1,
        {"d": -0.5e3, "e'~/": "x: {y"},
        [],
    ]
    whole = found.values[""]
    assert TEXT[whole.start : whole.end] == TEXT.removeprefix("// a flow\n")


def test_what_stands_below_a_name_that_was_there_before_is_told_once():
    text = "{a: 1, a: {b: 1, b: {c: 1, c: 2}}, d: {b: 1, b: {c: 1}, b: [{c: 1, c: 2}], e: 1}}"
    assert find_places(text).twice == ["/a", "/d/b", "/d/b"]


def test_a_name_that_stands_twice_is_told():
    assert find_places("{a: 1, b: {c: 1, 'c': 2}, \"a\": 3}").twice == ["/b/c", "/a"]
    assert find_places("[{a: 1}, {a: 1}]").twice == []
    assert find_places("{a: {b: [{c: 1}]}, a: {b: [{c: 2}]}, d: {b: 1}}").twice == ["/a"]


def pointers(value, pointer=""):
    yield pointer
    pairs = value.items() if isinstance(value, dict) else []
    pairs = enumerate(value) if isinstance(value, list) else pairs
    for name, inner in pairs:
        yield from pointers(inner, at(pointer, name))


def at_pointer(value, pointer):
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        value = value[int(name)] if isinstance(value, list) else value[name]
    return value


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4
    ),
)  # fmt: skip


@settings(deadline=None)
@given(values, st.booleans())
def test_every_value_of_any_json_is_found_where_it_stands(value, indented):
    text = json.dumps(value, indent=2 if indented else None, ensure_ascii=False)
    found = find_places(text)
    assert set(found.of) == set(found.values) == set(pointers(value))
    assert found.twice == []
    for pointer, span in found.values.items():
        written = text[span.start : span.end]
        assert pointer == "" or json.loads(written) == at_pointer(value, pointer)
    lines = text.split("\n")
    for place in found.of.values():
        assert lines[place.line - 1][place.column - 1] not in " \t:,]}"


def test_it_reads_what_the_parser_reads():
    assert set(find_places(TEXT).of) == set(pointers(pyjson5.decode(TEXT)))
