"""The verdict follows its rule, and the report has a form that programs can rely on."""

import json
from collections.abc import Mapping

import pytest
from tests.inspected import HEAD, SUBJECT, dataset_with, good_facts, picture_of
from tests.real_photos import PHOTOS, WOMAN, blurred, made, real_photo, regions_in

from modelgenerator.datasets.inspection.inspect import inspect
from modelgenerator.datasets.inspection.report import (
    Finding,
    InspectedPicture,
    Level,
    Verdict,
)
from modelgenerator.datasets.inspection.whole_set import findings_on_set, shopping_list, verdict
from modelgenerator.datasets.prepare import Picture, RefusedPicture
from modelgenerator.datasets.subject import SubjectKind

WARNED = Finding(Level.WARNING, "dark", "Dark", "Brighten it.")
SPOILT = Finding(Level.PROBLEM, "blurred", "Blurred", "Leave it out.")
BROKEN = RefusedPicture("broken.jpg", "the file is empty")


def inspected(*findings: Finding, name: str = "a.jpg") -> InspectedPicture:
    return InspectedPicture(facts=good_facts(name), findings=findings)


@pytest.mark.parametrize(
    ("good", "findings", "pictures", "expected"),
    [
        (2, [], [inspected()] * 2, Verdict.NOT_USABLE),
        (3, [], [inspected()] * 3, Verdict.USABLE_WITH_WARNINGS),
        (7, [], [inspected()] * 7, Verdict.USABLE_WITH_WARNINGS),
        (8, [], [inspected()] * 8, Verdict.READY),
        (8, [], [inspected(WARNED), *[inspected()] * 7], Verdict.USABLE_WITH_WARNINGS),
        (8, [], [inspected(SPOILT), *[inspected()] * 8], Verdict.USABLE_WITH_WARNINGS),
        (8, [WARNED], [inspected()] * 8, Verdict.USABLE_WITH_WARNINGS),
    ],
)
def test_the_verdict_follows_the_rule(
    good: int, findings: list[Finding], pictures: list[InspectedPicture], expected: Verdict
) -> None:
    assert verdict(good, findings, pictures, ())[0] is expected


def test_the_reason_counts_what_stands_against_the_set() -> None:
    pictures = [inspected(WARNED), inspected(SPOILT), *[inspected()] * 7]
    _, because = verdict(8, [WARNED], pictures, [BROKEN])
    assert because == (
        "8 of 9 pictures will do: 1 has a warning, 1 has a problem, 1 cannot be read."
    )


@pytest.mark.parametrize(
    ("good", "code", "level"),
    [
        (2, "tooFew", Level.PROBLEM),
        (3, "few", Level.WARNING),
        (7, "few", Level.WARNING),
        (8, "enough", Level.GOOD),
        (60, "enough", Level.GOOD),
        (61, "many", Level.INFO),
    ],
)
def test_the_number_of_pictures_is_judged(good: int, code: str, level: Level) -> None:
    facts = [good_facts()] * good
    findings = findings_on_set([inspected()] * good, (), (), facts, None, 512)
    assert (findings[0].code, findings[0].level) == (code, level)


def test_a_large_set_of_a_style_is_not_too_large() -> None:
    pictures, facts = [inspected()] * 70, [good_facts()] * 70
    findings = findings_on_set(pictures, (), (), facts, SubjectKind.STYLE, 512)
    assert findings[0].code == "enough"


def test_most_pictures_of_a_person_should_show_one_face() -> None:
    def codes(faces: list[int]) -> list[str]:
        photo = real_photo(WOMAN)
        pictures = [
            picture_of(f"{n}.jpg", photo, regions_in(photo, SUBJECT, head=HEAD, faces=count))
            for n, count in enumerate(faces)
        ]
        report = inspect(dataset_with(*pictures), resolution=512, kind=SubjectKind.PERSON)
        # all are alike, so the faces are counted on what is left of them: ask the rule itself
        facts = [one.facts for one in report.pictures]
        told = findings_on_set(report.pictures, (), (), facts, SubjectKind.PERSON, 512)
        return [finding.code for finding in told]

    assert "faces" in codes([1, 1, 0, 2])
    assert "fewFaces" in codes([1, 0, 0, 2])


def test_a_resolution_that_most_pictures_are_too_small_for_is_told_once() -> None:
    small, large = good_facts(enlargement=2.5), good_facts()
    findings = findings_on_set([inspected()] * 3, (), (), [small, small, large], None, 512)
    told = [finding for finding in findings if finding.code == "resolutionTooHigh"]
    assert len(told) == 1
    assert "resolution 192" in told[0].message
    assert not any(
        finding.code == "resolutionTooHigh"
        for finding in findings_on_set([inspected()] * 3, (), (), [small, large, large], None, 512)
    )


