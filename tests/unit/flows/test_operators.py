"""Operators as they are written."""

import pytest

from modelgenerator.flows.operators import (
    Call,
    InvalidOperator,
    PathText,
    Quoted,
    Word,
    parse_call,
    pieces,
)


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("@Map($.results.p.list, i)", Call("Map", (PathText("$.results.p.list"), Word("i")))),
        ("@Map( $$ )", Call("Map", (PathText("$$"),))),
        (
            "@Map($.a['x,)'][?@.b == 'c'],i)",
            Call("Map", (PathText("$.a['x,)'][?@.b == 'c']"), Word("i"))),
        ),
        ("@Index(i)", Call("Index", (Word("i"),))),
        ("@Format('{}', 1)", Call("Format", (Quoted("{}"), Quoted(1)))),
        (
            '@Format("it\\"s", -2.5, true, null)',
            Call("Format", tuple(map(Quoted, ('it"s', -2.5, True, None)))),
        ),
        (
            "@Replace(@Index(i), 'a', '')",
            Call("Replace", (Call("Index", (Word("i"),)), Quoted("a"), Quoted(""))),
        ),
        ("@Format('$.input.x')", Call("Format", (Quoted("$.input.x"),))),
    ],
)
def test_an_operator_is_read(text, call):
    assert parse_call(text) == call


@pytest.mark.parametrize(
    ("text", "complaint", "hint"),
    [
        ("@", "no operator", r"\@"),
        ("@me on the web", "no operator @me", r"\@"),
        ("@format('a')", "no operator @format", "did you mean @Format?"),
        ("@Format", "not written like this", "@Format('{}"),
        ("@Extend($$)", "not written like this", '"@Extend": "$$"'),
        ("@Index()", "takes 1 arguments, not 0", "@Index(i)"),
        ("@Replace('a', 'b')", "takes 3 arguments, not 2", "@Replace("),
        ("@Map($.a, i, j)", "takes 1 to 2 arguments", "@Map("),
        ("@Format('a'", "closing parenthesis", ""),
        ("@Format('a',)", "closing parenthesis", ""),
        ("@Format('a' 'b')", "comma", ""),
        ("@Format(,)", "an argument is missing", ""),
        ("@Format('a", "a quote is not closed", ""),
        ("@Format(a-b)", "is not an argument", "put texts in quotes"),
        ("@Format(NaN)", "", None),
        ("@Format('a') b", "behind", ""),
        ("@Format(" * 40 + "'a'" + ")" * 40, "nest at most 16", ""),
    ],
)
def test_what_is_no_operator_is_refused(text, complaint, hint):
    if hint is None:  # a word is left to whoever knows the operator
        assert parse_call(text).arguments == (Word("NaN"),)
        return
    with pytest.raises(InvalidOperator, match=complaint) as caught:
        parse_call(text)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("template", "found"),
    [
        ("a {} b {1}", ("a ", 0, " b ", 1)),
        ("{}{}{0}", (0, 1, 0)),
        ("{{{}}}", ("{", 0, "}")),
        ("{{}}", ("{", "}")),
        ("plain", ("plain",)),
        ("", ()),
    ],
)
def test_a_template_falls_into_texts_and_parameters(template, found):
    assert pieces(template) == found


@pytest.mark.parametrize("template", ["{", "}", "a {b}", "{ }", "{}}"])
def test_a_brace_that_stands_alone_is_refused(template):
    with pytest.raises(InvalidOperator, match="stands alone"):
        pieces(template)
