"""What is cut out and what counts, from where the subject is."""

import numpy as np
import pytest
from tests.examples import no_file

from modelgenerator.datasets.framing import FoundSubject, Frame, framed, notices_on
from modelgenerator.datasets.masks import MaskFile, MaskShades, PaintedMask, paint
from modelgenerator.datasets.regions import Box, Mask, SubjectRegions
from modelgenerator.datasets.segmenters.own_masks import BY_HAND
from modelgenerator.errors import UnusableMask

SHADES = MaskShades(head=255, body=200, bounding=100, background=40)


def regions(found_by: str = "a test", subjects: int = 1) -> SubjectRegions:
    """In 64 x 64: an L whose upright is the head."""
    subject_HW: Mask = np.zeros((64, 64), np.bool_)
    head_HW = subject_HW.copy()
    subject_HW[16:48, 16:32] = True
    subject_HW[32:48, 16:48] = True
    head_HW[16:32, 16:32] = True
    return SubjectRegions(
        subject_HW=subject_HW, head_HW=head_HW, found_by=found_by, subjects=subjects
    )


def found(name: str = "a.png", **others: object) -> FoundSubject:
    return FoundSubject(name=name, photo=(64, 64), regions=regions(), **others)  # pyright: ignore


def test_without_normalizing_and_shades_a_photo_stays_as_it_is():
    assert framed(found(), normalize=False, shades=None).crop is None
    assert framed(found(), normalize=False, shades=None).mask is None


def test_a_found_subject_is_painted_and_cut_alike():
    frame = framed(found(), normalize=True, shades=SHADES)
    assert frame.crop == Box(13, 13, 51, 51)
    assert isinstance(frame.mask, PaintedMask)
    weights_HW = frame.mask.weights((38, 38), feather=1) * 255
    assert weights_HW[0, 0] == pytest.approx(40)  # background
    assert weights_HW[5, 5] == pytest.approx(255)  # head
    assert weights_HW[30, 30] == pytest.approx(200)  # body
    assert weights_HW[5, 30] == pytest.approx(100)  # rectangle around the subject


def test_the_later_region_wins_though_it_is_darker():
    shades = MaskShades(head=10, body=20, bounding=30, background=40)
    weights_HW = paint(regions(), shades, box=(0, 0, 64, 64), photo=(64, 64), size=(64, 64)) * 255
    seen = [weights_HW[20, 20], weights_HW[40, 40], weights_HW[20, 40], weights_HW[0, 0]]
    assert seen == pytest.approx([10, 20, 30, 40])


def test_regions_are_brought_to_any_size_by_area():
    shades = MaskShades(head=255, body=255, bounding=0, background=0)
    for size in ((64, 64), (32, 32), (48, 48), (128, 128)):
        weights_HW = paint(regions(), shades, box=(0, 0, 64, 64), photo=(64, 64), size=size)
        assert weights_HW.mean() == pytest.approx(regions().share, rel=1e-4)


def test_edges_are_softened_by_a_latent_pixel_and_no_further():
    mask = framed(found(), normalize=False, shades=SHADES).mask
    assert mask is not None
    sharp_HW, soft_HW = mask.weights((64, 64), feather=1), mask.weights((64, 64), feather=8)
    assert soft_HW.mean() == pytest.approx(sharp_HW.mean(), rel=0.01)
    assert np.abs(np.diff(soft_HW, axis=1)).max() < np.abs(np.diff(sharp_HW, axis=1)).max() / 4
    assert soft_HW[24, 24] == pytest.approx(sharp_HW[24, 24])  # the middle of the head


def test_a_mask_by_hand_is_cut_and_not_painted():
    by_hand = MaskFile(no_file("a.mask.png"), "a.png", "f00d")
    frame = framed(found(by_hand=by_hand), normalize=True, shades=SHADES)
    assert isinstance(frame.mask, MaskFile)
    assert frame.mask.crop == frame.crop == Box(13, 13, 51, 51)


def test_a_photo_without_a_subject_counts_all_over():
    lost = FoundSubject(name="a.png", photo=(64, 32), regions=None)
    assert framed(lost, normalize=True, shades=SHADES) == Frame(
        crop=Box(16, 0, 48, 32), mask=None, found_by=None
    )


def test_shades_of_zero_everywhere_are_refused_by_the_photos_name():
    mask = framed(found(), normalize=False, shades=MaskShades(0, 0, 0, 0)).mask
    assert mask is not None
    with pytest.raises(UnusableMask, match=r"Nothing of a\.png .* headMaskShade"):
        mask.weights((64, 64), feather=1)


def test_what_decides_the_weights_decides_the_hash():
    masks = [
        framed(found(), normalize=normalize, shades=shades).mask
        for normalize in (False, True)
        for shades in (SHADES, MaskShades())
    ]
    assert len({mask.sha256 for mask in masks if mask}) == 4


def told(**frames: Frame) -> str:
    notices = notices_on(frames, normalize=True)
    return "\n".join(f"{notice.level}: {notice.message}" for notice in notices)


def test_it_is_told_who_found_what_and_where_to_look():
    whole = Frame(crop=None, mask=None, found_by="a test", subjects=1)
    text = told(
        one=whole,
        two=whole,
        none=Frame(crop=None, mask=None, found_by=None),
        many=Frame(crop=None, mask=None, found_by="another", subjects=3),
        cut=Frame(crop=None, mask=None, found_by="another", subjects=1, is_cut=True),
    )
    assert "a test in 2; another in 2" in text
    assert "warning: No subject was found in none," in text
    assert "warning: Several subjects in many" in text
    assert "does not fit into a square in cut" in text


def test_nothing_is_said_of_masks_that_a_person_made():
    assert told(one=Frame(crop=None, mask=None, found_by=BY_HAND, subjects=1)) == ""
