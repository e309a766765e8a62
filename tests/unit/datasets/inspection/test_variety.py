"""What all pictures share is told, and what differs is praised."""

from collections.abc import Sequence
from dataclasses import replace

from tests.inspected import good_facts, seen, with_subject

from modelgenerator.datasets.inspection.facts import PictureFacts
from modelgenerator.datasets.inspection.report import Level
from modelgenerator.datasets.inspection.variety import Respect, variety
from modelgenerator.datasets.regions import Box
from modelgenerator.datasets.subject import SubjectKind

RED, BLUE = (1000, *[0] * 35), (*[0] * 35, 1000)
FILLED, RING = (100,) * 256, tuple(100 * (n % 2) for n in range(256))


def judged(pictures: Sequence[PictureFacts], kind: SubjectKind | None = None) -> dict[str, Respect]:
    return {respect.finding.title: respect for respect in variety(pictures, kind)}


def with_head(height: int) -> PictureFacts:
    return with_subject(good_facts(), head=Box(0, 0, height, height))


def test_four_of_the_same_lack_everything_and_each_lack_has_a_wish() -> None:
    lacking = judged([good_facts()] * 5, SubjectKind.PERSON)
    assert list(lacking) == ["Scale", "Pose", "Background", "Light"]
    assert all(one.finding.level is Level.WARNING and one.wish for one in lacking.values())


def test_nothing_is_said_of_three() -> None:
    assert variety([good_facts()] * 3, None) == ()


def test_near_and_far_heads_are_a_varied_scale() -> None:
    close, waist, far = with_head(300), with_head(150), with_head(60)
    assert judged([close, waist, far, close])["Scale"].finding.code == "scaleVaries"
    alike = judged([close, close, close, close, waist])["Scale"]
    assert alike.finding.code == "scaleAlike"
    assert "4 close-ups" in alike.finding.message
    assert "whole figure" in (alike.wish or "")


def test_without_heads_the_distance_counts_unless_all_are_cut_to_the_subject() -> None:
    shares = [with_subject(good_facts(), head=None, share=share) for share in (0.1, 0.2, 0.4, 0.6)]
    assert judged(shares)["Scale"].finding.code == "scaleVaries"
    cut = [replace(one, crop=Box(0, 0, 100, 100)) for one in shares]
    assert "Scale" not in judged(cut)


def test_heads_of_what_has_no_face_are_not_measured_by_those_of_people() -> None:
    creature = with_subject(with_head(300), faces=0)
    cut = replace(creature, crop=Box(0, 0, 400, 400))
    assert "Scale" not in judged([cut] * 5, SubjectKind.OTHER)
    assert "Scale" in judged([cut] * 5, SubjectKind.PERSON)


def test_outlines_tell_poses() -> None:
    filled, ring = (with_subject(good_facts(), outline=cells) for cells in (FILLED, RING))
    assert judged([filled, ring, filled, ring])["Pose"].finding.code == "poseVaries"
    alike = judged([filled, filled, filled, filled, ring])["Pose"].finding
    assert alike.code == "poseAlike"
    assert "4 of 5" in alike.message
    assert "outline" in alike.message


def test_backgrounds_are_told_apart_by_their_colours() -> None:
    red, blue = (seen(good_facts(), background_colours=colours) for colours in (RED, BLUE))
    assert judged([red, blue, red, blue])["Background"].finding.code == "backgroundVaries"
    assert judged([red, red, red, red, blue])["Background"].finding.code == "backgroundAlike"


def test_light_differs_by_brightness_colour_or_side() -> None:
    plain = good_facts()
    appearance = plain.appearance
    others = (
        seen(plain, subject_brightness=appearance.subject_brightness + 9),
        seen(plain, warmth=appearance.warmth + 7),
        seen(plain, light_from_right=appearance.light_from_right + 0.13),
    )
    assert judged([plain, *others])["Light"].finding.code == "lightVaries"
    nearly = seen(plain, subject_brightness=appearance.subject_brightness + 7)
    assert judged([plain, plain, nearly, nearly])["Light"].finding.code == "lightAlike"


def test_of_a_style_only_the_light_is_judged() -> None:
    assert list(judged([good_facts()] * 5, SubjectKind.STYLE)) == ["Light"]
