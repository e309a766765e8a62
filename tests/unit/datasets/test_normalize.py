"""The square around a subject: margin, borders, heads, photos without a subject."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from modelgenerator.datasets.normalize import cuts_subject, square_around
from modelgenerator.datasets.regions import Box, Mask, Size, SubjectRegions


def subject(photo: Size, box: Box, head: Box | None = None) -> SubjectRegions:
    subject_HW: Mask = np.zeros((photo[1], photo[0]), np.bool_)
    head_HW = subject_HW.copy()
    subject_HW[box.top : box.bottom, box.left : box.right] = True
    if head:
        head_HW[head.top : head.bottom, head.left : head.right] = True
    return SubjectRegions(subject_HW=subject_HW, head_HW=head_HW, found_by="a test")


def test_a_tenth_of_the_longer_side_is_left_on_every_side():
    found = subject((300, 200), Box(100, 50, 160, 150))
    assert square_around(found, (300, 200)) == Box(70, 40, 190, 160)


def test_at_a_border_the_square_is_moved_and_not_shrunk():
    found = subject((300, 200), Box(0, 100, 100, 200))
    assert square_around(found, (300, 200)) == Box(0, 80, 120, 200)


def test_a_photo_without_a_subject_gives_its_centre():
    assert square_around(None, (300, 200)) == Box(50, 0, 250, 200)
    assert square_around(None, (200, 300)) == Box(0, 50, 200, 250)


def test_of_a_subject_that_is_too_long_the_head_is_kept():
    photo, body = (100, 300), Box(20, 10, 80, 290)
    found = subject(photo, body, head=Box(30, 10, 70, 60))
    square = square_around(found, photo)
    assert square == Box(0, 10, 100, 110)
    assert cuts_subject(found, square, photo)
    headless = subject(photo, body)
    assert square_around(headless, photo) == Box(0, 100, 100, 200)


def test_a_subject_that_fits_is_not_cut():
    photo = (300, 200)
    found = subject(photo, Box(100, 50, 160, 150))
    assert not cuts_subject(found, square_around(found, photo), photo)


sides = st.integers(16, 120)


@given(sides, sides, st.data())
def test_the_square_lies_in_the_photo_and_holds_what_can_be_held(
    width: int, height: int, data: st.DataObject
):
    left, top = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    right = data.draw(st.integers(left + 1, width))
    bottom = data.draw(st.integers(top + 1, height))
    found, photo = subject((width, height), Box(left, top, right, bottom)), (width, height)
    square = square_around(found, photo)
    assert square.width == square.height <= min(photo)
    assert square.left >= 0
    assert square.top >= 0
    assert square.right <= width
    assert square.bottom <= height
    longest = max(right - left, bottom - top)
    assert cuts_subject(found, square, photo) == (longest > min(photo))
