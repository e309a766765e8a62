"""Colours of strangers, written into a style sheet."""

import pytest

from modelgenerator.service.dashboard.flow_colours import colour_rules, contrast, read_colour


@pytest.mark.parametrize(
    "value",
    [
        "red",
        "#12",
        "#12345",
        "#ggg",
        "#fff;}",
        "#fff\n",
        "url(x)",
        "</style>",
        None,
        7,
        ["#fff"],
        "#١٢٣",
    ],
)
def test_what_is_no_colour_is_not_written(value):
    assert read_colour(value) is None
    names = ("bodyBackgroundColor", "textColor", "backgroundShadowColor")
    assert colour_rules(dict.fromkeys(names, value)) == ""


def test_all_four_ways_of_writing_are_read():
    assert read_colour("#1aF") == (0x11, 0xAA, 0xFF, 255)
    assert read_colour("#1aF8") == (0x11, 0xAA, 0xFF, 0x88)
    assert read_colour("#102030") == (16, 32, 48, 255)
    assert read_colour("#10203040") == (16, 32, 48, 64)


def test_text_that_nobody_could_read_is_black_or_white():
    assert "color: #000000ff" in colour_rules({"bodyBackgroundColor": "#eee", "textColor": "#ddd"})
    assert "color: #ffffffff" in colour_rules({"bodyBackgroundColor": "#123", "textColor": "#234"})
    assert "color: #aabbccff" in colour_rules({"bodyBackgroundColor": "#000", "textColor": "#abc"})


def test_text_without_a_ground_gets_one_that_it_can_be_read_on():
    assert "background: #ffffffff" in colour_rules({"textColor": "#222222"})
    assert "background: #000000ff" in colour_rules({"textColor": "#ffff00"})


def test_contrast_is_that_of_the_standard():
    assert contrast((0, 0, 0, 255), (255, 255, 255, 255)) == pytest.approx(21)
    assert contrast((119, 119, 119, 255), (255, 255, 255, 255)) == pytest.approx(4.48, abs=0.01)
