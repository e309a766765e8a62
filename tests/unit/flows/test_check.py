"""Everything that is wrong with a flow is told when it is saved."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.flows import DRAWER, PACKER, TRAINER, flow, step, transform
from tests.published_steps import PRINTED, TAKES

from modelgenerator.errors import InvalidFlow
from modelgenerator.flows.check import Capabilities, check, checked_flow
from modelgenerator.flows.definition import StepType, read_document

MODEL = Capabilities(has_language_model=True)
ASK: dict[str, Any] = {
    "description": "Invent scenes.",
    "schema": {"type": "object", "properties": {"scene": {"type": "string"}}},
}


def faults(definition: Any, capabilities: Capabilities = MODEL) -> list[tuple[str, str]]:
    return [(fault.pointer, fault.code) for fault in check(definition, capabilities).faults]


def remarks(definition: Any, capabilities: Capabilities = MODEL) -> list[tuple[str, str]]:
    return [(remark.pointer, remark.code) for remark in check(definition, capabilities).remarks]


def test_a_flow_that_can_run_has_no_fault():
    checked = check(flow(), MODEL)
    assert checked.faults == ()
    assert checked.remarks == ()
    assert checked.flow is not None
    assert [each.id for each in checked.flow.steps] == ["trainer", "drawer", "packer"]


@pytest.mark.parametrize(
    ("fields", "pointer", "code"),
    [
        ({"title": 5}, "/title", "wrongType"),
        ({"title": ""}, "/title", "invalidValue"),
        ({"title": "x" * 201}, "/title", "invalidValue"),
        ({"description": None}, "/description", "wrongType"),
        ({"public": "yes"}, "/public", "wrongType"),
        ({"slug": "Not A Slug"}, "/slug", "invalidValue"),
        ({"slug": "a--b"}, "/slug", "invalidValue"),
        ({"store": []}, "/store", "wrongType"),
        ({"ui": "red"}, "/ui", "wrongType"),
        ({"steps": []}, "/steps", "invalidValue"),
        ({"steps": {}}, "/steps", "wrongType"),
        ({"steps": ["x"]}, "/steps/0", "wrongType"),
        ({"input": []}, "/input", "wrongType"),
        ({"runPrice": 3}, "/runPrice", "wrongType"),
        ({"runPriceCurrency": "dollars"}, "/runPriceCurrency", "invalidValue"),
        ({"payoutMethod": "wallet"}, "/payoutMethod", "invalidValue"),
        ({"tittle": "x"}, "/tittle", "unknownField"),
    ],
)
def test_a_field_of_the_flow_that_is_wrong_is_told(fields, pointer, code):
    assert (pointer, code) in faults(flow(**fields))


@pytest.mark.parametrize("name", ["title", "description", "steps"])
def test_a_field_that_is_missing_is_told(name):
    definition = flow()
    del definition[name]
    assert (f"/{name}", "missingValue") in faults(definition)


@pytest.mark.parametrize("value", [None, 1, "x", [], [flow()]])
def test_what_is_no_object_is_no_flow(value):
    assert faults(value) == [("", "wrongType")]


def test_a_mistyped_field_is_recognized():
    (fault,) = check(flow(discription="x")).faults
    assert fault.hint == "did you mean description?"


def test_what_belongs_to_selling_is_kept_and_told_to_have_no_effect():
    sale = {"runPrice": 12, "runPriceCurrency": "EUR", "payoutMethod": "Connect"}
    checked = check(flow(**sale), MODEL)
    assert checked.flow is not None
    assert checked.flow.sale == sale
    assert [(r.pointer, r.code) for r in checked.remarks] == [
        (f"/{name}", "notSupported") for name in sale
    ]


# Steps -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["__proto__", "constructor", "toString", "1st", "", "a b", "a.b", "a/b", "x" * 65, "ä", "-a"],
)
def test_an_id_that_could_not_be_used_is_refused(name):
    assert ("/steps/0/id", "invalidStepId") in faults(flow(transform({}, name)))


@pytest.mark.parametrize("name", ["a", "portrait-trainer_2", "x" * 64])
def test_an_ordinary_id_is_taken(name):
    path = f"$.results['{name}'].a"
    assert faults(flow(transform({"a": 1}, name), transform({"b": path}, "other"))) == []


def test_the_frame_of_a_step_is_checked():
    assert faults(flow(transform({}), transform({}))) == [("/steps/1/id", "duplicateStepId")]
    assert faults(flow({"type": "Zipper", "parameters": PACKER["parameters"]}))[0] == (
        "/steps/0/id",
        "missingValue",
    )
    assert faults(flow({"id": "a", "parameters": {}})) == [("/steps/0/type", "missingValue")]
    assert faults(flow({"id": "a", "type": 5})) == [("/steps/0/type", "unknownStepType")]
    assert faults(flow({"id": "a", "type": "ObjectTransformer"})) == [
        ("/steps/0/result", "missingValue")
    ]
    assert faults(flow({**transform({}), "parameters": {}})) == [
        ("/steps/0/parameters", "unknownField")
    ]
    assert faults(flow({**transform({}), "name": "x"})) == [("/steps/0/name", "unknownField")]


def test_an_unknown_type_is_told_with_what_was_meant():
    (fault,) = check(flow({"id": "a", "type": "ModelGenerater", "parameters": {}})).faults
    assert (fault.code, fault.hint) == ("unknownStepType", "did you mean ModelGenerator?")


@pytest.mark.parametrize(
    ("parameters", "pointer", "code"),
    [
        ({"datasetId": 5}, "datasetId", "wrongType"),
        ({"datasetid": "x"}, "datasetid", "unknownParameter"),
        ({"trainingSettingsId": 5}, "trainingSettingsId", "wrongType"),
        ({"settings": []}, "settings", "wrongType"),
        ({"settings": "x"}, "settings", "wrongType"),
        ({"settings": {}}, "settings/baseModel", "missingSetting"),
        ({"settings": None}, "settings", "wrongType"),
        ({"settings": {"baseModel": "b", "epochs": 0}}, "settings/epochs", "invalidSetting"),
        ({"settings": {"baseModel": "b", "lr": 1}}, "settings/lr", "unknownSetting"),
        ({"settings": {"baseModel": "b", "lr": "$.input.name"}}, "settings/lr", "unknownSetting"),
        ({"settings": {"baseModel": "b", "batchSize": 7}}, "settings/batchSize", "invalidSetting"),
        (
            {"settings": {"@Extend": "$.store.sizes", "batchSize": 7}},
            "settings/batchSize",
            "invalidSetting",
        ),
    ],
)
def test_a_parameter_of_a_training_that_is_wrong_is_told(parameters, pointer, code):
    trainer = {**TRAINER, "parameters": {**TRAINER["parameters"], **parameters}}
    assert (f"/steps/0/parameters/{pointer}", code) in faults(flow(trainer))


@pytest.mark.parametrize(
    "parameters",
    [
        {"trainingSettingsId": "0199b1f0-0000-7000-8000-000000000000"},
        {"trainingSettingsId": "$.store.prompt", "settings": {"epochs": 3}},
        {"settings": {"baseModel": "$.store.prompt", "epochs": "$.store.sizes.wide"}},
        {"settings": {"@Extend": "$.store.sizes"}},
        {"settings": "$.store.sizes"},
    ],
)
def test_a_training_may_get_its_settings_in_every_published_way(parameters):
    assert faults(flow(step("ModelGenerator", datasetId="$.input.photos", **parameters))) == []


def test_a_training_without_any_base_model_is_refused():
    assert faults(flow(step("ModelGenerator", datasetId="$.input.photos"))) == [
        ("/steps/0/parameters", "missingValue")
    ]


def test_a_static_dataset_is_taken_and_an_input_that_is_none_is_remarked_upon():
    trainer = {**TRAINER, "parameters": {**TRAINER["parameters"], "datasetId": "some-dataset"}}
    assert (faults(flow(trainer)), remarks(flow(trainer))) == ([], [])
    trainer = {**TRAINER, "parameters": {**TRAINER["parameters"], "datasetId": "$.input.name"}}
    assert remarks(flow(trainer)) == [("/steps/0/parameters/datasetId", "noDataset")]


@pytest.mark.parametrize(
    ("image", "pointer", "code"),
    [
        ({}, "/prompt", "missingSetting"),
        ({"prompt": 5}, "/prompt", "invalidSetting"),
        ({"prompt": "x", "steps": 61}, "/steps", "invalidSetting"),
        ({"prompt": "x", "width": 1001}, "/width", "invalidSetting"),
        ({"prompt": "x", "height": 2056}, "/height", "invalidSetting"),
        ({"prompt": "x", "loraScale": 2.5}, "/loraScale", "invalidSetting"),
        ({"prompt": "x", "count": 17}, "/count", "invalidSetting"),
        ({"prompt": "x", "format": "gif"}, "/format", "invalidSetting"),
        ({"prompt": "x", "negativPrompt": "y"}, "/negativPrompt", "unknownSetting"),
        ({"prompt": "x", "scheduler": "Eulr"}, "/scheduler", "invalidSetting"),
        ("x", "", "wrongType"),
    ],
)
@pytest.mark.parametrize("mapped", [False, True])
def test_a_setting_of_a_picture_that_is_wrong_is_told(image, pointer, code, mapped):
    images = [["@Map($.store.styles)", image]] if mapped else [image]
    where = f"/steps/0/parameters/images/0{'/1' * mapped}{pointer}"
    drawer = step("ImageGenerator", images=images, baseModel="org/base")
    assert faults(flow(drawer)) == [(where, code)]


@pytest.mark.parametrize(
    "parameters",
    [
        {"images": "$.store.styles", "baseModel": "b"},
        {"images": [{"@Extend": "$.store.sizes"}], "trainingId": "t"},
        {"images": [{"prompt": "x", "baseModel": "b"}, {"prompt": "x", "trainingId": "t"}]},
        {"images": ["$.store.sizes"]},
        {"images": [], "inferencePackId": "p", "baseModel": "b"},
        {
            "images": [{"prompt": "x", "width": "$.store.sizes.wide", "format": "webp"}],
            "baseModel": "b",
        },
    ],
)
def test_pictures_may_be_described_in_every_published_way(parameters):
    assert faults(flow(step("ImageGenerator", **parameters))) == []


@pytest.mark.parametrize(
    ("parameters", "pointer", "code"),
    [
        ({}, "/images", "missingValue"),
        ({"images": {}, "baseModel": "b"}, "/images", "wrongType"),
        ({"images": [], "baseModel": "b"}, "/images", "invalidValue"),
        ({"images": [{"prompt": "x"}]}, "/images/0", "missingValue"),
        ({"images": [["@Map($.store.styles)", {"prompt": "$$"}]]}, "/images/0/1", "missingValue"),
        (
            {"image": [], "images": [{"prompt": "x"}], "baseModel": "b"},
            "/image",
            "unknownParameter",
        ),
    ],
)
def test_parameters_of_a_drawing_that_are_wrong_are_told(parameters, pointer, code):
    drawer = step("ImageGenerator", **parameters)
    assert faults(flow(drawer)) == [(f"/steps/0/parameters{pointer}", code)]


@pytest.mark.parametrize(
    ("parameters", "pointer", "code"),
    [
        ({}, "/sources", "missingValue"),
        ({"sources": []}, "/sources", "invalidValue"),
        ({"sources": "made"}, "/sources", "wrongType"),
        ({"sources": ["nowhere"]}, "/sources/0", "unknownStep"),
        ({"sources": ["$.results.made"]}, "/sources/0", None),
        ({"sources": ["step"]}, "/sources/0", "laterStep"),
        ({"sources": ["made", 5]}, "/sources/1", "wrongType"),
        ({"sources": ["made"], "filename": "../a.zip"}, "/filename", "invalidValue"),
        ({"sources": ["made"], "filename": ".hidden"}, "/filename", "invalidValue"),
        ({"sources": ["made"], "filename": "a.zip"}, "", None),
        ({"source": ["made"], "sources": ["made"]}, "/source", "unknownParameter"),
    ],
)
def test_parameters_of_a_zip_are_checked(parameters, pointer, code):
    definition = flow(transform({"a": 1}), step("Zipper", **parameters))
    expected = [] if code is None else [(f"/steps/1/parameters{pointer}", code)]
    assert faults(definition) == expected


@pytest.mark.parametrize(
    ("parameters", "pointer", "code"),
    [
        ({"amount": 0}, "/amount", "wrongType"),
        ({"amount": 1.5}, "/amount", "wrongType"),
        ({"count": 3}, "/count", "unknownParameter"),
        ({"creativity": 21}, "/creativity", "wrongType"),
        ({"contextId": "nowhere"}, "/contextId", "unknownStep"),
        ({"schema": {"type": "array"}}, "/schema/type", "wrongType"),
        ({"schema": "x"}, "/schema", "wrongType"),
        ({"description": ""}, "/description", "invalidValue"),
        ({"amount": 3, "creativity": 0, "input": {"a": "$.input.name"}}, "", None),
    ],
)
def test_parameters_of_an_object_generator_are_checked(parameters, pointer, code):
    definition = flow(step("ObjectGenerator", **{**ASK, **parameters}))
    expected = [] if code is None else [(f"/steps/0/parameters{pointer}", code)]
    assert faults(definition) == expected


def test_count_is_known_to_mean_amount():
    (fault,) = check(flow(step("ObjectGenerator", **ASK, count=3)), MODEL).faults
    assert fault.hint == "did you mean amount?"


def test_an_object_generator_needs_a_server_with_a_language_model():
    definition = flow(step("ObjectGenerator", **ASK))
    assert faults(definition, Capabilities(has_language_model=False)) == [
        ("/steps/0/type", "noLanguageModel")
    ]
    assert faults(definition, Capabilities()) == []
    assert remarks(definition, Capabilities()) == [("/steps/0/type", "needsLanguageModel")]
    assert remarks(definition, MODEL) == []


# Paths -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "$.input",
        "$.input.photos",
        "$.input.person.age",
        "$.input.person.hair.shade",
        "$.input.free.whatever[3].deep",
        "$.input.labels.any",
        "$.input.people[0].name",
        "$.input.people[-1].name",
        "$.input.people[*].name",
        "$.input.people[?@.name == $.store.prompt].name",
        "$.input.either.a",
        "$.input.either.b",
        "$.input..name",
        "$.input['name','note']",
        "$.store",
        "$.store.styles[1]",
        "$.store.styles[*]",
        "$.results.trainer",
        "$.results.trainer.id",
        "$.results.drawer.images[0].url",
        "$.results.drawer.images[*].seed",
        "$.results.*",
        "$.results.packer.url",
    ],
)
def test_a_path_that_leads_somewhere_is_taken(path):
    assert faults(flow(TRAINER, DRAWER, PACKER, transform({"a": path}))) == []


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("$.input.nowhere", "unknownInput"),
        ("$.input.photos.size", "unknownInput"),
        ("$.input.person.height", "unknownInput"),
        ("$.input.person.hair.length", "unknownInput"),
        ("$.input.people.name", "unknownInput"),
        ("$.input.people[*].nmae", "unknownInput"),
        ("$.input.person[0]", "unknownInput"),
        ("$.input.either.c", "unknownInput"),
        ("$.input.labels.any.deeper", "unknownInput"),
        ("$.input.scenes[?@ == $.input.nowhere]", "unknownInput"),
        ("$.input.scenes[?@ == $.results.nobody.x]", "unknownStep"),
        ("$.store.nowhere", "unknownStoreKey"),
        ("$.store.styles[2]", "unknownStoreKey"),
        ("$.store.styles.first", "unknownStoreKey"),
        ("$.store.nowhere[*]", "unknownStoreKey"),
        ("$.results.trainer.url", "unknownResult"),
        ("$.results.drawer.url", "unknownResult"),
        ("$.results.drawer.images[0].path", "unknownResult"),
        ("$.results.drawer.images.url", "unknownResult"),
        ("$.results.packer.images", "unknownResult"),
        ("$.results.made.a", "laterStep"),
        ("$.results.last.a", "laterStep"),
        ("$.results.nobody.a", "unknownStep"),
        ("$.secret", "invalidPath"),
    ],
)
def test_a_path_that_leads_nowhere_is_told(path, code):
    definition = flow(TRAINER, DRAWER, PACKER, transform({"a": path}), transform({"a": 1}, "last"))
    assert faults(definition) == [("/steps/3/result/a", code)]


def test_a_mistyped_name_in_a_path_is_recognized():
    hints = [
        check(flow(TRAINER, transform({"a": path}))).faults[0].hint
        for path in (
            "$.input.fotos",
            "$.store.promt",
            "$.results.traner.id",
            "$.results.trainer.ids",
        )
    ]
    assert hints == [f"did you mean {name}?" for name in ("photos", "prompt", "trainer", "id")]


def test_a_transformer_and_an_object_generator_say_what_they_leave_behind():
    made = transform({"a": {"b": "$.input.name"}, "list": ["x"]}, "first")
    one = step("ObjectGenerator", "one", **ASK)
    many = step("ObjectGenerator", "many", **ASK, amount=3)
    open_ = transform({"@Extend": "$.store.sizes", "a": 1}, "open")
    good = ["first.a.b", "first.list[0]", "one.scene", "many.list[0].scene", "open.a", "open.wide"]
    bad = ["first.c", "first.a.c", "one.list", "many.scene"]
    asked = transform({name: f"$.results.{name}" for name in good + bad}, "asked")
    found = faults(flow(made, one, many, open_, asked))
    assert found == [(f"/steps/4/result/{name}", "unknownResult") for name in bad]


def test_the_items_of_a_map_are_known():
    def mapped(source: str, inner: Any) -> list[tuple[str, str]]:
        return faults(flow(TRAINER, DRAWER, transform({"a": [[f"@Map({source}, i)", inner]]})))

    inside = "/steps/2/result/a/0/1"
    assert mapped("$.input.people", "$$.name") == []
    assert mapped("$.input.people", "$$.nmae") == [(inside, "unknownMember")]
    assert mapped("$.input.people[*].name", "$$") == []
    assert mapped("$.input.people[*].name", "$$.first") == [(inside, "unknownMember")]
    assert mapped("$.results.drawer.images", {"@Extend": "$$", "u": "$$.url"}) == []
    assert mapped("$.results.drawer.images", "$$.path") == [(inside, "unknownMember")]
    assert mapped("$.results.drawer.images", [["@Map($$.url)", 1]])[0] == (
        f"{inside}/0/0",
        "notAList",
    )
    assert mapped("$.input.name", "$$") == [("/steps/2/result/a/0/0", "notAList")]
    assert mapped("$.store.sizes", "$$") == [("/steps/2/result/a/0/0", "notAList")]
    assert mapped("$.store.styles", "$$.anything") == []
    assert mapped("$.input.nowhere", "$$") == [("/steps/2/result/a/0/0", "unknownInput")]


def test_a_template_in_the_store_is_read_before_the_run():
    good, bad = "@Format($.store.prompt, 1, 2)", "@Format($.store.prompt, 1)"
    assert faults(flow(transform({"a": good}))) == []
    assert faults(flow(transform({"a": bad}))) == [("/steps/0/result/a", "invalidOperator")]
    assert faults(flow(transform({"a": "@Format($.store.styles)"}))) == [
        ("/steps/0/result/a", "wrongType")
    ]


def test_what_may_be_left_out_of_an_input_is_remarked_upon():
    assert remarks(flow(transform({"a": "$.input.note"}))) == [
        ("/steps/0/result/a", "mayBeMissing")
    ]
    for path in ("$.input.name", "$.input.photos", "$.input.people[*].name"):
        assert remarks(flow(transform({"a": path}))) == []


def test_language_in_the_middle_of_a_text_is_remarked_upon():
    definition = flow(transform({"a": [["@Map($.store.styles)", "in $$ colours"]]}))
    assert remarks(definition) == [("/steps/0/result/a/0/1", "languageInText")]


# How it shows itself -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ui", "pointer", "code"),
    [
        ({"textColor": "red"}, "/textColor", "invalidColour"),
        ({"bodyBackgroundColor": "#12345"}, "/bodyBackgroundColor", "invalidColour"),
        ({"backgroundShadowColor": 5}, "/backgroundShadowColor", "invalidColour"),
        ({"textColour": "#fff"}, "/textColour", "unknownField"),
        ({"instructions": "one"}, "/instructions", "wrongType"),
        ({"deliverables": [5]}, "/deliverables/0", "wrongType"),
        ({"previewAssetIds": [""]}, "/previewAssetIds/0", "invalidValue"),
        ({"results": []}, "/results", "wrongType"),
        ({"results": {"widgets": [{}]}}, "/results/widgets/0/type", "missingValue"),
        (
            {"results": {"widgets": [{"type": "Images", "sources": ["nobody"]}]}},
            "/results/widgets/0/sources/0",
            "unknownStep",
        ),
        (
            {"results": {"widgets": [{"type": "Images", "sources": ["packer"]}]}},
            "/results/widgets/0/sources/0",
            "unfitSource",
        ),
        (
            {"results": {"widgets": [{"type": "Download", "sources": ["drawer"]}]}},
            "/results/widgets/0/sources/0",
            "unfitSource",
        ),
        (
            {"results": {"widgets": [{"type": "Picture", "sources": ["drawer"]}]}},
            "/results/widgets/0/type",
            "invalidValue",
        ),
        (
            {"results": {"widgets": [{"type": "Images", "sources": ["$.results.drawer"]}]}},
            "/results/widgets/0/sources/0",
            "unknownStep",
        ),
    ],
)
def test_what_is_wrong_with_the_looks_is_told(ui, pointer, code):
    assert (f"/ui{pointer}", code) in faults(flow(ui=ui))


def test_all_published_fields_of_the_looks_are_taken():
    ui = {
        "submitLabel": "Go",
        "instructions": ["a"],
        "deliverables": ["b"],
        "textColor": "#fff",
        "backgroundShadowColor": "#ffffff80",
        "bodyBackgroundColor": "#A1B2C3",
        "leftBackgroundAssetId": "x",
        "rightBackgroundAssetId": "y",
        "previewAssetIds": ["z"],
        "results": {
            "widgets": [
                {"type": "Images", "sources": ["drawer"]},
                {"type": "Objects", "sources": ["trainer", "drawer", "packer"]},
                {"type": "Download", "sources": ["packer"]},
            ]
        },
    }
    assert faults(flow(ui=ui)) == []


# All at once, and whatever comes -----------------------------------------------------------------


def test_all_faults_are_told_at_once():
    definition = flow(
        {**TRAINER, "id": "__proto__"},
        step("ImageGenerator", "drawer", images=[{"prompt": "$.input.x", "steps": 99}]),
        title="",
        ui={"textColor": "red"},
    )
    assert set(faults(definition)) == {
        ("/title", "invalidValue"),
        ("/steps/0/id", "invalidStepId"),
        ("/steps/1/parameters/images/0", "missingValue"),
        ("/steps/1/parameters/images/0/prompt", "unknownInput"),
        ("/steps/1/parameters/images/0/steps", "invalidSetting"),
        ("/ui/textColor", "invalidColour"),
    }
    with pytest.raises(InvalidFlow, match=r"/title: must not be empty(?s:.*)/ui/textColor"):
        checked_flow(definition)


def test_a_flow_without_input_takes_none():
    definition = flow(transform({"a": "$.input.x"}))
    del definition["input"]
    assert faults(definition) == [("/steps/0/result/a", "unknownInput")]


def test_two_hundred_steps_are_checked():
    steps = [transform({"a": f"$.results.s{n - 1}.a" if n else 1}, f"s{n}") for n in range(200)]
    assert faults(flow(*steps)) == []


@pytest.mark.parametrize(
    ("definition", "code"),
    [
        (flow(store={"x": "y" * 999_999}), "tooLarge"),
        (flow(store={"x": [0] * 10**6}), "tooLarge"),
        (flow(store={"x": float("nan")}), "notFinite"),
        (flow(store={"x": [1, float("inf")]}), "notFinite"),
        (flow(steps=[transform({})] * 1_000), "tooLarge"),
    ],
    ids=["1 MB", "a million items", "NaN", "Infinity", "a thousand steps"],
)
def test_a_hostile_definition_is_refused(definition, code):
    assert code in {code for _, code in faults(definition)}


def test_thousands_of_faults_are_told_as_far_as_anyone_would_mend_them():
    paths = [f"$.input.p{n}" for n in range(1_000)]
    form = {"type": "object", "properties": {f"q{n}": {} for n in range(1_000)}}
    assert len(faults(flow(transform({"a": paths}), input=form))) == 500
    settings = {"baseModel": "b", **dict.fromkeys((f"epoch{n}" for n in range(5_000)), 1)}
    trainer = step("ModelGenerator", datasetId="$.input.photos", settings=settings)
    assert faults(flow(trainer)) == [("/steps/0/parameters/settings", "tooLarge")]


def test_a_definition_that_nests_too_deeply_is_refused():
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    assert [code for _, code in faults({**flow(), "store": {"x": deep}})] == ["tooDeep"]


WORDS = [
    "$",
    "$$.a",
    "$.input.a",
    "@Map($.input.a)",
    "@Extend",
    "#/properties/a",
    "object",
    "array",
]
NAMES = [
    *("a", "@Extend", "id", "type", "parameters", "result", "images", "prompt", "settings"),
    *("sources", "schema", "widgets", "properties", "$ref", "items", "anyOf", "required"),
    *("additionalProperties", "default", "pattern"),
]
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(WORDS),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)
    ),
    max_leaves=12,
)


@pytest.mark.slow
@settings(deadline=None)
@given(anything, anything, anything, st.sampled_from([*map(str, StepType), "x"]))
def test_no_definition_is_answered_by_a_crash(one, two, three, kind):
    check(one)
    made = {"id": "s", "type": kind, "parameters": one, "result": one}
    asked = transform({"a": "$.input.a", "b": "$.results.s.a"})
    checked = check(flow(made, asked, input=two, ui=three))
    json.dumps([str(fault) for fault in checked.faults])
    check(flow(steps=one, store=two, ui={"results": three}))
    check(flow(transform(one), input={"type": "object", "properties": {"a": two}}))


# What is published -------------------------------------------------------------------------------


@pytest.mark.parametrize("which", PRINTED)
def test_a_published_step_is_taken_word_for_word(which):
    text, name = PRINTED[which], TAKES[which]
    whole = (
        f"{{title: 'T', description: 'D', input: {{type: 'object', required: ['{name}'], "
        f"properties: {{{name}: {{type: 'string', dataset: true}}}}}}, steps: [{text}]}}"
    )
    checked = check(read_document(whole).values)
    assert checked.faults == ()
    unlikely = [remark.code for remark in checked.remarks]
    assert unlikely == (["unlikelyTemplate"] if "your-template" in text else [])
