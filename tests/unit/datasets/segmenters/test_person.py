"""People: found where a face is, with their heads; nothing where there is none."""

import pickle
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from modelgenerator.datasets.images import Photo
from modelgenerator.datasets.segmenters.faces import face_finder
from modelgenerator.datasets.segmenters.person import PersonSegmenter, SelfieSight

RealPhoto = Callable[[str], Photo]


@pytest.fixture
def segmenter(person_network: Path) -> PersonSegmenter:
    return PersonSegmenter(SelfieSight(person_network), face_finder())


def test_a_portrait_is_a_person_with_a_head(
    segmenter: PersonSegmenter, real_photo: RealPhoto
) -> None:
    regions = segmenter.find(real_photo("astronaut.png"))
    assert regions is not None
    assert regions.faces == regions.subjects == 1
    assert 0.5 < regions.share < 0.65
    assert regions.subject_HW[400, 150]  # the suit
    assert not regions.subject_HW[100, 420]  # the rocket behind
    assert regions.head_HW[125, 225]
    assert not (regions.head_HW & ~regions.subject_HW).any()
    box = regions.head_box((512, 512))
    assert box is not None
    assert box.top < 40
    assert box.bottom < 260


@pytest.mark.parametrize("name", ["chelsea.png", "coffee.png", "rocket.jpg", "gravel.png"])
def test_no_face_is_no_person(segmenter: PersonSegmenter, real_photo: RealPhoto, name: str) -> None:
    assert segmenter.find(real_photo(name)) is None


def test_the_larger_of_two_people_is_the_subject(
    segmenter: PersonSegmenter, real_photo: RealPhoto
) -> None:
    astronaut_HW3 = real_photo("astronaut.png").pixels_HW3
    pixels_HW3: NDArray[np.uint8] = np.full((512, 1000, 3), 190, np.uint8)
    pixels_HW3[:, :512] = astronaut_HW3
    pixels_HW3[212:, 690:990] = cv2.resize(astronaut_HW3, (300, 300), interpolation=cv2.INTER_AREA)
    regions = segmenter.find(Photo("two.png", pixels_HW3, "0" * 64))
    assert regions is not None
    assert regions.subjects == 2
    assert regions.box((1000, 512)).right < 600


def test_another_process_finds_the_same(segmenter: PersonSegmenter, real_photo: RealPhoto) -> None:
    photo = real_photo("grace_hopper.jpg")
    sent: PersonSegmenter = pickle.loads(pickle.dumps(segmenter))
    first, second = segmenter.find(photo), sent.find(photo)
    assert first is not None
    assert second is not None
    assert first.as_bytes() == second.as_bytes()
    assert sent.version == segmenter.version
