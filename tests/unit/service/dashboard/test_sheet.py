"""The one style sheet is whole: a brace that is lost hides every rule behind it."""

from importlib.resources import files

from modelgenerator.service import dashboard


def test_every_block_of_the_sheet_is_closed_where_it_ends() -> None:
    sheet = files(dashboard).joinpath("static", "dashboard.css").read_text(encoding="utf-8")
    depth = 0
    for number, line in enumerate(sheet.splitlines(), 1):
        assert depth == 0 or not line.startswith("/* ---"), f"line {number} is within a block"
        depth += line.count("{") - line.count("}")
    assert depth == 0
