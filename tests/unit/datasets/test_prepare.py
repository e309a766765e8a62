import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data as photographs

from modelgenerator.datasets.images import PhotoLimits
from modelgenerator.datasets.prepare import (
    Preparation,
    PreparedDataset,
    prepare,
    with_captions,
)
from modelgenerator.errors import UnusableDataset, UnusablePhoto


def draw(path: Path, shade: int = 0) -> Path:
    Image.new("RGB", (24, 16), (shade, 90, 60)).save(path)
    return path


def names(dataset: PreparedDataset) -> list[str]:
    return [picture.name for picture in dataset.pictures]


def messages(dataset: PreparedDataset) -> str:
    return "\n".join(notice.message for notice in dataset.notices)


def complaint(folder: Path) -> str:
    with pytest.raises(UnusableDataset) as caught:
        prepare(folder)
    return str(caught.value)


def test_pictures_come_in_natural_order(tmp_path: Path):
    for number in (10, 9, 1):
        draw(tmp_path / f"photo{number}.png", number)
    assert names(prepare(tmp_path)) == ["photo1.png", "photo9.png", "photo10.png"]


def test_a_picture_is_read_again_when_it_is_asked_for(tmp_path: Path):
    astronaut_HW3 = photographs.astronaut()
    Image.fromarray(astronaut_HW3).save(tmp_path / "astronaut.png")
    [picture] = prepare(tmp_path).pictures
    assert (picture.width, picture.height) == (512, 512)
    assert np.array_equal(picture.read().pixels_HW3, astronaut_HW3)


def test_a_picture_that_was_changed_since_is_refused(tmp_path: Path):
    path = draw(tmp_path / "a.png")
    [picture] = prepare(tmp_path).pictures
    draw(path, 200)
    with pytest.raises(UnusablePhoto, match=r"a\.png: the file was changed"):
        picture.read()


def test_a_picture_that_is_gone_is_refused(tmp_path: Path):
    path = draw(tmp_path / "a.png")
    [picture] = prepare(tmp_path).pictures
    path.unlink()
    with pytest.raises(UnusablePhoto, match=r"a\.png: the file cannot be opened"):
        picture.read()


