"""One thing in a definition is changed, the rest stays as somebody wrote it."""

import pyjson5
import pytest

from modelgenerator.flows.writing import with_switch


def test_a_switch_that_is_written_is_changed_in_its_place():
    text = "{ // mine\n  title: 'x', 'public': false /* not yet */, }"
    changed = with_switch(text, "public", is_on=True)
    assert changed == "{ // mine\n  title: 'x', 'public': true /* not yet */, }"
    assert with_switch(changed, "public", is_on=False) == text


@pytest.mark.parametrize(
    "text", ["{a: 1}", "{}", "// first\n{\n  a: 1, // {\n}", "{a: {public: false}}"]
)
def test_a_switch_that_is_missing_comes_first(text):
    changed = with_switch(text, "public", is_on=True)
    assert pyjson5.decode(changed) == {"public": True, **pyjson5.decode(text)}
