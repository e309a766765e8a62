"""Where a subject is: what is kept of it, its boxes, the grid that it lies on."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelgenerator.datasets.regions import Box, Mask, SubjectRegions, grid_size, on_grid


def regions(height: int = 40, width: int = 60, **where: slice) -> SubjectRegions:
    """A subject at `rows` and `columns`; its head is the upper half of that."""
    subject_HW: Mask = np.zeros((height, width), np.bool_)
    head_HW = subject_HW.copy()
    rows, columns = where.get("rows", slice(10, 30)), where.get("columns", slice(20, 40))
    subject_HW[rows, columns] = True
    head_HW[rows.start : (rows.start + rows.stop) // 2, columns] = True
    return SubjectRegions(subject_HW=subject_HW, head_HW=head_HW, found_by="a test", subjects=2)


def test_what_is_kept_is_found_again():
    before = regions()
    after = SubjectRegions.from_bytes(before.as_bytes())
    assert np.array_equal(after.subject_HW, before.subject_HW)
    assert np.array_equal(after.head_HW, before.head_HW)
    assert (after.found_by, after.subjects, after.faces) == ("a test", 2, 0)


def test_a_box_is_in_pixels_of_the_photo():
    found = regions()
    assert found.box((60, 40)) == Box(20, 10, 40, 30)
    assert found.box((600, 400)) == Box(200, 100, 400, 300)
    assert found.head_box((600, 400)) == Box(200, 100, 400, 200)


@given(st.integers(30, 3000), st.integers(30, 3000))
def test_a_box_holds_all_of_the_subject_and_lies_in_the_photo(width: int, height: int):
    box = regions(rows=slice(0, 40), columns=slice(0, 60)).box((width, height))
    assert box == Box(0, 0, width, height)


def test_the_share_is_of_the_photos_area():
    assert regions().share == pytest.approx(20 * 20 / (40 * 60))


def test_borders_that_cut_the_subject_are_named():
    assert regions().borders_met() == ()
    assert regions(rows=slice(10, 40), columns=slice(0, 20)).borders_met() == ("left", "bottom")


def test_a_grid_has_the_shape_of_the_photo_and_is_never_larger():
    assert grid_size((60, 40)) == (60, 40)
    assert grid_size((4000, 3000)) == (640, 480)
    assert grid_size((9000, 3)) == (640, 1)
    assert on_grid(np.zeros((3000, 4000, 3), np.uint8)).shape == (480, 640, 3)
