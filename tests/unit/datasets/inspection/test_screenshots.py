"""A screenshot is told from a photo, and a photo is never blamed for its shape."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from tests.real_photos import PAGE, PHOTOS, WOMAN, made, real_photo

from modelgenerator.datasets.appearance import measure
from modelgenerator.datasets.images import Photo
from modelgenerator.datasets.inspection.screenshots import is_screenshot


def _told(photo: Photo) -> bool:
    return is_screenshot(measure(photo, None), photo.width, photo.height)


def _phone_screen() -> Photo:
    """An app that shows a photo, with a clock above and symbols below."""
    screen = Image.new("RGB", (720, 1560), (250, 250, 252))
    pen, font = ImageDraw.Draw(screen), ImageFont.load_default(26)
    pen.text((40, 20), "9:41", (20, 20, 20), font=font)
    pen.text((600, 20), "5G 84%", (20, 20, 20), font=font)
    photo = Image.fromarray(real_photo(WOMAN).pixels_HW3).resize((720, 720))
    screen.paste(photo, (0, 260))
    pen.text((40, 1020), "Liked by many", (60, 60, 60), font=font)
    for number in range(4):
        corner = 70 + 180 * number
        pen.rectangle((corner, 1480, corner + 40, 1520), outline=(120, 120, 130), width=4)
    return made(np.array(screen))


def test_a_phone_screen_is_told() -> None:
    assert _told(_phone_screen())


def test_the_same_in_the_shape_of_a_photo_is_not() -> None:
    screen = _phone_screen()
    assert not is_screenshot(measure(screen, None), 1200, 1600)


@pytest.mark.parametrize("name", [*PHOTOS, PAGE])
def test_a_photo_in_the_shape_of_a_screen_is_not(name: str) -> None:
    photo = real_photo(name)
    tall = min(photo.width, round(photo.height / 1.8))
    assert not _told(made(photo.pixels_HW3[:, :tall]))


def test_a_product_before_white_paper_is_not() -> None:
    paper = np.full((1600, 900, 3), 255, np.uint8)
    paper[500:1012, 200:712] = real_photo(WOMAN).pixels_HW3
    assert not _told(made(paper))
