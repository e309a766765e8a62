"""Masks beside photos: which belong to which, what is refused, what weight each place gets."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from tests.examples import no_file

from modelgenerator.datasets.buckets import Size, fit, fit_mask
from modelgenerator.datasets.images import PhotoLimits
from modelgenerator.datasets.masks import MaskFile, MaskShades, PictureMask, read_mask
from modelgenerator.datasets.prepare import Preparation, PreparedDataset, prepare
from modelgenerator.datasets.sources import FolderFile
from modelgenerator.errors import UnusableDataset, UnusableMask


def photo(folder: Path, name: str = "a.png", size: Size = (24, 16), shade: int = 0) -> Path:
    Image.new("RGB", size, (shade, 90, 60)).save(folder / name)
    return folder / name


def mask(folder: Path, name: str = "a.mask.png", size: Size = (24, 16), shade: int = 128) -> Path:
    Image.new("L", size, shade).save(folder / name)
    return folder / name


def name_of(found: PictureMask | None) -> str | None:
    return found.file.name if isinstance(found, MaskFile) else None


def read(path: Path, size: Size = (24, 16)) -> MaskFile:
    file = FolderFile(path.name, path, path.stat().st_size)
    return read_mask(file, picture="a.png", size=size, limits=PhotoLimits())[0]


def masks_of(dataset: PreparedDataset) -> list[str | None]:
    return [name_of(picture.mask) for picture in dataset.pictures]


def complaint(folder: Path) -> str:
    with pytest.raises(UnusableMask) as caught:
        prepare(folder, Preparation(shades=MaskShades()))
    return str(caught.value)


# --- which mask belongs to which photo


def test_a_mask_belongs_to_the_photo_of_its_name_and_is_none_itself(tmp_path: Path):
    photo(tmp_path, "a.jpg"), photo(tmp_path, "b.png", shade=9)
    mask(tmp_path, "a.mask.png"), mask(tmp_path, "b.MASK.PNG")
    dataset = prepare(tmp_path, Preparation(caption_prefix="lvff", shades=MaskShades()))
    assert masks_of(dataset) == ["a.mask.png", "b.MASK.PNG"]
    assert dataset.notices == ()


def test_a_photo_may_be_without_a_mask(tmp_path: Path):
    photo(tmp_path, "a.png"), photo(tmp_path, "b.png", shade=9), mask(tmp_path, "b.mask.png")
    assert masks_of(prepare(tmp_path, Preparation(shades=MaskShades()))) == [None, "b.mask.png"]


def test_equal_masks_are_not_copies_of_pictures(tmp_path: Path):
    photo(tmp_path, "a.png"), photo(tmp_path, "b.png", shade=9)
    mask(tmp_path, "a.mask.png"), mask(tmp_path, "b.mask.png")
    dataset = prepare(tmp_path, Preparation(caption_prefix="lvff", shades=MaskShades()))
    assert len(dataset.pictures) == 2
    assert dataset.notices == ()


def test_a_mask_without_its_photo_is_told(tmp_path: Path):
    photo(tmp_path), mask(tmp_path, "flower.mask.png")
    [notice] = prepare(tmp_path, Preparation(caption_prefix="lvff", shades=MaskShades())).notices
    assert notice.message.startswith("flower.mask.png is not used")


def test_a_folder_of_masks_alone_has_no_pictures(tmp_path: Path):
    mask(tmp_path)
    with pytest.raises(UnusableDataset, match=r"no picture in .*, only a\.mask\.png"):
        prepare(tmp_path, Preparation(shades=MaskShades()))


def test_masks_that_were_not_asked_for_are_not_read_and_said(tmp_path: Path):
    photo(tmp_path), mask(tmp_path).write_bytes(b"nothing")
    dataset = prepare(tmp_path, Preparation(caption_prefix="lvff"))
    assert masks_of(dataset) == [None]
    [notice] = dataset.notices
    assert (notice.level, notice.setting) == ("info", "maskedLoss")
    assert "a.mask.png" in notice.message


# --- what is refused


def test_a_mask_of_another_size_is_refused_with_both_sizes(tmp_path: Path):
    photo(tmp_path), mask(tmp_path, size=(16, 24))
    assert complaint(tmp_path) == (
        "a.mask.png has 16 x 24 pixels, but a.png has 24 x 16: make the mask as large as the photo."
    )


def test_a_black_mask_is_refused_with_the_name_of_its_photo(tmp_path: Path):
    photo(tmp_path), mask(tmp_path, shade=0)
    assert "nothing of a.png would be learnt" in complaint(tmp_path)


def test_all_faults_are_told_at_once(tmp_path: Path):
    for name in "abc":
        photo(tmp_path, f"{name}.png", shade=ord(name))
    mask(tmp_path, "a.mask.png", shade=0), mask(tmp_path, "b.mask.png")
    mask(tmp_path, "c.mask.png", size=(99, 99))
    first, second = complaint(tmp_path).splitlines()
    assert first.startswith("a.mask.png is black")
    assert second.startswith("c.mask.png has 99 x 99")


def test_a_damaged_mask_is_refused_by_its_name(tmp_path: Path):
    photo(tmp_path)
    file = mask(tmp_path, shade=200)
    file.write_bytes(file.read_bytes()[:-30])
    assert complaint(tmp_path).startswith("a.mask.png: the png file is damaged")


def test_a_mask_with_colours_is_refused(tmp_path: Path):
    photo(tmp_path)
    Image.new("RGB", (24, 16), (255, 0, 0)).save(tmp_path / "a.mask.png")
    assert complaint(tmp_path) == "a.mask.png: it has colours: save it as a grey picture."


def test_a_mask_that_can_be_seen_through_is_refused(tmp_path: Path):
    photo(tmp_path)
    Image.new("LA", (24, 16), (255, 0)).save(tmp_path / "a.mask.png")
    assert "parts of it are transparent" in complaint(tmp_path)


def test_a_mask_that_was_changed_since_is_refused(tmp_path: Path):
    photo(tmp_path), mask(tmp_path)
    [picture] = prepare(tmp_path, Preparation(shades=MaskShades())).pictures
    mask(tmp_path, shade=7)
    assert picture.mask is not None
    with pytest.raises(UnusableMask, match=r"a\.mask\.png was changed"):
        picture.mask.weights((24, 16))


def test_a_mask_that_is_gone_is_refused(tmp_path: Path):
    found = read(mask(tmp_path))
    (tmp_path / "a.mask.png").unlink()
    with pytest.raises(UnusableMask, match=r"a\.mask\.png: the file cannot be opened"):
        found.weights((24, 16))


# --- what is read


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "1", "P", "I;16"])
def test_grey_is_read_however_it_is_stored(tmp_path: Path, mode: str):
    grey_HW = np.zeros((16, 24), np.uint8)
    grey_HW[:, 12:] = 255
    if mode == "I;16":
        stored = Image.fromarray(grey_HW.astype(np.uint16) * 257)
    else:
        stored = Image.fromarray(grey_HW).convert(mode)
    stored.save(tmp_path / "a.mask.png")
    found = read(tmp_path / "a.mask.png")
    assert np.array_equal(found.weights((24, 16)), grey_HW / np.float32(255))


def test_a_shade_is_a_weight_of_so_many_255ths(tmp_path: Path):
    found = read(mask(tmp_path, shade=200))
    weights_HW = found.weights((8, 8))
    assert weights_HW.dtype == np.float32
    assert weights_HW == pytest.approx(200 / 255)


def test_a_mask_is_as_large_as_the_photo_stands_and_not_as_it_is_stored(tmp_path: Path):
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new("RGB", (24, 16)).save(tmp_path / "a.jpg", exif=turned)
    mask(tmp_path, size=(16, 24))
    assert masks_of(prepare(tmp_path, Preparation(shades=MaskShades()))) == ["a.mask.png"]


def test_a_mask_that_is_black_after_the_cut_is_refused(tmp_path: Path):
    shades_HW = np.zeros((16, 64), np.uint8)
    shades_HW[:, :8] = 255
    Image.fromarray(shades_HW).save(tmp_path / "a.mask.png")
    found = read(tmp_path / "a.mask.png", size=(64, 16))
    with pytest.raises(UnusableMask, match=r"Nothing of a\.png .* the cut to 16 x 16 pixels"):
        found.weights((16, 16))


# --- the same cut as the picture's


def ramp(width: int, height: int) -> NDArray[np.uint8]:
    """Brighter to the right and to the bottom."""
    across = np.linspace(0, 127, width)[None, :] + np.linspace(0, 127, height)[:, None]
    return np.round(across).astype(np.uint8)


@given(st.integers(16, 90), st.integers(16, 90), st.sampled_from([(32, 32), (48, 24), (24, 48)]))
def test_a_mask_is_cut_and_resized_as_its_picture(width: int, height: int, bucket: Size):
    grey_HW = ramp(width, height)
    picture_HW3 = fit(np.repeat(grey_HW[..., None], 3, axis=2), bucket)
    mask_HW = fit_mask(grey_HW.astype(np.float32), bucket)
    assert mask_HW.shape == picture_HW3.shape[:2]
    # one step of the ramp each way, for what enlarging by another kernel changes
    step = 127 / (width - 1) + 127 / (height - 1)
    assert np.abs(mask_HW - picture_HW3[..., 0]).max() <= step
    assert abs(mask_HW.mean() - picture_HW3[..., 0].mean()) <= 1


def test_reducing_averages_areas_without_rounding():
    checks_HW = np.indices((64, 64)).sum(axis=0).astype(np.float32) % 2
    assert np.array_equal(fit_mask(checks_HW, (32, 32)), np.full((32, 32), 0.5, np.float32))


def test_enlarging_stays_within_the_shades_that_were_there():
    edge_HW = np.zeros((16, 16), np.float32)
    edge_HW[:, 8:] = 1
    enlarged_HW = fit_mask(edge_HW, (64, 64))
    assert enlarged_HW.min() == 0
    assert enlarged_HW.max() == pytest.approx(1)
    assert enlarged_HW.mean() == pytest.approx(0.5)


# --- the fingerprint of the dataset


def test_masks_belong_to_the_fingerprint_where_they_count(tmp_path: Path):
    photo(tmp_path)
    plain = prepare(tmp_path).fingerprint
    mask(tmp_path)
    assert prepare(tmp_path).fingerprint == plain
    masked = prepare(tmp_path, Preparation(shades=MaskShades())).fingerprint
    mask(tmp_path, shade=7)
    assert (
        len({plain, masked, prepare(tmp_path, Preparation(shades=MaskShades())).fingerprint}) == 3
    )


def test_a_mask_file_is_told_apart_by_its_content():
    assert MaskFile(no_file("a"), "a.png", "1") != MaskFile(no_file("a"), "a.png", "2")
