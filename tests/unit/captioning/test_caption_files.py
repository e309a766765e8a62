from pathlib import Path

import pytest

from modelgenerator.captioning.caption_files import RECORD, read_record, write_caption
from modelgenerator.captioning.captions import PictureCaptioned
from modelgenerator.errors import OutputNotWritable

MADE = PictureCaptioned(
    name="cat.jpg",
    caption="a cat",
    original="The image shows a cat",
    captioner="florence2",
    revision="org/name@c0ffee",
    done=1,
    total=1,
    from_cache=False,
)


def test_a_caption_lies_beside_its_photo_and_the_record_says_whose_it_is(tmp_path: Path):
    assert write_caption(tmp_path / "cat.jpg", "lvff a cat", MADE) == tmp_path / "cat.txt"
    assert (tmp_path / "cat.txt").read_text() == "lvff a cat\n"
    assert read_record(tmp_path) == {
        "cat.jpg": {
            "caption": "lvff a cat",
            "original": "The image shows a cat",
            "captioner": "florence2",
            "revision": "org/name@c0ffee",
        }
    }


def test_the_file_that_is_there_is_the_one_that_is_written(tmp_path: Path):
    (tmp_path / "cat.TXT").write_text("")
    assert write_caption(tmp_path / "cat.jpg", "a cat", MADE).name == "cat.TXT"
    assert not (tmp_path / "cat.txt").exists()


def test_what_was_replaced_is_kept_in_the_record(tmp_path: Path):
    (tmp_path / "cat.txt").write_text("my own words")
    write_caption(tmp_path / "cat.jpg", "a cat", MADE)
    assert read_record(tmp_path)["cat.jpg"]["replaced"] == "my own words"


def test_the_record_keeps_what_it_holds_of_others(tmp_path: Path):
    write_caption(tmp_path / "cat.jpg", "a cat", MADE)
    write_caption(tmp_path / "dog.jpg", "a dog", MADE)
    assert set(read_record(tmp_path)) == {"cat.jpg", "dog.jpg"}


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"[" * 100_000])
def test_a_damaged_record_is_begun_again(tmp_path: Path, content: bytes):
    (tmp_path / RECORD).write_bytes(content)
    write_caption(tmp_path / "cat.jpg", "a cat", MADE)
    assert set(read_record(tmp_path)) == {"cat.jpg"}


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OutputNotWritable, match=r"Captions cannot be written into .*: Not a dir"):
        write_caption(tmp_path / "file" / "cat.jpg", "a cat", MADE)
