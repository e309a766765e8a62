"""The same shot is found again however it was changed, and different ones are left in peace."""

import cv2
import numpy as np
import pytest
from tests.inspected import picture_of
from tests.real_photos import (
    CAT,
    CUP,
    PHOTOS,
    PORTRAIT,
    WOMAN,
    blurred,
    lighter,
    made,
    real_photo,
    regions_in,
)

from modelgenerator.datasets.images import Photo
from modelgenerator.datasets.inspection.duplicates import groups_alike, is_alike, is_mirrored
from modelgenerator.datasets.inspection.facts import PictureFacts, facts_of


def facts_on(name: str, photo: Photo, subject: tuple[float, float, float, float] | None = None):
    regions = regions_in(photo, subject) if subject else None
    facts = facts_of(picture_of(name, photo, regions), 512)
    assert facts is not None
    return facts


def variants(photo: Photo) -> dict[str, Photo]:
    _, jpeg = cv2.imencode(".jpg", photo.pixels_HW3, [cv2.IMWRITE_JPEG_QUALITY, 40])
    half = cv2.resize(photo.pixels_HW3, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return {
        "squeezed": made(np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), np.uint8)),
        "half": made(np.asarray(half, np.uint8)),
        "darker": lighter(photo, 0.8),
        "blurred": blurred(photo, 2),
        "mirrored": made(photo.pixels_HW3[:, ::-1]),
    }


@pytest.mark.parametrize("name", PHOTOS)
def test_a_changed_copy_is_alike(name: str) -> None:
    photo = real_photo(name)
    original = facts_on("original", photo)
    for how, changed in variants(photo).items():
        copy = facts_on(how, changed)
        assert is_alike(original, copy), how
        # bricks are alike both ways round
        assert is_mirrored(original, copy) == (how == "mirrored") or name == "brick.png"


def test_no_two_of_the_photographs_are_alike() -> None:
    assert groups_alike([facts_on(name, real_photo(name)) for name in PHOTOS]) == ()


def test_the_sharpest_of_a_group_comes_first_and_groups_are_apart() -> None:
    pictures: list[PictureFacts] = []
    for name in (PORTRAIT, CUP):
        pictures.append(facts_on(f"soft {name}", blurred(real_photo(name), 3)))
        pictures.append(facts_on(name, real_photo(name)))
    pictures.append(facts_on(CAT, real_photo(CAT)))
    names = [[one.name for one in group] for group in groups_alike(pictures)]
    assert names == [[PORTRAIT, f"soft {PORTRAIT}"], [CUP, f"soft {CUP}"]]


def test_of_copies_that_hardly_differ_the_first_is_kept_but_not_before_bars() -> None:
    photo = real_photo(WOMAN)
    boxed = np.zeros((640, 512, 3), np.uint8)
    boxed[64:576] = photo.pixels_HW3
    subject, in_box = (0.25, 0.2, 0.75, 0.8), (0.25, 0.26, 0.75, 0.74)
    names = ("boxed", "first", "second")
    photos = (made(boxed), photo, made(photo.pixels_HW3[:, ::-1].copy()[:, ::-1]))
    subjects = (in_box, subject, subject)
    facts = [facts_on(*one) for one in zip(names, photos, subjects, strict=True)]
    assert [one.name for one in groups_alike(facts)[0]] == ["first", "second", "boxed"]


def test_another_cut_of_the_same_shot_is_found_by_its_subject() -> None:
    photo = real_photo(WOMAN)
    cut = made(photo.pixels_HW3[:420, 20:440])
    subject = (0.2 * 512 - 20) / 420, 0.0, (0.7 * 512 - 20) / 420, 0.6 * 512 / 420
    whole, part = facts_on("whole", photo, (0.2, 0, 0.7, 0.6)), facts_on("part", cut, subject)
    assert is_alike(whole, part)


def test_the_same_outline_in_other_colours_is_another_picture() -> None:
    drawings: list[PictureFacts] = []
    for paper, ink in (((250, 250, 240), (200, 40, 60)), ((60, 90, 220), (20, 160, 60))):
        pixels_HW3 = np.full((256, 256, 3), paper, np.uint8)
        pixels_HW3[80:200, 90:170] = ink
        drawings.append(facts_on(str(paper), made(pixels_HW3)))
    assert not is_alike(*drawings)
