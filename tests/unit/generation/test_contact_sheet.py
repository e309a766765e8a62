import numpy as np
import pytest
from PIL import Image

from modelgenerator.generation.contact_sheet import CELL, GAP, LABEL, Row, contact_sheet

FIRST_TOP = LABEL + GAP + LABEL


def checks(width: int, height: int) -> Image.Image:
    """Black and red by turns, a colour that no other part of the page has."""
    rows, columns = np.indices((height, width))
    pixels_HW3 = np.zeros((height, width, 3), np.uint8)
    pixels_HW3[(rows + columns) % 2 == 1] = (255, 0, 0)
    return Image.fromarray(pixels_HW3)


def cell(page: Image.Image, column: int) -> np.ndarray:
    left = GAP + column * (CELL + GAP)
    return np.asarray(page.crop((left, FIRST_TOP, left + CELL, FIRST_TOP + CELL)))


def test_small_pictures_are_enlarged_by_whole_numbers_without_smoothing():
    page = contact_sheet("title", [Row(label="row", pictures=[checks(32, 32)])])
    expected_HW3 = np.asarray(checks(32, 32)).repeat(4, 0).repeat(4, 1)
    np.testing.assert_array_equal(cell(page, 0), expected_HW3)


def test_a_picture_that_does_not_divide_the_cell_stays_sharp_and_centred():
    page = contact_sheet("title", [Row(label="row", pictures=[checks(48, 32)])])
    colours = {tuple(pixel) for pixel in cell(page, 0).reshape(-1, 3).tolist()}
    assert colours == {(0, 0, 0), (255, 0, 0), (255, 255, 255)}
    drawn_HW = (cell(page, 0) != 255).any(2)
    rows, columns = drawn_HW.any(1).nonzero()[0], drawn_HW.any(0).nonzero()[0]
    assert (rows[0], rows[-1]) == (32, 95)
    assert (columns[0], columns[-1]) == (16, 111)


@pytest.mark.parametrize("size", [(512, 512), (1000, 300), (5000, 1)])
def test_large_pictures_are_reduced_into_their_cell(size: tuple[int, int]):
    page = contact_sheet("title", [Row(label="row", pictures=[Image.new("RGB", size, (9, 9, 9))])])
    drawn_HW = (cell(page, 0) == 9).all(2)
    assert drawn_HW.any(0).sum() == CELL


def test_the_page_holds_every_row_and_the_longest_one():
    rows = [Row(label="a", pictures=[checks(8, 8)] * 6), Row(label="b", pictures=[checks(8, 8)])]
    page = contact_sheet("title", rows)
    assert page.size == (GAP + 6 * (CELL + GAP), LABEL + GAP + 2 * (LABEL + CELL + GAP))


def test_the_words_of_a_narrow_page_are_not_cut_off():
    narrow = contact_sheet("t", [Row(label="r", pictures=[checks(8, 8)])])
    wide = contact_sheet("t", [Row(label="a long prompt " * 6, pictures=[checks(8, 8)])])
    assert wide.width > narrow.width
    assert (np.asarray(wide)[:, -GAP:] == 255).all()
