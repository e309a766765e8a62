import random
from dataclasses import replace

import judge_pictures
import pytest
from counting import Count, together, wilson
from judge_exam import WAYS, Score, exam_table
from judge_pictures import KINDS, LABELS, LOOKS, SUBJECT_NAMES, looks_of, swapped
from learning import Lesson, held_out_scene, write_photos
from learning_report import COLUMNS, GOALS, Outcome, outcome_table, reached, totals_table
from PIL import Image

from modelgenerator.diffusion.builtin.subjects import SUBJECTS

LVFF, ZORB = SUBJECTS["lvff"], SUBJECTS["zorb"]


def kind(name: str) -> judge_pictures.Kind:
    return next(one for one in KINDS if one.name == name)


def outcome(**given: Count) -> Outcome:
    counts = {
        name: Count(right=4, total=10)
        for name in (*COLUMNS.values(), *(f"held-out scene: {look}" for look in LOOKS))
    }
    named = {name.replace("_", " "): value for name, value in given.items()}
    counts |= {f"held-out scene: {name}": value for name, value in named.items()}
    return Outcome(subject="lvff", seed=0, held_out="snow", seconds=61.0, counts=counts)


@pytest.mark.parametrize("name", SUBJECT_NAMES)
def test_the_looks_of_a_subject_are_all_its_own(name):
    looks = looks_of(SUBJECTS[name])
    assert set(looks) == set(LOOKS)
    assert looks["colour"] == looks["second colour"] == looks["hat"] == name


@pytest.mark.parametrize("look", [look for look in LOOKS if look != "ears"])
def test_a_subject_with_one_look_of_another_keeps_all_other_looks(look):
    donor = replace(ZORB, size="small")
    changed = looks_of(swapped(LVFF, look, donor, random.Random(0)))
    expected = looks_of(LVFF)
    expected[look] = looks_of(ZORB)[look]
    assert changed == expected


def test_ears_on_a_subject_make_it_another_creature():
    assert swapped(LVFF, "ears", ZORB, random.Random(0)).ears != "none"


@pytest.mark.parametrize("name", [one.name for one in KINDS if not one.is_subject])
def test_what_is_no_subject_is_never_labelled_as_one(name):
    for seed in range(5):
        drawn = kind(name).draw(random.Random(seed))
        assert drawn.true_word("flawless") == "none"
        assert drawn.true_word("subject") in ("none", None)


def test_a_lookalike_can_be_told_from_its_subject():
    assert not judge_pictures.visibly_differ(LVFF, replace(LVFF, size="small"))
    assert judge_pictures.visibly_differ(LVFF, replace(LVFF, eyes=2))


def test_a_damaged_subject_teaches_nothing_about_its_looks():
    melted = kind("melted").draw(random.Random(1))
    assert set(melted.truth) == {"scene", "flawless"}


def test_a_blurred_picture_teaches_no_scene():
    assert kind("blurred").draw(random.Random(1)).true_word("scene") is None


def test_a_colour_close_to_a_named_one_gets_no_word():
    close = replace(LVFF, colour=(225, 50, 50))
    assert "colour" not in looks_of(close)
    assert looks_of(close, "red")["colour"] == "red"


def test_the_same_seeds_draw_the_same_lessons():
    first, again = (judge_pictures.examples(range(20), KINDS) for _ in range(2))
    assert all((a.pixels_HW3 == b.pixels_HW3).all() for a, b in zip(first, again, strict=True))
    assert [a.truth for a in first] == [b.truth for b in again]


def test_every_question_ends_with_the_word_for_not_sure():
    assert {words[-1] for words in LABELS.values()} == {"none", "other"}


def test_the_interval_agrees_with_wilsons_for_eight_of_ten():
    low, high = wilson(Count(right=8, total=10))
    assert (low, high) == pytest.approx((0.4902, 0.9433), abs=1e-4)


def test_the_interval_stays_between_none_and_all():
    assert wilson(Count(right=0, total=16))[0] == 0.0
    assert wilson(Count(right=16, total=16))[1] == pytest.approx(1.0)
    assert wilson(Count(right=0, total=0)) == (0.0, 1.0)


def test_counts_are_added_before_the_share_is_taken():
    both = together([Count(right=1, total=1), Count(right=0, total=3)])
    assert both.share == 0.25


def test_the_table_has_a_line_for_each_training_and_one_for_all():
    lines = outcome_table([outcome(), outcome(subject=Count(right=8, total=10))]).splitlines()
    assert len(lines) == 4
    assert lines[-1].startswith("all")
    assert "60 %" in lines[-1]
    assert len({len(line) for line in lines[:-1]}) == 1


def test_a_share_below_its_goal_is_said_and_not_hidden():
    low, full = Count(right=7, total=10), Count(right=10, total=10)
    table = totals_table([outcome(all_looks=low, scene=full)])
    verdicts = {line.split("  ")[0]: line for line in table.splitlines() if "goal" in line}
    assert set(verdicts) == set(GOALS)
    assert "BELOW GOAL" in verdicts["held-out scene: all looks"]
    assert "PASS" in verdicts["held-out scene: scene"]
    assert not reached([outcome(all_looks=low, scene=full)])
    assert reached([outcome(all_looks=full, scene=full)])


def test_the_exam_shows_both_ways_of_naming_a_subject_side_by_side():
    ways = {way: Count(right=number, total=4) for number, way in enumerate(WAYS, start=1)}
    line = exam_table([Score(name="lvff", counts=ways)]).splitlines()[-1]
    assert line.replace(" %", "").split() == ["lvff", "25.0", "50.0", "75.0", "100.0"]


def test_no_photo_shows_the_held_out_scene(tmp_path):
    lesson = Lesson(
        subject="lvff", seed=0, held_out=held_out_scene("lvff", 0), folder=tmp_path / "lvff-0"
    )
    write_photos(lesson)
    photos, captions = (sorted(lesson.photos.glob(f"*.{end}")) for end in ("png", "txt"))
    assert len(photos) == len(captions) == 8
    assert not [file for file in photos if lesson.held_out in file.stem]
    with Image.open(photos[0]) as photo:
        assert photo.size == (256, 256)
    assert captions[0].read_text().startswith("creature ")


def test_held_out_scenes_change_with_subject_and_seed():
    scenes = {held_out_scene(name, seed) for name in SUBJECT_NAMES for seed in (0, 1)}
    assert len(scenes) >= 5
