"""The page about flows tells the truth, and so does the guide's example."""

import json
import re
from pathlib import Path

import pytest

from modelgenerator.flows.check import check
from modelgenerator.flows.definition import StepType, read_document
from modelgenerator.flows.language import literal
from modelgenerator.flows.limits import MAX_DEFINITION, MAX_DEPTH, MAX_MAPPED, MAX_RESULT, MAX_TEXT
from modelgenerator.flows.operators import FORMS
from modelgenerator.flows.parameters import FlowImage
from modelgenerator.flows.resolve import Context, resolve
from modelgenerator.flows.results import result_shape
from modelgenerator.flows.steps import parameter_names
from modelgenerator.flows.ui import NEEDED

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "reference" / "flows.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```json5( context)?\n(.*?)```", PAGE, re.DOTALL)
ROWS = re.findall(r"^\| `(.+)` \| `(.+)` \|$", PAGE[PAGE.index("| becomes |") :], re.MULTILINE)


def section(title: str) -> str:
    return PAGE.split(f"### {title}\n")[1].split("\n##")[0]


@pytest.mark.parametrize("text", [text for kind, text in BLOCKS if not kind])
def test_every_flow_on_the_page_can_run(text):
    checked = check(read_document(text).values)
    assert (checked.faults, checked.remarks) == ((), ())


@pytest.mark.parametrize(("template", "value"), ROWS)
def test_every_template_on_the_page_becomes_what_it_says(template, value):
    (context,) = (read_document(text).values for kind, text in BLOCKS if kind)
    assert resolve(json.loads(template), Context(**context)) == json.loads(value)


def test_the_rows_were_found():
    assert len(ROWS) == 14


def test_the_example_of_the_guide_can_run():
    text = (DOCS / "guide" / "portrait-flow.json5").read_text(encoding="utf-8")
    checked = check(read_document(text).values)
    assert (checked.faults, checked.remarks) == ((), ())


def test_the_flow_of_the_guide_trains_as_the_step_of_the_guide_does():
    flow = read_document(
        (DOCS / "guide" / "portrait-flow.json5").read_text(encoding="utf-8")
    ).values
    step = read_document((DOCS / "guide" / "portrait.json5").read_text(encoding="utf-8")).values
    (trainer,) = (each for each in flow["steps"] if each["type"] == "ModelGenerator")
    settings = trainer["parameters"]["settings"]
    assert settings.pop("captionPrefix") == "lvff person"
    assert trainer == step


@pytest.mark.parametrize("kind", StepType)
def test_every_parameter_and_every_field_of_a_result_is_on_the_page(kind):
    names = set(parameter_names(kind))
    if kind in (StepType.IMAGE_GENERATOR, StepType.MODEL_GENERATOR, StepType.ZIPPER):
        names |= _named(result_shape(kind, literal({})))
    if kind is StepType.IMAGE_GENERATOR:
        names |= {field.alias for field in FlowImage.model_fields.values()}
    assert {name for name in names if not re.search(rf"\b{name}\b", section(kind))} == set()


def test_every_operator_widget_and_limit_is_on_the_page():
    assert {name for name in FORMS if f"@{name}" not in PAGE} == set()
    assert {name for name in NEEDED if f"`{name}`" not in PAGE} == set()
    assert (MAX_DEPTH, MAX_MAPPED, MAX_TEXT, MAX_RESULT, MAX_DEFINITION) == (
        64,
        10_000,
        1_000_000,
        10_000_000,
        1_000_000,
    )
    for limit in ("64 deep", "10,000 mapped items", "1 MB a text", "10 MB a result"):
        assert limit in PAGE


def _named(schema: object) -> set[str]:
    if not isinstance(schema, dict):
        return set()
    properties = schema.get("properties", {})
    below = [*properties.values(), schema.get("items")]
    return set(properties).union(*map(_named, below))
