"""Forms made from JSON Schemas, and what is read from them when they are sent."""

import pytest
from tests import flows
from tests.flows import INPUT

from modelgenerator.flows.definition import flow_of
from modelgenerator.flows.inputs import check_input
from modelgenerator.service.dashboard.flow_form import (
    ControlKind,
    all_controls,
    form_of,
    form_with,
)
from modelgenerator.service.dashboard.flow_form_sent import read_form

SCHEMA = {
    "type": "object",
    "required": ["photos", "name", "consent", "person"],
    "properties": {
        "photos": {"type": "string", "dataset": True, "min": 4, "max": 20, "title": "Your photos"},
        "name": {"type": "string", "maxLength": 40, "placeholder": "Anna"},
        "story": {"type": "string", "maxLength": 2000},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
        "weight": {"type": "number", "default": 1.5},
        "consent": {"type": "boolean"},
        "style": {"enum": ["oil", "ink", 3]},
        "light": {"oneOf": [{"const": "w", "title": "Warm"}, {"const": "c"}]},
        "scenes": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 3},
        "sizes": {"type": "array", "items": {"type": "integer"}},
        "extras": {"type": "array", "items": {"enum": ["frame", "zip"]}},
        "person": {
            "type": "object",
            "required": ["hair"],
            "properties": {"hair": {"$ref": "#/$defs/hair"}, "a/b": {"type": "string"}},
        },
        "mail": {"type": "string", "format": "email"},
        "free": {"type": "object"},
    },
    "$defs": {"hair": {"type": "string", "title": "Hair colour"}},
}


def kinds(schema):
    return {each.name: each.kind for each in all_controls(form_of(schema).controls)}


def test_every_kind_of_value_has_its_control():
    found = kinds(SCHEMA)
    assert found == {
        "/photos": ControlKind.PICTURES,
        "/name": ControlKind.LINE,
        "/story": ControlKind.TEXT,
        "/age": ControlKind.NUMBER,
        "/weight": ControlKind.NUMBER,
        "/consent": ControlKind.SWITCH,
        "/style": ControlKind.CHOICE,
        "/light": ControlKind.CHOICE,
        "/scenes": ControlKind.LINES,
        "/sizes": ControlKind.LINES,
        "/extras": ControlKind.SEVERAL,
        "/person": ControlKind.GROUP,
        "/person/hair": ControlKind.LINE,
        "/person/a~1b": ControlKind.LINE,
        "/mail": ControlKind.LINE,
        "/free": ControlKind.JSON,
    }


def test_labels_hints_and_defaults_come_from_the_schema():
    found = {each.name: each for each in all_controls(form_of(SCHEMA).controls)}
    assert found["/photos"].label == "Your photos"
    assert found["/photos"].hint == "From 4 to 20 photos."
    assert found["/age"].hint == "From 0 to 120."
    assert found["/name"].hint == "At most 40 characters."
    assert found["/scenes"].hint == "One on each line, from 1 to 3."
    assert found["/weight"].text == "1.5"
    assert found["/person/hair"].label == "Hair colour"
    assert found["/person/hair"].is_required
    assert [each.words for each in found["/light"].choices] == ["Warm", "c"]
    assert found["/mail"].input_type == "email"
    assert len({each.id for each in found.values()}) == len(found)


def test_what_a_browser_sends_becomes_the_input():
    sent = [
        ("/photos", ""),
        ("/photos", "ticket"),
        ("/name", "Anna"),
        ("/story", "one\r\ntwo"),
        ("/age", "33"),
        ("/weight", "2.5"),
        ("/style", "3"),
        ("/light", '"w"'),
        ("/scenes", "in snow\r\n\r\n at sea "),
        ("/sizes", "1\n2"),
        ("/extras", '"zip"'),
        ("/person/hair", "red"),
        ("/person/a~1b", ""),
        ("/free", '{"a": [1]}'),
        ("requestKey", "not of the form"),
    ]
    assert read_form(SCHEMA, sent) == {
        "photos": "ticket",
        "name": "Anna",
        "story": "one\ntwo",
        "age": 33,
        "weight": 2.5,
        "consent": False,
        "style": 3,
        "light": "w",
        "scenes": ["in snow", "at sea"],
        "sizes": [1, 2],
        "extras": ["zip"],
        "person": {"hair": "red"},
        "free": {"a": [1]},
    }


@pytest.mark.parametrize("text", ["1,5", "NaN", "1e999", "much", "9" * 5000])
def test_what_is_no_number_stays_the_text_that_it_is(text):
    schema = {"type": "object", "properties": {"n": {"type": "number"}}}
    assert read_form(schema, [("/n", text)]) == {"n": text}


def test_an_empty_form_gives_only_what_is_required():
    assert read_form(SCHEMA, []) == {"consent": False, "person": {}}


def test_what_was_given_is_shown_again_with_its_faults():
    values = {"name": "Anna", "age": "old", "scenes": ["x", ""], "extras": ["zip"], "light": "c"}
    faults = [
        {"pointer": "/age", "code": "wrongType", "message": 'must be a whole number, not "old"'},
        {"pointer": "/photos", "code": "missingValue", "message": "photos is required"},
        {"pointer": "/scenes/1", "code": "invalidValue", "message": "must have at least 1"},
        {"pointer": "/person/hair", "code": "missingValue", "message": "hair is required"},
        {"pointer": "", "code": "invalidValue", "message": "does not fit"},
    ]
    form = form_with(SCHEMA, values, faults)
    found = {each.name: each for each in all_controls(form.controls)}
    assert found["/age"].text == "old"
    assert found["/age"].fault == 'Must be a whole number, not "old".'
    assert found["/photos"].fault == "This is needed."
    assert found["/scenes"].text == "x\n"
    assert found["/scenes"].fault == "Number 2: Must have at least 1."
    assert found["/person/hair"].fault == "This is needed."
    assert [each.is_chosen for each in found["/extras"].choices] == [False, True]
    assert [each.is_chosen for each in found["/light"].choices] == [False, True]
    assert form.faults == ("Does not fit.",)
    assert form.is_faulty
    assert found["/weight"].text == "", "what was emptied is not filled again"


def test_a_schema_that_leads_into_itself_ends():
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}
    schema = {
        "type": "object",
        "properties": {"first": {"$ref": "#/$defs/node"}},
        "$defs": {"node": node},
    }
    assert list(kinds(schema).values())[-1] is ControlKind.JSON


def test_the_defaults_of_any_form_are_read_as_they_are_filled_in():
    flow = flow_of(flows.flow(input={**INPUT, "required": []}))
    form = form_of(flow.input)
    sent = [(each.name, each.text) for each in all_controls(form.controls) if each.text]
    assert check_input(flow, read_form(flow.input, sent), {}).faults == ()