def test_a_caption_of_the_same_name_belongs_to_the_picture(tmp_path: Path):
    draw(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("on a\nmat")
    [picture] = prepare(tmp_path, Preparation(caption_prefix="lvff")).pictures
    assert picture.caption == "lvff on a mat"


def test_a_caption_that_is_far_too_long_is_cut_and_told(tmp_path: Path):
    draw(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("word " * 500_000)
    dataset = prepare(tmp_path)
    assert len(dataset.pictures[0].caption) == 9_999
    assert "a.txt: its caption is cut after 10,000 characters." in messages(dataset)


def test_two_pictures_of_one_name_share_a_caption(tmp_path: Path):
    draw(tmp_path / "a.png", 1)
    draw(tmp_path / "a.jpg", 2)
    (tmp_path / "a.txt").write_text("on a mat")
    assert [picture.caption for picture in prepare(tmp_path).pictures] == ["on a mat"] * 2


def test_without_captions_the_prefix_is_the_caption(tmp_path: Path):
    draw(tmp_path / "a.png")
    dataset = prepare(tmp_path, Preparation(caption_prefix="lvff"))
    assert dataset.pictures[0].caption == "lvff"
    assert dataset.notices == ()


def test_captions_come_to_those_that_have_none_and_change_the_fingerprint(tmp_path: Path):
    draw(tmp_path / "a.png", 1), draw(tmp_path / "b.png", 2), draw(tmp_path / "c.png", 3)
    (tmp_path / "a.txt").write_text("on a mat")
    before = prepare(tmp_path, Preparation(caption_prefix="lvff"))
    after = with_captions(before, {"a.png": "elsewhere", "b.png": "in the snow"}, "lvff")
    captions = [picture.caption for picture in after.pictures]
    assert captions == ["lvff on a mat", "lvff in the snow", "lvff"]
    assert after.fingerprint != before.fingerprint


def test_a_caption_without_a_picture_is_told(tmp_path: Path):
    draw(tmp_path / "a.png")
    (tmp_path / "flower.txt").write_text("a flower")
    assert "flower.txt is not used" in messages(
        prepare(tmp_path, Preparation(caption_prefix="lvff"))
    )


def test_a_bad_picture_is_listed_and_the_rest_is_used(tmp_path: Path):
    draw(tmp_path / "good.png")
    (tmp_path / "broken.jpg").write_bytes(draw(tmp_path / "x.jpg").read_bytes()[:-200])
    (tmp_path / "x.jpg").unlink()
    (tmp_path / "text.jpg").write_text("hello")
    dataset = prepare(tmp_path)
    assert names(dataset) == ["good.png"]
    assert [refused.name for refused in dataset.refused] == ["broken.jpg", "text.jpg"]


@pytest.mark.parametrize("ending", ["heic", "gif", "tiff", "bmp"])
def test_a_picture_of_another_format_is_refused_and_not_ignored(tmp_path: Path, ending: str):
    draw(tmp_path / "good.png")
    (tmp_path / f"a.{ending}").write_bytes(b"something")
    assert prepare(tmp_path).refused[0].name == f"a.{ending}"


def test_a_photo_without_an_ending_is_used(tmp_path: Path):
    draw(tmp_path / "IMG_1.png").rename(tmp_path / "IMG_1")
    assert names(prepare(tmp_path)) == ["IMG_1"]


def test_what_systems_leave_behind_is_passed_over_in_silence(tmp_path: Path):
    draw(tmp_path / "a.png")
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._a.png"):
        (tmp_path / name).write_bytes(b"\0")
    dataset = prepare(tmp_path, Preparation(caption_prefix="lvff"))
    assert (names(dataset), dataset.refused, dataset.notices) == (["a.png"], (), ())


def test_other_files_and_folders_are_named(tmp_path: Path):
    draw(tmp_path / "a.png")
    (tmp_path / "notes.json").write_text("{}")
    (tmp_path / "more").mkdir()
    told = messages(prepare(tmp_path))
    assert "notes.json" in told
    assert "more" in told


def test_copies_are_used_once_and_told_once(tmp_path: Path):
    for name in ("a.png", "b.png", "c.png"):
        draw(tmp_path / name)
    dataset = prepare(tmp_path, Preparation(caption_prefix="lvff"))
    assert names(dataset) == ["a.png"]
    assert messages(dataset) == "a.png, b.png and c.png are the same file: only a.png is used."


def test_what_was_decided_while_reading_is_told_with_the_name(tmp_path: Path):
    frames = [Image.new("RGB", (24, 16), (shade, 0, 0)) for shade in (10, 200)]
    frames[0].save(tmp_path / "moving.webp", save_all=True, append_images=frames[1:])
    assert "moving.webp: it is animated" in messages(prepare(tmp_path))


def test_a_file_too_long_is_refused_unread(tmp_path: Path):
    draw(tmp_path / "a.png")
    with (tmp_path / "long.png").open("wb") as stream:
        stream.truncate(10**12)  # sparse: takes no room on the disk, and would not fit into memory
    assert "1,000,000 MB" in prepare(tmp_path).refused[0].reason


def test_limits_are_honoured(tmp_path: Path):
    draw(tmp_path / "a.png")
    with pytest.raises(UnusableDataset, match="at least 17"):
        prepare(tmp_path, Preparation(limits=PhotoLimits(min_side=17)))


def test_the_fingerprint_follows_pictures_and_captions(tmp_path: Path):
    draw(tmp_path / "a.png")
    plain, prefixed = prepare(tmp_path), prepare(tmp_path, Preparation(caption_prefix="lvff"))
    again = prepare(tmp_path)
    draw(tmp_path / "b.png", 9)
    prints = {plain.fingerprint, prefixed.fingerprint, prepare(tmp_path).fingerprint}
    assert len(prints) == 3
    assert again.fingerprint == plain.fingerprint


def test_the_fingerprint_does_not_follow_the_folder(tmp_path: Path):
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()
        draw(folder / "a.png")
    assert prepare(one).fingerprint == prepare(other).fingerprint


def test_a_missing_folder_is_named(tmp_path: Path):
    assert f"There is no folder {tmp_path / 'photos'}" in complaint(tmp_path / "photos")


def test_a_picture_in_place_of_a_folder_is_told(tmp_path: Path):
    told = complaint(draw(tmp_path / "a.png"))
    assert "a.png is a file" in told
    assert f"Give the folder that holds the pictures: {tmp_path}" in told


def test_an_empty_folder_is_told(tmp_path: Path):
    assert "is empty" in complaint(tmp_path)


def test_a_folder_of_folders_names_them(tmp_path: Path):
    (tmp_path / "cats").mkdir()
    assert "only folders: cats" in complaint(tmp_path)


def test_a_folder_without_pictures_names_what_it_holds(tmp_path: Path):
    (tmp_path / "a.txt").write_text("a caption")
    assert "only a.txt" in complaint(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_told(tmp_path: Path):
    tmp_path.chmod(0)
    try:
        assert "cannot be read" in complaint(tmp_path)
    finally:
        tmp_path.chmod(0o700)


def test_a_link_to_nowhere_is_refused(tmp_path: Path):
    draw(tmp_path / "a.png")
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere")
    assert "cannot be opened" in prepare(tmp_path).refused[0].reason


def test_when_none_can_be_used_five_reasons_are_given(tmp_path: Path):
    for number in range(7):
        (tmp_path / f"{number}.jpg").write_text("hello")
    told = complaint(tmp_path)
    assert told.startswith("None of the 7 pictures")
    assert told.count("not a jpg") == 5
    assert "2 more" in told


def test_a_link_to_a_folder_is_a_folder(tmp_path: Path):
    photos, elsewhere = tmp_path / "photos", tmp_path / "elsewhere"
    for folder in (photos, elsewhere):
        folder.mkdir()
        draw(folder / "a.png")
    (photos / "more").symlink_to(elsewhere)
    dataset = prepare(photos, Preparation(caption_prefix="lvff"))
    assert messages(dataset) == "Pictures in folders inside the folder are not used: more."
