"""Where faces are found: on people, from the side, small and leaning; and on nothing else."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from modelgenerator.datasets.images import Photo
from modelgenerator.datasets.regions import on_grid
from modelgenerator.datasets.segmenters.faces import (
    CascadeFaces,
    Face,
    FaceFinder,
    NetworkFaces,
    face_finder,
    head_of,
)
from modelgenerator.datasets.segmenters.person_files import FOLDER_VARIABLE

RealPhoto = Callable[[str], Photo]
FACELESS = ("chelsea.png", "coffee.png", "rocket.jpg", "brick.png", "motorcycle_left.png")
FACELESS += ("coins.png", "cell.png")


@pytest.fixture
def network(person_network: Path) -> FaceFinder:
    finder = face_finder()
    assert isinstance(finder, NetworkFaces)
    assert finder.path.parent == person_network.parent
    return finder


def near(face: Face, x: float, y: float) -> bool:
    return abs(face.x - x) < 25 and abs(face.y - y) < 35


@pytest.mark.parametrize(
    ("name", "x", "y"),
    [("astronaut.png", 225, 125), ("grace_hopper.jpg", 265, 235), ("camera.png", 221, 160)],
)
def test_the_network_finds_the_one_face(
    network: FaceFinder, real_photo: RealPhoto, name: str, x: float, y: float
) -> None:
    faces = network.find(on_grid(real_photo(name).pixels_HW3))
    assert len(faces) == 1
    assert near(faces[0], x, y)


@pytest.mark.parametrize("name", FACELESS)
def test_neither_finder_sees_a_face_where_there_is_none(
    network: FaceFinder, real_photo: RealPhoto, name: str
) -> None:
    pixels_HW3 = on_grid(real_photo(name).pixels_HW3)
    assert network.find(pixels_HW3) == ()
    assert CascadeFaces().find(pixels_HW3) == ()


@pytest.mark.parametrize("angle", [-25, 25])
def test_a_small_and_leaning_face_is_found(
    network: FaceFinder, real_photo: RealPhoto, angle: float
) -> None:
    astronaut_HW3 = real_photo("astronaut.png").pixels_HW3
    turn = cv2.getRotationMatrix2D((225, 125), angle, 0.4)
    turn[:, 2] += (100, 60)
    pixels_HW3 = cv2.warpAffine(astronaut_HW3, turn, (640, 480), borderValue=(90, 110, 130))
    (face,) = network.find(np.asarray(pixels_HW3, np.uint8))
    assert near(face, 325, 185)
    assert face.size < 60


def test_two_faces_come_the_larger_first(network: FaceFinder, real_photo: RealPhoto) -> None:
    hopper = real_photo("grace_hopper.jpg").pixels_HW3
    small = cv2.resize(hopper, (256, 300), interpolation=cv2.INTER_AREA)
    both = np.full((300, 640, 3), 128, np.uint8)
    both[:, 20:276] = small
    both[100:, 440:610] = cv2.resize(small, (170, 200), interpolation=cv2.INTER_AREA)
    faces = network.find(both)
    assert len(faces) == 2
    assert faces[0].size > faces[1].size
    assert faces[0].x < 276


def test_without_the_file_the_cascade_serves(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, real_photo: RealPhoto
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    finder = face_finder()
    assert isinstance(finder, CascadeFaces)
    (face,) = finder.find(on_grid(real_photo("astronaut.png").pixels_HW3))
    assert near(face, 225, 120)


def test_another_file_of_the_same_name_is_not_loaded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "face_detection_short_range.tflite").write_bytes(b"something else")
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    assert isinstance(face_finder(), CascadeFaces)


def test_a_head_is_what_of_the_person_is_around_the_face() -> None:
    person_HW = np.zeros((200, 200), bool)
    person_HW[20:, 60:140] = True
    head_HW = head_of(person_HW, Face(100, 60, 50, 1.0))
    assert not (head_HW & ~person_HW).any()
    assert head_HW[60, 100]
    assert not head_HW[150].any()
