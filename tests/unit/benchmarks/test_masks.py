"""What the benchmark of masks counts, and that its composed photos hold what they say."""

import numpy as np
from composed_photos import composed_object, composed_person
from masks import drawn, score

from modelgenerator.datasets.regions import SubjectRegions


def square(left: int, right: int) -> np.ndarray:
    mask_HW = np.zeros((100, 200), bool)
    mask_HW[20:60, left:right] = True
    return mask_HW


def test_a_subject_that_is_found_exactly_has_no_error():
    truth_HW = square(50, 90)
    found = SubjectRegions(subject_HW=truth_HW, head_HW=truth_HW, found_by="truth")
    exact = score(found, truth_HW, truth_HW)
    assert (exact.subject, exact.head, exact.box) == (1.0, 1.0, 0.0)


def test_the_worst_side_of_the_box_counts():
    found = SubjectRegions(subject_HW=square(50, 100), head_HW=square(0, 0), found_by="a guess")
    half = score(found, square(50, 90), None)
    assert half.subject == 0.8
    assert half.head is None
    assert half.box == 10 / 200


def test_nothing_found_is_a_failure_and_counts_as_0():
    missed = score(None, square(50, 90), square(50, 60))
    assert (missed.found, missed.subject, missed.head) == (False, 0.0, 0.0)


def test_composed_objects_are_what_their_masks_say_and_come_again_for_a_seed():
    for seed in range(6):
        one, again = composed_object(seed), composed_object(seed)
        assert np.array_equal(one.photo.pixels_HW3, again.photo.pixels_HW3)
        assert one.subject_HW.shape == one.photo.pixels_HW3.shape[:2]
        assert 0.01 < one.subject_HW.mean() < 0.6
        assert one.head_HW is None


def test_a_composed_portrait_ends_at_the_lower_border():
    cut_out = np.full((90, 60, 3), 200, np.uint8), np.ones((90, 60), bool), square(0, 0)[:90, :60]
    for seed in range(4):
        person = composed_person(seed, [cut_out])
        assert person.subject_HW[-1].any()
        assert not person.subject_HW[0].all()


def test_half_of_the_drawn_pictures_show_creatures_that_nobody_learnt():
    pictures = list(drawn(4, 8))
    assert [one.photo.pixels_HW3.shape for one in pictures] == [(256, 256, 3)] * 4
    assert all(one.head_HW is not None and one.head_HW.any() for one in pictures)
