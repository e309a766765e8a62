"""A definition as text, and as what can be run."""

import json

import pytest
from tests.flows import flow

from modelgenerator.errors import InvalidFlow
from modelgenerator.flows.check import check, checked_flow
from modelgenerator.flows.definition import StepType, read_document


def test_json_and_json5_are_read():
    assert read_document(json.dumps(flow())).values == flow()
    text = "// x\n{title: 'a', steps: [1, +2, .5, 0xF,],}"
    assert read_document(text).values == {"title": "a", "steps": [1, 2, 0.5, 15]}
    assert str(read_document(text).places.of["/steps/3"]) == "2:33"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "line 1, column 1"),
        ("{title: 'a'\n steps: []}", "line 2, column 2"),
        ("{title: 'a}", "is not JSON5"),
        ("[1e999]", "is not JSON5"),
        ("[" + "1" * 5_000 + "]", "is not JSON5"),
        ('{"a": "\\ud800"}', "is not JSON5"),
        ("[" * 65 + "]" * 65, "nests at most 64 deep: line 1, column 6"),
        ("[" * 900_000, "nests at most 64 deep"),
        ('"' + "x" * 1_000_000 + '"', "at most 1,000,000 bytes, this one 1,000,002"),
        ("ä" * 500_001, "at most 1,000,000 bytes"),
    ],
)
def test_a_text_that_is_no_flow_is_refused_with_its_place(text, complaint):
    with pytest.raises(InvalidFlow, match=complaint):
        read_document(text)


def test_a_text_nests_64_deep():
    assert read_document("[" * 64 + "]" * 64).values


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_is_none_is_refused(word):
    text = json.dumps(flow()).replace("50", word)
    assert [fault.code for fault in check(read_document(text).values).faults] == ["notFinite"]


def test_a_flow_knows_what_was_written_and_cannot_be_changed():
    read = checked_flow(flow(public=True, slug="a-b", ui={"submitLabel": "Go"}))
    assert (read.title, read.public, read.slug) == ("Portraits", True, "a-b")
    assert read.ui == {"submitLabel": "Go"}
    assert [each.type for each in read.steps] == [
        StepType.MODEL_GENERATOR,
        StepType.IMAGE_GENERATOR,
        StepType.ZIPPER,
    ]
    with pytest.raises(AttributeError):
        read.title = "other"  # type: ignore[misc]


def test_what_may_be_left_out_is_empty():
    bare = flow()
    del bare["store"]
    bare["steps"] = [{"id": "a", "type": "ObjectTransformer", "result": {}}]
    del bare["input"]
    read = checked_flow(bare)
    assert (read.store, read.ui, read.sale, read.slug, read.public) == ({}, {}, {}, None, False)
    assert read.input == {"type": "object", "properties": {}}
