from pathlib import Path

import numpy as np
import pytest
from counting import Count
from settings_experiments import EXPERIMENTS, PHOTOS, TO_THE_LEFT, Lesson, write_photos
from settings_matter import brightness, cell, centred, offset_from_middle, summed, table

from modelgenerator.datasets.masks import MaskShades
from modelgenerator.datasets.prepare import Preparation, prepare
from modelgenerator.settings import TrainingSettings


def picture(left: int, side: int = 32) -> np.ndarray:
    """A red square, 4 wide, on blue."""
    pixels_HW3 = np.full((side, side, 3), (40, 60, 200), np.uint8)
    pixels_HW3[10:14, left : left + 4] = (220, 40, 40)
    return pixels_HW3


def test_a_subject_in_the_middle_is_not_aside():
    assert offset_from_middle(picture(14)) == 0


@pytest.mark.parametrize("left", [4, 10, 24])
def test_a_subject_aside_is_found_and_brought_to_the_middle(left: int):
    offset = offset_from_middle(picture(left))
    assert offset == left - 14
    assert offset_from_middle(centred([picture(left)], [offset])[0]) == 0


def test_an_empty_picture_is_not_aside():
    assert offset_from_middle(np.full((32, 32, 3), 90, np.uint8)) == 0


def test_brightness_is_that_of_grey():
    assert brightness(np.full((4, 4, 3), 77, np.uint8)) == pytest.approx(77)


def test_lessons_are_counted_together_and_their_numbers_averaged():
    one = {"subject": Count(right=3, total=8), "seconds": 10.0}
    other = {"subject": Count(right=5, total=8), "seconds": 20.0}
    assert summed([one, other]) == {"subject": Count(right=8, total=16), "seconds": 15.0}


def test_a_share_comes_with_its_interval():
    assert cell([Count(right=3, total=8), Count(right=5, total=8)]) == "8/16 = 50 % (28-72)"


@pytest.mark.parametrize(("number", "told"), [(0.00012345, "0.000123"), (1234.5, "1234")])
def test_a_number_is_told_short(number: float, told: str):
    assert cell([number]) == told


def test_a_column_adds_up_what_it_names():
    measured = {"snow: left": Count(right=1, total=4), "night: left": Count(right=3, total=4)}
    lines = table({"left": ["snow: left", "night: left"]}, {"with": measured}).splitlines()
    assert lines[-1].startswith("| with | 4/8 = 50 %")


def test_every_case_is_settings_that_exist():
    for experiment in EXPERIMENTS.values():
        for case in experiment.cases:
            changes = {name: v for name, v in case.changes(144).items() if v is not None}
            TrainingSettings.from_written({"baseModel": "x", **changes})


def test_photos_have_masks_that_fit_and_captions_that_do_not_name_the_one_scene(tmp_path: Path):
    folder = write_photos(Lesson(subject="lvff", seed=0), "one scene", tmp_path / "photos")
    dataset = prepare(folder, Preparation(caption_prefix="lvff", shades=MaskShades()))
    assert [one.caption for one in dataset.pictures] == ["lvff creature"] * PHOTOS
    assert all(one.mask is not None for one in dataset.pictures)


def test_subjects_of_the_photos_on_the_left_stand_there(tmp_path: Path):
    folder = write_photos(Lesson(subject="zorb", seed=1), "left", tmp_path / "photos")
    photos = [one.read().pixels_HW3[4::8, 4::8] for one in prepare(folder).pictures]
    # the world itself moves its creatures by up to 2 pixels
    assert all(offset_from_middle(photo) <= 2 - TO_THE_LEFT + 1 for photo in photos)
