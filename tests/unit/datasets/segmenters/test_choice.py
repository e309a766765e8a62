"""Which segmenter is chosen: by name, by kind of subject, by what lies on this machine."""

import pickle
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from modelgenerator.datasets.images import Photo
from modelgenerator.datasets.segmenters.choice import choose_segmenter, segmenter_names
from modelgenerator.datasets.segmenters.person_files import FOLDER_VARIABLE
from modelgenerator.datasets.subject import SubjectKind
from modelgenerator.diffusion.builtin import world
from modelgenerator.errors import InvalidSettings


def disc(*, alpha: bool = False) -> Photo:
    """A red disc on grainy grey ground; with `alpha` the ground is transparent."""
    grain = np.random.default_rng(0).integers(170, 190, (120, 160, 3))
    pixels_HW3 = grain.astype(np.uint8)
    cv2.circle(pixels_HW3, (80, 60), 35, (200, 40, 30), cv2.FILLED)
    alpha_HW = np.where(pixels_HW3[..., 1] < 100, 255, 0).astype(np.uint8) if alpha else None
    return Photo("disc.png", pixels_HW3, "0" * 64, alpha_HW=alpha_HW)


@pytest.fixture
def no_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    return tmp_path


def test_an_unknown_name_gets_the_nearest_one() -> None:
    with pytest.raises(InvalidSettings, match=r"no segmenter grab-cut\. Do you mean grabcut\?"):
        choose_segmenter("grab-cut")


def test_a_style_has_no_subject() -> None:
    segmenter, notices = choose_segmenter(kind=SubjectKind.STYLE)
    assert segmenter.find(disc()) is None
    assert "style" in notices[0].message


def test_none_finds_nothing_and_says_nothing() -> None:
    segmenter, notices = choose_segmenter("none")
    assert segmenter.find(disc()) is None
    assert notices == ()


def test_transparency_answers_first() -> None:
    segmenter, _ = choose_segmenter()
    regions = segmenter.find(disc(alpha=True))
    assert regions is not None
    assert "transparency" in regions.found_by


def test_without_its_file_people_are_cut_out_by_colour_and_a_notice_says_so(
    no_files: Path,
) -> None:
    segmenter, notices = choose_segmenter(kind=SubjectKind.PERSON)
    assert str(no_files) in notices[0].message
    regions = segmenter.find(disc())
    assert regions is not None
    assert "GrabCut" in regions.found_by


@pytest.mark.usefixtures("no_files")
def test_a_segmenter_that_was_named_is_not_replaced() -> None:
    with pytest.raises(InvalidSettings, match=r"needs selfie_segmentation\.tflite"):
        choose_segmenter("person")


@pytest.mark.usefixtures("person_network")
@pytest.mark.parametrize(
    ("name", "kind", "who"),
    [
        ("astronaut.png", None, "a person (selfie segmentation)"),
        ("astronaut.png", SubjectKind.PRODUCT, "what stands out (GrabCut)"),
        ("coffee.png", None, "what stands out (GrabCut)"),
        ("coffee.png", SubjectKind.PRODUCT, "what stands out (GrabCut)"),
        ("chelsea.png", SubjectKind.ANIMAL, "an animal (selfie segmentation)"),
        ("brick.png", None, None),
    ],
)
def test_each_photo_is_answered_by_who_is_made_for_it(
    real_photo: Callable[[str], Photo], name: str, kind: SubjectKind | None, who: str | None
) -> None:
    regions = choose_segmenter(kind=kind)[0].find(real_photo(name))
    assert (regions and regions.found_by) == who


def test_a_drawing_is_answered_by_who_is_made_for_it() -> None:
    drawing_HW3 = world.subject_picture("lvff", "snow", 1).pixels_HW3.repeat(8, 0).repeat(8, 1)
    regions = choose_segmenter()[0].find(Photo("lvff.png", drawing_HW3, "0" * 64))
    assert regions is not None
    assert regions.found_by == "a drawn subject (pixel art)"
    assert regions.has_head


def test_a_product_has_no_head() -> None:
    segmenter, _ = choose_segmenter(kind=SubjectKind.PRODUCT)
    regions = segmenter.find(disc())
    assert regions is not None
    assert not regions.has_head


@pytest.mark.parametrize("name", ["auto", "grabcut", "alpha", "none"])
def test_a_segmenter_travels_to_another_process_and_answers_the_same(name: str) -> None:
    segmenter, _ = choose_segmenter(name)
    before = segmenter.find(disc(alpha=True))
    sent = pickle.loads(pickle.dumps(segmenter))
    after = sent.find(disc(alpha=True))
    assert sent.version == segmenter.version
    assert (before and before.as_bytes()) == (after and after.as_bytes())


def test_each_choice_has_a_version_of_its_own() -> None:
    versions = [choose_segmenter(name)[0].version for name in ("auto", "grabcut", "alpha", "none")]
    assert len(set(versions)) == len(versions)
    assert set(segmenter_names()) >= {"auto", "grabcut", "alpha", "none"}
