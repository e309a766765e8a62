"""The Flow Language: every rule from both sides."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelgenerator.errors import InvalidFlow, UnresolvedTemplate
from modelgenerator.flows import resolve as rules
from modelgenerator.flows.language import escape, parse
from modelgenerator.flows.resolve import Context, resolve

CONTEXT = Context(
    input={
        "name": "Ada",
        "age": 36,
        "nothing": None,
        "no": False,
        "users": [{"name": "a", "tags": ["x", "y"]}, {"name": "b", "tags": []}],
        "empty": [],
        "evil": "$.store.secret",
        "evilTemplate": "{} {} {0}",
    },
    results={"prompts": {"list": [{"prompt": "p", "width": 8}, {"prompt": "q"}]}},
    store={"secret": "s3cret", "template": "{} is {}", "bad": "{", "list": [1, 2]},
)

texts = st.text(st.characters(exclude_categories=["Cs"]))
hostile = texts | st.sampled_from(
    ["$.store.secret", "$$", "@Index(i)", "@Format('{}', 1)", "\\$x", "@Extend", "{}", "$"]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | hostile,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(hostile, inner, max_size=4),
)


@pytest.mark.parametrize(
    ("template", "value"),
    [
        # a path with one match gives the value with its type
        ("$.input.age", 36),
        ("$.input.nothing", None),
        ("$.input.no", False),
        ("$.input.users[0].tags", ["x", "y"]),
        ("$.input.users[-1].name", "b"),
        # wildcard, slice and filter give a list, whatever they find
        ("$.input.users[*].name", ["a", "b"]),
        ("$.input.users[0:1].name", ["a"]),
        ("$.input.users[?@.name == 'b'].name", ["b"]),
        ("$.input.users[?@.name == 'z'].name", []),
        # only a string that starts with $ is a path
        ("costs $.input.age", "costs $.input.age"),
        # operators
        (
            [["@Map($.input.users, i)", {"n": "$$.name", "i": "@Index(i)"}]],
            [{"n": "a", "i": 0}, {"n": "b", "i": 1}],
        ),
        ([["@Map($.input.users)", "$$.name"]], ["a", "b"]),
        ([["@Map($.input.users[*].name)", "$$"]], ["a", "b"]),
        ([["@Map($.input.empty, i)", {"n": "$$"}]], []),
        ([0, ["@Map($.store.list)", "$$"], 3, ["@Map($.store.list)", "x"]], [0, 1, 2, 3, "x", "x"]),
        (
            [["@Map($.input.users, i)", [["@Map($$.tags, j)", ["$$", "@Index(i)", "@Index(j)"]]]]],
            [[["x", 0, 0], ["y", 0, 1]], []],
        ),
        ([["@Map($.store.list, i)", [["@Map($.store.list, i)", "@Index(i)"]]]], [[0, 1], [0, 1]]),
        (
            [["@Map($.results.prompts.list)", {"@Extend": "$$", "width": 16}]],
            [{"prompt": "p", "width": 16}, {"prompt": "q", "width": 16}],
        ),
        ({"width": 1, "@Extend": "$.results.prompts.list[0]"}, {"prompt": "p", "width": 1}),
        ({"@Extend": {"a": 1, "b": {"c": 1}}, "b": {"d": 2}}, {"a": 1, "b": {"d": 2}}),
        ("@Format('{} is {1}, {0}', $.input.name, $.input.age)", "Ada is 36, Ada"),
        ("@Format('{{{}}}', $.input.users[0].tags)", '{["x","y"]}'),
        ("@Format('{} {} {}', true, null, 1.5)", "true null 1.5"),
        ("@Format($.store.template, $.input.name, 'x')", "Ada is x"),
        ("@Format('{}', @Replace($.input.name, 'A', '$.'))", "$.da"),
        ("@Replace('a.b.c', '.', '$$')", "a$$b$$c"),
        ("@Replace('aaa', 'aa', 'b')", "ba"),
        ("@Replace('.*', '.*', 'x')", "x"),
        # escapes
        ("\\$.input.age", "$.input.age"),
        ("\\@Index(i)", "@Index(i)"),
        ("\\\\$", "\\$"),
        ("\\d+ $", "\\d+ $"),
        ({"\\@Extend": 1, "$ref": 2}, {"@Extend": 1, "$ref": 2}),
        # everything else is itself
        ({"a": [1, {"b": None}], "c": 1.5}, {"a": [1, {"b": None}], "c": 1.5}),
    ],
)
def test_a_template_becomes_its_value(template, value):
    found = resolve(template, CONTEXT)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("template", "pointer", "complaint"),
    [
        ({"a": "$.input.missing"}, "/a", r"\$\.input\.missing leads to nothing"),
        ("$.input.users[7]", "", "leads to nothing"),
        ("$.input.name.first", "", "leads to nothing"),
        ("$.results.later.id", "", "leads to nothing"),
        ([["@Map($.input.name)", 1]], "/0", "needs a list"),
        ([["@Map($.input.users[0])", 1]], "/0", "needs a list, .* an object"),
        ([["@Map($.input.users)", "$$.age"]], "/0/1", r"\$\$\.age leads to nothing"),
        ({"@Extend": "$.input.name"}, "/@Extend", 'needs an object, not "Ada"'),
        ("@Replace($.input.age, '3', '4')", "", "needs texts, not 36"),
        ("@Replace('a', $.input.age, '4')", "", "needs texts"),
        ("@Replace('a', '', 'b')", "", "something to search for"),
        ("@Format($.store.bad)", "", "stands alone"),
        ("@Format($.store.list)", "", "must be a text"),
        ("@Format($.store.template, 1)", "", "takes 2 parameters, not 1"),
    ],
)
def test_what_cannot_be_resolved_names_step_and_place(template, pointer, complaint):
    with pytest.raises(UnresolvedTemplate, match=complaint) as caught:
        resolve(template, CONTEXT, step="trainer", pointer="/parameters")
    assert caught.value.pointer == f"/parameters{pointer}"
    assert "Step trainer" in str(caught.value)


@pytest.mark.parametrize(
    ("template", "code"),
    [
        ("$$", "itemOutsideMap"),
        ({"a": "$$.name"}, "itemOutsideMap"),
        ("$.nowhere", "invalidPath"),
        ("@Index(i)", "unknownIndex"),
        ([["@Map($.input.users, i)", "@Index(j)"]], "unknownIndex"),
        ([["@Map($.input.users)", "@Index(i)"]], "unknownIndex"),
        ("@Map($.input.users)", "invalidOperator"),
        (["@Map($.input.users)", {}], "invalidOperator"),
        ([["@Map($.input.users)"]], "invalidOperator"),
        ([["@Map($.input.users)", 1, 2]], "invalidOperator"),
        ([["@Map('x')", 1]], "invalidOperator"),
        ([["@Map($.input.users, 'i')", 1]], "invalidOperator"),
        ({"@Map": 1}, "unknownOperator"),
        ({"@extend": "$.input"}, "unknownOperator"),
        ({"@Extend": 1}, "wrongType"),
        ({"@Extend": ["$.input"]}, "wrongType"),
        ("@Loop(1)", "unknownOperator"),
        ("@Format('{}')", "invalidOperator"),
        ("@Format('{}', 1, 2)", "invalidOperator"),
        ("@Format($.input.evilTemplate, 1, 2)", "invalidOperator"),
        ("@Format(x)", "invalidOperator"),
    ],
)
def test_a_template_with_a_fault_is_refused_before_anything_is_resolved(template, code):
    assert [fault.code for fault in parse(template).faults] == [code]
    with pytest.raises(InvalidFlow):
        resolve(template, CONTEXT)


def test_all_faults_of_a_template_are_found_at_once():
    faults = parse({"a": "$", "b": ["@Nope()", {"c": "$$"}]}, "/p").faults
    assert [fault.pointer for fault in faults] == ["/p/a", "/p/b/0", "/p/b/1/c"]


@pytest.mark.parametrize("text", ["a $$ b", "see $.input.name", "x @Index(i)"])
def test_language_inside_a_text_stays_and_is_remarked_upon(text):
    assert resolve(text, CONTEXT) == text
    assert [remark.code for remark in parse(text).remarks] == ["languageInText"]
    assert parse("costs $5, ask me@example.org").remarks == ()


@settings(deadline=None)
@given(values)
def test_a_value_from_a_run_is_never_read_as_language(value):
    context = Context(input={"v": value}, results={"r": value}, store={"v": value})
    for path in ("$.input.v", "$.results.r", "$.store.v"):
        assert resolve(path, context) == value
    assert resolve([["@Map($.input.l)", "$$"]], Context({"l": [value]}, {}, {})) == [value]
    assert resolve({"@Extend": "$.input", "x": "$.input.v"}, context) == {"v": value, "x": value}


@settings(deadline=None)
@given(hostile)
def test_a_text_that_is_put_into_another_stays_itself(text):
    context = Context(input={"v": text}, results={}, store={})
    assert resolve("@Format('<{}>', $.input.v)", context) == f"<{text}>"
    assert resolve("@Replace('<x>', 'x', $.input.v)", context) == f"<{text}>"


@settings(deadline=None)
@given(hostile | texts.map(lambda text: f"\\{text}"))
def test_an_escaped_text_comes_back_as_it_was(text):
    assert resolve(escape(text), CONTEXT) == text
    assert escape(text) == text or text.lstrip("\\")[0] in "$@"


@settings(deadline=None)
@given(values)
def test_a_result_shares_nothing_with_where_it_came_from(value):
    context = Context(input={"v": [value]}, results={}, store={})
    before = json.dumps(context.input)
    found = resolve("$.input.v", context)
    assert isinstance(found, list)
    found.append("changed")
    if isinstance(found[0], list):
        found[0].append("changed")
    assert json.dumps(context.input) == before


def nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


def test_a_result_nests_64_deep_and_no_deeper():
    def deep(depth: int) -> Context:
        return Context({"v": nested(depth)}, {}, {})

    assert resolve("$.input.v", deep(64)) == nested(64)
    assert resolve(["$.input.v"], deep(63)) == nested(64)
    for template, context in [("$.input.v", deep(65)), (["$.input.v"], deep(64))]:
        with pytest.raises(UnresolvedTemplate, match="nested more than 64 deep"):
            resolve(template, context)
    assert resolve(nested(64), CONTEXT) == nested(64)
    with pytest.raises(InvalidFlow, match="nested more than 64 deep"):
        resolve(nested(66), CONTEXT)


def test_10_000_items_are_mapped_and_no_more():
    def items(count: int) -> Context:
        return Context({"l": list(range(count))}, {}, {"two": [1, 2]})

    assert len(resolve([["@Map($.input.l)", "$$"]], items(10_000))) == 10_000
    with pytest.raises(UnresolvedTemplate, match="more than 10,000 items"):
        resolve([["@Map($.input.l)", 1]], items(10_001))
    with pytest.raises(UnresolvedTemplate, match="more than 10,000 items"):
        resolve([["@Map($.input.l)", [["@Map($.store.two)", 1]]]], items(4_000))


def test_a_million_items_are_refused_without_being_mapped():
    with pytest.raises(UnresolvedTemplate, match="more than 10,000 items"):
        resolve([["@Map($.input.l)", {"a": "$$"}]], Context({"l": [0] * 10**6}, {}, {}))


@pytest.mark.parametrize(
    "template",
    [
        "$.input.t",
        "@Format('{}{}', $.input.h, $.input.h)",
        "@Replace($.input.h, 'x', 'xyz')",
        "@Format('{}', $.input.l)",
    ],
)
def test_a_text_of_more_than_a_megabyte_is_refused(template):
    context = Context({"t": "ä" * 500_001, "h": "x" * 500_001, "l": ["x"] * 300_000}, {}, {})
    with pytest.raises(UnresolvedTemplate, match="a text has more than 1,000,000 bytes"):
        resolve(template, context)
    fits = Context({"t": "ä" * 500_000, "h": "x" * 100, "l": []}, {}, {})
    assert resolve(template, fits)


@pytest.mark.parametrize(
    "template",
    [
        "$.input.t",
        [{}] * 20,
        {"@Extend": "$.input.o"},
        [[], 1, None, 2.5] * 5,
        {"name of a member": 1},
    ],
)
def test_everything_that_a_result_holds_is_weighed(template, monkeypatch):
    monkeypatch.setattr(rules, "MAX_RESULT", 10_000)
    context = Context({"l": [0] * 1_000, "t": "x" * 20, "o": {"x" * 20: 1}}, {}, {})
    with pytest.raises(UnresolvedTemplate, match="the result has more than 10,000 bytes"):
        resolve([["@Map($.input.l)", template]], context)


def test_a_result_of_more_than_ten_megabytes_is_refused():
    template = [["@Map($.store.l)", "$.input"]]
    assert resolve(template, Context("x" * 999_000, {}, {"l": [0] * 10}))
    with pytest.raises(UnresolvedTemplate, match="the result has more than 10,000,000 bytes"):
        resolve(template, Context("x" * 999_000, {}, {"l": [0] * 11}))


@settings(deadline=None)
@given(values)
def test_what_is_weighed_is_the_json_but_for_its_escapes(value):
    resolution = rules._Resolution({"input": value}, "")
    resolution._copy(value, parse("$.input").node, 0)
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    assert resolution.size <= len(text.encode()) + 1
    if "\\" not in text and "[]" not in text and "{}" not in text:
        assert resolution.size == len(text.encode()) + 1


def test_a_costly_path_is_followed_once_for_all_items_of_a_map():
    data = {"l": [0] * 5_000, "big": [{"x": n} for n in range(5_000)]}
    template = [["@Map($.input.l)", {"none": "$.input.big[?@.x == -1]"}]]
    assert resolve(template, Context(data, {}, {}))[4_999] == {"none": []}
