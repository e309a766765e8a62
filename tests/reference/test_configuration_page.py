"""The configuration page tells the truth."""

import re
from pathlib import Path

import modelgenerator
from modelgenerator.cli.configuration_table import page
from modelgenerator.service.config import ELSEWHERE, OF_CLIENTS, ServiceConfig

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "configuration.md"


def test_the_page_is_what_the_config_says():
    assert PAGE.read_text(encoding="utf-8") == page(), "run `make docs`"


def test_every_variable_has_a_sentence():
    for name, field in ServiceConfig.model_fields.items():
        assert field.description is not None, name
        assert field.description.endswith("."), name


def test_the_service_knows_every_variable_that_the_rest_of_the_package_reads():
    package = Path(modelgenerator.__file__).parent
    sources = [file for file in package.rglob("*.py") if "service" not in file.parts]
    text = "\n".join(file.read_text(encoding="utf-8") for file in sources)
    assert set(re.findall(r'"(MODELGENERATOR_[A-Z_]+)"', text)) == {*ELSEWHERE, *OF_CLIENTS}
