"""The pictures that everybody may try first."""

import io

from PIL import Image

from modelgenerator.diffusion.builtin.sample import ENLARGED, SCENES, sample_photos
from modelgenerator.diffusion.builtin.scenes import SIDE


def test_there_is_one_picture_for_each_scene_and_always_the_same() -> None:
    photos = list(sample_photos())
    assert photos == list(sample_photos())
    assert [photo.stem.partition("-")[2] for photo in photos] == list(SCENES)
    assert len({photo.png for photo in photos}) == len(photos)


def test_what_it_looks_like_no_caption_says() -> None:
    assert all(photo.caption.startswith("creature ") for photo in sample_photos())


def test_a_person_who_opens_a_file_sees_something() -> None:
    for photo in sample_photos():
        image = Image.open(io.BytesIO(photo.png))
        assert image.size == (SIDE * ENLARGED, SIDE * ENLARGED)
