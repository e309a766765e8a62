"""What is measured on a photo is what was done to it, whatever it shows."""

import cv2
import numpy as np
import pytest
from tests.real_photos import (
    CUP,
    PAGE,
    PHOTOS,
    PORTRAIT,
    ROCKET,
    WOMAN,
    blurred,
    enlarged,
    lighter,
    made,
    real_photo,
    regions_in,
)

from modelgenerator.datasets.appearance import Appearance, measure
from modelgenerator.datasets.measures.likeness import different_bits, different_colours
from modelgenerator.datasets.measures.tones import different_shares


@pytest.mark.parametrize("name", PHOTOS)
def test_a_sharp_photograph_keeps_all_its_detail_whatever_it_shows(name: str) -> None:
    assert measure(real_photo(name), None).detail == 1


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("radius", [3, 4, 6])
def test_a_blur_is_told_by_its_radius_whatever_it_blurs(name: str, radius: int) -> None:
    detail = measure(blurred(real_photo(name), radius), None).detail
    assert detail is not None
    # brick.png and camera.png are soft or coarse enough to take a little blur unchanged
    assert 0.55 / radius < detail < 1.7 / radius


@pytest.mark.parametrize("name", [PORTRAIT, WOMAN])
def test_a_smoothly_enlarged_photo_is_as_sharp_as_it_was_before(name: str) -> None:
    assert measure(enlarged(real_photo(name), 4), None).detail == pytest.approx(0.5, abs=0.1)
    assert measure(enlarged(real_photo(name), 8), None).detail == pytest.approx(0.25, abs=0.05)


def test_a_blurred_background_does_not_make_a_sharp_subject_blurred() -> None:
    photo = real_photo(WOMAN)
    pixels_HW3 = blurred(photo, 5).pixels_HW3.copy()
    pixels_HW3[100:400, 100:350] = photo.pixels_HW3[100:400, 100:350]
    subject = regions_in(photo, (100 / 512, 100 / 512, 350 / 512, 400 / 512))
    assert measure(made(pixels_HW3), subject).detail == 1


def test_a_sharp_background_does_not_make_a_blurred_subject_sharp() -> None:
    photo = real_photo(WOMAN)
    pixels_HW3 = photo.pixels_HW3.copy()
    pixels_HW3[100:400, 100:350] = blurred(photo, 5).pixels_HW3[100:400, 100:350]
    subject = regions_in(photo, (120 / 512, 120 / 512, 330 / 512, 380 / 512))
    detail = measure(made(pixels_HW3), subject).detail
    assert detail is not None
    assert detail < 0.3


def test_nothing_is_said_of_the_sharpness_of_a_picture_without_edges() -> None:
    assert measure(made(np.full((200, 300, 3), 90, np.uint8)), None).detail is None


def test_enlarged_pixel_art_is_sharp_and_its_squares_are_counted() -> None:
    drawing = np.random.default_rng(1).integers(0, 255, (32, 32, 3), np.uint8)
    appearance = measure(made(drawing.repeat(8, 0).repeat(8, 1)), None)
    assert appearance.pixel_size == 8
    assert appearance.detail == 1


@pytest.mark.parametrize("name", [*PHOTOS, PAGE])
def test_no_photograph_is_taken_for_pixel_art_or_has_bars(name: str) -> None:
    appearance = measure(real_photo(name), None)
    assert appearance.pixel_size == 1
    assert appearance.bars == (0, 0, 0, 0)


def test_bars_are_measured_where_they_are() -> None:
    photo = real_photo(CUP)
    pixels_HW3 = np.zeros((600, 600, 3), np.uint8)
    pixels_HW3[60:460] = photo.pixels_HW3
    left, top, right, bottom = measure(made(pixels_HW3), None).bars
    assert (left, right) == (0, 0)
    assert top == pytest.approx(0.1, abs=0.01)
    assert bottom == pytest.approx(140 / 600, abs=0.01)


def test_a_photo_with_less_light_is_darker_and_one_with_more_is_burnt_out() -> None:
    photo = real_photo(PORTRAIT)
    as_it_is = measure(photo, None)
    dark, bright = measure(lighter(photo, 0.1), None), measure(lighter(photo, 4), None)
    assert dark.brightness < 10 < as_it_is.brightness < bright.brightness
    assert dark.dark_share > 0.5 > as_it_is.dark_share
    assert bright.bright_share > 0.25 > as_it_is.bright_share


