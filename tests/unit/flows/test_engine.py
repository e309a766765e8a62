"""Which step comes next, and with what."""

from typing import Any

import pytest
from tests.flows import flow, step, transform

from modelgenerator.flows.check import Capabilities, checked_flow
from modelgenerator.flows.engine import Done, Failed, RunState, StepToRun, next_step
from modelgenerator.flows.parameters import (
    ImageGeneratorParameters,
    ModelGeneratorParameters,
    ObjectGeneratorParameters,
    ObjectTransformerParameters,
    PictureFormat,
    ZipperParameters,
)

GIVEN = {"photos": "dataset-1", "scenes": ["beach", "$.store.prompt"], "name": "lvff"}


def after(of: Any, results: dict[str, Any], given: Any = GIVEN) -> StepToRun | Done | Failed:
    return next_step(
        checked_flow(of, Capabilities(has_language_model=True)), RunState(given, results)
    )


def to_run(of: Any, results: dict[str, Any], given: Any = GIVEN) -> StepToRun:
    found = after(of, results, given)
    assert isinstance(found, StepToRun), found
    return found


def test_the_steps_of_a_run_come_in_order_with_what_the_earlier_ones_left():
    results: dict[str, Any] = {}
    first = to_run(flow(), results)
    assert (first.step.id, first.number) == ("trainer", 1)
    assert first.parameters == ModelGeneratorParameters(
        dataset_id="dataset-1",
        training_settings_id=None,
        settings={"baseModel": "org/base", "epochs": 50},
    )
    results["trainer"] = {"id": "training-1"}
    second = to_run(flow(), results)
    assert isinstance(second.parameters, ImageGeneratorParameters)
    assert [image.given() for image in second.parameters.images] == [
        {"prompt": "lvff, beach", "seed": 7, "trainingId": "training-1"},
        {"prompt": "lvff, $.store.prompt", "seed": 7, "trainingId": "training-1"},
    ]
    results["drawer"] = {"images": []}
    third = to_run(flow(), results)
    assert third.parameters == ZipperParameters(("drawer", "trainer"), "result.zip")
    results["packer"] = {"url": "u"}
    assert after(flow(), results) == Done()


def test_a_run_resumes_at_the_step_that_left_no_result():
    kept = {"trainer": {"id": "training-1"}}
    assert to_run(flow(), kept) == to_run(flow(), kept)
    assert to_run(flow(), kept).step.id == "drawer"
    assert kept == {"trainer": {"id": "training-1"}}


def test_a_result_of_a_later_step_is_not_seen():
    of = flow(transform({"a": "$.results.*"}, "first"), transform({}, "second"))
    found = to_run(of, {"second": {"b": 1}})
    assert found.parameters == ObjectTransformerParameters({"a": []})


def test_a_step_whose_path_leads_nowhere_fails_with_its_place():
    failed = after(flow(transform({"a": ["$.input.note"]})), {})
    assert isinstance(failed, Failed)
    assert (failed.step.id, failed.number) == ("made", 1)
    (fault,) = failed.faults
    assert (fault.pointer, fault.code) == ("/result/a/0", "unresolvedTemplate")
    assert fault.message == "$.input.note leads to nothing"


@pytest.mark.parametrize(
    ("parameters", "pointer", "code"),
    [
        ({"images": [{"prompt": "$.input.note"}]}, "/images/0/prompt", "invalidSetting"),
        (
            {"images": [{"prompt": "x", "steps": "$.input.note"}]},
            "/images/0/steps",
            "invalidSetting",
        ),
        ({"images": "$.input.people"}, "/images/1/name", "unknownSetting"),
        ({"images": "$.input.note"}, "/images", "wrongType"),
        ({"images": [{"prompt": "x"}], "trainingId": "$.input.note"}, "/trainingId", "wrongType"),
    ],
)
def test_values_from_outside_are_checked_when_they_are_there(parameters, pointer, code):
    given = {**GIVEN, "note": 99, "people": [{"prompt": "x"}, {"name": "y", "prompt": "z"}]}
    failed = after(flow(step("ImageGenerator", **{"baseModel": "b", **parameters})), {}, given)
    assert isinstance(failed, Failed)
    assert [(fault.pointer, fault.code) for fault in failed.faults] == [
        (f"/parameters{pointer}", code)
    ]


def test_settings_from_outside_are_checked_too():
    settings = {"@Extend": "$.input.free", "epochs": 3}
    of = flow(step("ModelGenerator", datasetId="$.input.photos", settings=settings))
    good = to_run(of, {}, {**GIVEN, "free": {"baseModel": "b", "epochs": 9}})
    assert isinstance(good.parameters, ModelGeneratorParameters)
    assert good.parameters.settings == {"baseModel": "b", "epochs": 3}
    failed = after(of, {}, {**GIVEN, "free": {"epoch": 9}})
    assert isinstance(failed, Failed)
    assert [(fault.pointer, fault.code) for fault in failed.faults] == [
        ("/parameters/settings/epoch", "unknownSetting"),
        ("/parameters/settings/baseModel", "missingSetting"),
    ]


def test_what_is_said_for_all_pictures_gives_way_to_what_one_says():
    images = [{"prompt": "a"}, {"prompt": "b", "baseModel": "own", "format": "webp", "count": 2}]
    found = to_run(
        flow(step("ImageGenerator", images=images, baseModel="all", inferencePackId="p")), {}
    )
    assert isinstance(found.parameters, ImageGeneratorParameters)
    assert [image.base_model for image in found.parameters.images] == ["all", "own"]
    assert [image.format for image in found.parameters.images] == [
        PictureFormat.PNG,
        PictureFormat.WEBP,
    ]
    assert found.parameters.images[1].count == 2
    assert found.parameters.inference_pack_id == "p"


def test_an_object_generator_is_told_everything():
    schema = {"type": "object", "properties": {"s": {"type": "string"}}}
    asked = {"description": "d", "schema": schema, "input": {"n": "$.input.name"}, "creativity": 7}
    context = step("ObjectGenerator", "context", description="d", schema=schema)
    of = flow(context, step("ObjectGenerator", **asked, amount=3, contextId="context"))
    assert to_run(of, {"context": {"s": ""}}).parameters == ObjectGeneratorParameters(
        description="d",
        schema=schema,
        input={"n": "lvff"},
        amount=3,
        creativity=7.0,
        context_id="context",
    )
    assert to_run(of, {}).parameters == ObjectGeneratorParameters("d", schema, None, 1, None, None)
