"""Each finding on a picture has two sides of its threshold, and real photos lie on the good one."""

from collections.abc import Callable

import pytest
from tests.inspected import HEAD, SUBJECT, good_facts, picture_of, seen, with_subject
from tests.real_photos import (
    CAMERA,
    CUP,
    PHOTOS,
    PORTRAIT,
    WOMAN,
    blurred,
    lighter,
    real_photo,
    regions_in,
)

from modelgenerator.datasets.images import Photo
from modelgenerator.datasets.inspection.facts import PictureFacts, facts_of
from modelgenerator.datasets.inspection.one_picture import findings_on
from modelgenerator.datasets.inspection.report import Level
from modelgenerator.datasets.regions import Box, SubjectRegions
from modelgenerator.datasets.subject import SubjectKind

SQUARE = Box(0, 0, 400, 400)


def codes(facts: PictureFacts, kind: SubjectKind | None = None) -> dict[str, Level]:
    return {finding.code: finding.level for finding in findings_on(facts, kind)}


def facts_on(
    photo: Photo, regions: SubjectRegions | None = None, *, resolution: int = 512
) -> PictureFacts:
    facts = facts_of(picture_of("a.jpg", photo, regions), resolution)
    assert facts is not None
    return facts


def test_nothing_stands_against_a_good_picture() -> None:
    assert codes(good_facts(), SubjectKind.PERSON) == {}


TWO_SIDES: list[tuple[str, Level, Callable[[], PictureFacts], Callable[[], PictureFacts]]] = [
    (
        "tooSmall",
        Level.PROBLEM,
        lambda: good_facts(enlargement=4.1),
        lambda: good_facts(enlargement=3.9),
    ),
    (
        "enlarged",
        Level.WARNING,
        lambda: good_facts(enlargement=2.1),
        lambda: good_facts(enlargement=1.05),
    ),
    (
        "enlarged",
        Level.INFO,
        lambda: good_facts(enlargement=1.9),
        lambda: good_facts(enlargement=1.0),
    ),
    (
        "blurred",
        Level.PROBLEM,
        lambda: good_facts(crispness=0.34),
        lambda: good_facts(crispness=0.38),
    ),
    (
        "soft",
        Level.WARNING,
        lambda: good_facts(crispness=0.6),
        lambda: good_facts(crispness=0.64),
    ),
    (
        "tooDark",
        Level.PROBLEM,
        lambda: seen(good_facts(), highlights=21.0),
        lambda: seen(good_facts(), highlights=23.0),
    ),
    (
        "dark",
        Level.WARNING,
        lambda: seen(good_facts(), highlights=39.0),
        lambda: seen(good_facts(), highlights=41.0),
    ),
    (
        "tooBright",
        Level.WARNING,
        lambda: seen(good_facts(), bright_share=0.32),
        lambda: seen(good_facts(), bright_share=0.28),
    ),
    (
        "tooBright",
        Level.PROBLEM,
        lambda: seen(good_facts(), bright_share=0.65),
        lambda: seen(good_facts(subject=None), bright_share=0.55),
    ),
    (
        "backlit",
        Level.WARNING,
        lambda: seen(
            good_facts(), subject_brightness=20.0, highlights=50.0, background_brightness=80.0
        ),
        lambda: seen(
            good_facts(), subject_brightness=20.0, highlights=70.0, background_brightness=80.0
        ),
    ),
    (
        "lowContrast",
        Level.WARNING,
        lambda: seen(good_facts(), contrast=3.0),
        lambda: seen(good_facts(), contrast=5.0),
    ),
    (
        "compressed",
        Level.WARNING,
        lambda: seen(good_facts(), blockiness=1.8),
        lambda: seen(good_facts(), blockiness=1.6),
    ),
    (
        "bars",
        Level.WARNING,
        lambda: seen(good_facts(), bars=(0.0, 0.1, 0.0, 0.1)),
        lambda: seen(good_facts(crop=Box(60, 60, 450, 450)), bars=(0.0, 0.1, 0.0, 0.1)),
    ),
    (
        "noSubject",
        Level.WARNING,
        lambda: good_facts(subject=None, crop=SQUARE),
        lambda: good_facts(crop=SQUARE),
    ),
    (
        "smallSubject",
        Level.WARNING,
        lambda: with_subject(good_facts(), share=0.07),
        lambda: with_subject(good_facts(), share=0.09),
    ),
    (
        "severalFaces",
        Level.WARNING,
        lambda: with_subject(good_facts(), faces=2),
        lambda: with_subject(good_facts(), faces=1),
    ),
    (
        "severalSubjects",
        Level.INFO,
        lambda: with_subject(good_facts(), subjects=2),
        lambda: with_subject(good_facts(), subjects=1),
    ),
    (
        "headCut",
        Level.WARNING,
        lambda: with_subject(good_facts(), head_cut=True),
        lambda: with_subject(good_facts(), borders_met=("bottom",)),
    ),
    (
        "subjectCut",
        Level.INFO,
        lambda: with_subject(good_facts(), head=None, borders_met=("left",)),
        lambda: with_subject(good_facts(), head=None, borders_met=()),
    ),
    (
        "cutBySquare",
        Level.INFO,
        lambda: with_subject(good_facts(crop=SQUARE), left_out=0.22),
        lambda: with_subject(good_facts(crop=SQUARE), left_out=0.18),
    ),
]