def test_the_shopping_list_begins_with_how_many_are_missing_and_what_to_replace() -> None:
    wishes = shopping_list(5, [inspected(SPOILT, name="bad.jpg"), inspected()], ())
    assert wishes == (
        "3 photos more, so that at least 8 are good",
        "Better ones instead of bad.jpg",
    )


def photos_of_everything(normalize: bool) -> list[Picture]:
    """Real photographs with a subject each, in a set as a person might bring it."""
    pictures = []
    for name in PHOTOS:
        photo = real_photo(name)
        regions = regions_in(photo, SUBJECT, head=HEAD, faces=1)
        pictures.append(picture_of(name, photo, regions, normalize=normalize))
    return pictures


def test_a_blurred_copy_is_a_problem_a_near_duplicate_and_does_not_count() -> None:
    photo = real_photo(WOMAN)
    copy = picture_of("blurred.jpg", blurred(photo, 5), None)
    report = inspect(dataset_with(*photos_of_everything(False), copy), resolution=512)
    told = {finding.code for finding in report.pictures[-1].findings}
    assert {"blurred", "nearDuplicate"} <= told
    assert report.alike == ((WOMAN, "blurred.jpg"),)
    assert report.because.startswith(f"{len(PHOTOS)} of {len(PHOTOS) + 1} pictures will do")


def test_a_mirrored_copy_is_called_that() -> None:
    photo = real_photo(WOMAN)
    pair = [picture_of("a.jpg", photo, None)]
    pair.append(picture_of("b.jpg", made(photo.pixels_HW3[:, ::-1]), None))
    report = inspect(dataset_with(*pair), resolution=512)
    messages = [one.message for picture in report.pictures for one in picture.findings]
    assert any("mirrored" in message for message in messages)


def test_a_subject_that_is_found_nowhere_is_told_of_the_set_and_not_of_each() -> None:
    lost = [picture_of(name, real_photo(name), None, normalize=True) for name in PHOTOS]
    report = inspect(dataset_with(*lost), resolution=256)
    assert "subjectsNotFound" in {finding.code for finding in report.findings}
    assert all(picture.level is not Level.WARNING for picture in report.pictures)
    once = [*photos_of_everything(True), lost[0]]
    report = inspect(dataset_with(*once), resolution=256)
    assert "subjectsNotFound" not in {finding.code for finding in report.findings}
    assert any(one.code == "noSubject" for one in report.pictures[-1].findings)


def test_the_report_is_json_of_a_fixed_form() -> None:
    dataset = dataset_with(
        *photos_of_everything(True), refused=(BROKEN,), copies={"b.jpg": PHOTOS[0]}
    )
    report = inspect(dataset, resolution=1024, kind=SubjectKind.PERSON).as_json()
    assert json.loads(json.dumps(report)) == json.loads(json.dumps(report, sort_keys=True))
    assert shape(json.loads(json.dumps(report))) == FORM


def shape(value: object) -> object:
    """Names and kinds of values; of a list its first element."""
    if isinstance(value, Mapping):
        return {name: shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


BOX = dict.fromkeys(("left", "top", "right", "bottom"), "int")
FINDING = dict.fromkeys(("level", "code", "title", "message"), "str")
FORM = {
    "formatVersion": "int",
    "verdict": "str",
    "because": "str",
    "resolution": "int",
    "kind": "str",
    "pictures": [
        {
            "name": "str",
            "width": "int",
            "height": "int",
            "crop": BOX,
            "caption": "str",
            "enlargement": "float",
            "crispness": "float",
            "remarks": [],
            "subject": {
                "foundBy": "str",
                "subjects": "int",
                "faces": "int",
                "box": BOX,
                "head": BOX,
                "bordersMet": [],
                "headCut": "bool",
                "share": "float",
                "leftOut": "float",
            },
            "appearance": {
                **dict.fromkeys(
                    (
                        "detail",
                        "brightness",
                        "subjectBrightness",
                        "highlights",
                        "darkShare",
                        "brightShare",
                        "contrast",
                        "colourfulness",
                        "warmth",
                        "lightFromRight",
                        "backgroundBrightness",
                        "backgroundContrast",
                        "flatShare",
                        "blockiness",
                    ),
                    "float",
                ),
                "bars": ["float"],
                "pixelSize": "int",
            },
            "level": "str",
            "findings": [FINDING],
        }
    ],
    "refused": [{"name": "str", "reason": "str"}],
    "copies": {"b.jpg": "str"},
    "findings": [FINDING],
    "alike": [],
    "wishes": ["str"],
    "notices": [],
}
