"""Usual sizes and names of base models for the form that asks for pictures."""

from modelgenerator.service.dashboard.drawing_help import base_models, usual_sizes


def test_usual_sizes_have_about_as_many_pixels_as_the_base_model_knows():
    for side, step in ((32, 8), (512, 64), (1024, 64)):
        square, wide, tall = usual_sizes(side, step)
        assert (square.width, square.height) == (side, side)
        assert (wide.width, wide.height) == (tall.height, tall.width)
        assert wide.width > wide.height
        assert all(length % step == 0 for length in (wide.width, wide.height))
        assert 0.8 < wide.width * wide.height / side**2 < 1.25


def test_the_embedded_base_model_comes_first_and_each_once():
    names = base_models([])
    assert names[0] == "modelgenerator/creatures"
    assert len(set(names)) == len(names)
    assert "creatures" not in names
