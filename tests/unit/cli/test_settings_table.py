from pathlib import Path

import pytest

from modelgenerator.cli import settings_table

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "settings.md"


def test_the_reference_page_is_fresh():
    assert PAGE.read_text(encoding="utf-8") == settings_table.markdown(), "run make docs"


def test_the_table_names_every_setting(capsys):
    settings_table.run(as_json=False)
    shown = capsys.readouterr().out
    for row in settings_table.training_rows():
        assert row.name in shown


def test_the_table_says_who_uses_what_not_all_use(capsys: pytest.CaptureFixture[str]):
    settings_table.run(as_json=False)
    shown = capsys.readouterr().out
    assert "base models: SD 3, FLUX" in shown
    assert "optimizers: Prodigy" in shown
    assert "optimizers: all" not in shown


def test_a_group_is_not_torn_apart():
    groups = [row.group for row in settings_table.training_rows()]
    assert len(set(groups)) == sum(
        1 for a, b in zip(groups, [None, *groups], strict=False) if a != b
    )
