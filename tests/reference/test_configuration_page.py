"""The configuration page tells the truth."""

from pathlib import Path

from modelgenerator.cli.configuration_table import page
from modelgenerator.service.config import ServiceConfig

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "configuration.md"


def test_the_page_is_what_the_config_says():
    assert PAGE.read_text(encoding="utf-8") == page(), "run `make docs`"


def test_every_variable_has_a_sentence():
    for name, field in ServiceConfig.model_fields.items():
        assert field.description is not None, name
        assert field.description.endswith("."), name