@pytest.mark.parametrize(("code", "level", "beyond", "within"), TWO_SIDES)
def test_a_finding_is_told_beyond_its_threshold_and_not_within(
    code: str,
    level: Level,
    beyond: Callable[[], PictureFacts],
    within: Callable[[], PictureFacts],
) -> None:
    assert codes(beyond())[code] is level
    assert code not in codes(within())


def test_a_person_without_a_face_is_remarked_on_and_a_mug_is_not() -> None:
    faceless = with_subject(good_facts(), faces=0)
    assert "noFace" in codes(faceless, SubjectKind.PERSON)
    assert "noFace" not in codes(faceless, SubjectKind.PRODUCT)


def test_nothing_is_said_of_the_subject_of_a_style() -> None:
    facts = with_subject(good_facts(), faces=3, head_cut=True, share=0.01)
    assert codes(facts, SubjectKind.STYLE) == {}


@pytest.mark.parametrize("name", PHOTOS)
def test_real_photographs_are_neither_dark_nor_burnt_nor_blurred_nor_squeezed(name: str) -> None:
    told = codes(facts_on(real_photo(name)), SubjectKind.STYLE)
    assert set(told) <= {"enlarged"}


@pytest.mark.parametrize("name", PHOTOS)
def test_a_blur_of_four_trained_pixels_is_a_problem_and_a_photo_that_is_reduced_hides_it(
    name: str,
) -> None:
    spoilt = blurred(real_photo(name), 4)
    assert codes(facts_on(spoilt))["blurred"] is Level.PROBLEM
    assert not {"blurred", "soft"} & set(codes(facts_on(spoilt, resolution=96)))


@pytest.mark.parametrize("name", [PORTRAIT, WOMAN, CUP, CAMERA])
def test_a_fifth_of_the_light_is_a_problem(name: str) -> None:
    assert codes(facts_on(lighter(real_photo(name), 0.2)))["tooDark"] is Level.PROBLEM


def test_a_black_coat_in_daylight_is_not_dark() -> None:
    photo = real_photo(CAMERA)
    man = regions_in(photo, (0.05, 0.3, 0.4, 1))
    facts = facts_on(photo, man)
    assert facts.appearance.subject_brightness < 30
    assert not {"dark", "tooDark", "backlit"} & set(codes(facts))


def test_a_head_at_the_border_is_cut_and_one_with_room_is_not() -> None:
    photo = real_photo(WOMAN)
    cut = regions_in(photo, (0.2, 0, 0.75, 0.9), head=(0.35, 0, 0.6, 0.3))
    whole = regions_in(photo, SUBJECT, head=HEAD)
    assert "headCut" in codes(facts_on(photo, cut))
    assert "headCut" not in codes(facts_on(photo, whole))


def test_the_gravest_is_told_first() -> None:
    facts = seen(good_facts(crispness=0.1, enlargement=1.5), blockiness=2.0)
    levels = [finding.level for finding in findings_on(facts, None)]
    assert levels == [Level.PROBLEM, Level.WARNING, Level.INFO]
