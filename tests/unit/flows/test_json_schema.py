"""The schema for editors knows every name that `check` knows, and takes what `check` takes."""

from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from modelgenerator.flows.definition import TEMPLATE_OF, StepType, read_document
from modelgenerator.flows.json_schema import flow_schema
from modelgenerator.flows.steps import parameter_names

GUIDE = Path(__file__).parents[3] / "docs/guide"
SCHEMA = flow_schema()


def test_it_is_a_schema():
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("file", sorted(GUIDE.glob("*flow*.json5")), ids=lambda path: path.name)
def test_flows_of_the_guide_fit(file: Path):
    values = read_document(file.read_text(encoding="utf-8")).values
    assert list(Draft202012Validator(SCHEMA).iter_errors(values)) == []


@pytest.mark.parametrize("kind", [it for it in StepType if TEMPLATE_OF[it] == "parameters"])
def test_every_parameter_of_a_step_is_in_it(kind: StepType):
    steps = SCHEMA["properties"]["steps"]["items"]["oneOf"]
    step = next(it for it in steps if it["properties"]["type"]["const"] == kind)
    assert set(step["properties"]["parameters"]["properties"]) == set(parameter_names(kind))


def test_a_wrong_name_is_told():
    step = {"id": "a", "type": "Zipper", "parameters": {"source": ["b"]}}
    wrong = {"title": "t", "description": "d", "steps": [step]}
    assert not Draft202012Validator(SCHEMA).is_valid(wrong)