def test_the_light_on_the_subject_is_measured_apart_from_the_rest() -> None:
    photo = real_photo(WOMAN)
    pixels_HW3 = np.full_like(photo.pixels_HW3, 250)
    pixels_HW3[100:400, 100:300] = 20
    pixels_HW3[100:400, 200:300] = 80
    appearance = measure(made(pixels_HW3), regions_in(photo, (0.2, 0.2, 0.58, 0.77)))
    assert appearance.brightness > 50 > appearance.subject_brightness
    assert appearance.light_from_right > 0.4


def test_the_same_shot_is_found_again_whatever_was_done_to_it() -> None:
    for name in PHOTOS:
        photo = real_photo(name)
        likeness = measure(photo, None).likeness
        _, jpeg = cv2.imencode(".jpg", photo.pixels_HW3, [cv2.IMWRITE_JPEG_QUALITY, 40])
        squeezed = np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), np.uint8)
        for other in (made(squeezed), enlarged(photo, 2), lighter(photo, 0.8), blurred(photo, 2)):
            assert different_bits(likeness.bits, measure(other, None).likeness.bits) <= 6
        mirrored = measure(made(photo.pixels_HW3[:, ::-1]), None).likeness
        assert different_bits(likeness.mirrored_bits, mirrored.bits) <= 2
        assert different_colours(likeness, mirrored, mirrored=True) < 2


def test_different_photographs_look_different() -> None:
    likenesses = [measure(real_photo(name), None).likeness for name in PHOTOS]
    for number, one in enumerate(likenesses):
        for other in likenesses[number + 1 :]:
            assert different_bits(one.bits, other.bits) > 16


def test_another_cut_of_the_same_shot_has_the_same_subject() -> None:
    photo = real_photo(WOMAN)
    cut = made(photo.pixels_HW3[:420, 20:440])
    one = measure(photo, regions_in(photo, (0.2, 0, 0.7, 0.6)))
    subject = (0.2 * 512 - 20) / 420, 0, (0.7 * 512 - 20) / 420, 0.6 * 512 / 420
    other = measure(cut, regions_in(cut, subject))
    assert different_bits(one.subject_likeness.bits, other.subject_likeness.bits) <= 6


def test_backgrounds_are_compared_by_their_colours() -> None:
    photo = real_photo(ROCKET)
    colours: list[tuple[int, ...]] = []
    for shade in ((200, 60, 60), (205, 66, 62), (40, 90, 200)):
        pixels_HW3 = np.full((400, 400, 3), shade, np.uint8)
        pixels_HW3[100:300, 100:300] = photo.pixels_HW3[:200, :200]
        shares = measure(made(pixels_HW3), regions_in(made(pixels_HW3), (0.25, 0.25, 0.75, 0.75)))
        assert shares.background_colours is not None
        colours.append(shares.background_colours)
    assert different_shares(colours[0], colours[1]) < 0.1
    assert different_shares(colours[0], colours[2]) > 0.8


def test_a_subject_that_fills_the_photo_has_no_background() -> None:
    photo = real_photo(CUP)
    assert measure(photo, regions_in(photo, (0, 0, 1, 1))).background_colours is None
    assert measure(photo, None).background_brightness is None


def test_a_squeezed_jpeg_shows_its_blocks() -> None:
    photo = real_photo(CUP)
    _, jpeg = cv2.imencode(".jpg", photo.pixels_HW3, [cv2.IMWRITE_JPEG_QUALITY, 8])
    squeezed = np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), np.uint8)
    assert measure(photo, None).blockiness < 1.2
    assert measure(made(squeezed), None).blockiness > 2


def test_an_appearance_can_be_kept_as_text() -> None:
    photo = real_photo(PORTRAIT)
    for regions in (None, regions_in(photo, (0.1, 0, 0.9, 1), head=(0.3, 0, 0.6, 0.4))):
        appearance = measure(photo, regions)
        assert Appearance.from_json(appearance.as_json()) == appearance
        assert measure(photo, regions) == appearance


@pytest.mark.parametrize("size", [(16, 16), (16, 400), (5000, 17)])
def test_the_smallest_and_the_thinnest_pictures_can_be_measured(size: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)
    photo = made(noise)
    assert measure(photo, None).contrast > 0
    assert measure(photo, regions_in(photo, (0, 0, 0.2, 0.2))).contrast > 0
