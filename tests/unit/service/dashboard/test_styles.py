"""The one sheet that several hands write into."""

from importlib.resources import files


def test_every_section_of_the_sheet_stands_outside_of_blocks():
    sheet = files("modelgenerator.service.dashboard").joinpath("static", "dashboard.css")
    depth = 0
    for line in sheet.read_text().splitlines():
        if line.startswith("/* ---"):
            assert depth == 0, line
        depth += line.count("{") - line.count("}")
        assert depth >= 0, line
    assert depth == 0
