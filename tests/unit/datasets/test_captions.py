import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelgenerator.datasets.captions import (
    CAPTION_BYTES,
    LONGEST_CAPTION,
    read_caption,
    with_prefix,
    without_prefix,
)


def test_a_caption_comes_on_one_line():
    assert read_caption(b"  a cat\r\n on\ta  mat \n") == "a cat on a mat"


@pytest.mark.parametrize("data", [b"", b" \n\t ", b"\xef\xbb\xbf", b"\0"])
def test_nothing_but_space_is_no_caption(data: bytes):
    assert read_caption(data) is None


ENCODINGS = ["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_usual_encoding_is_read(encoding: str):
    assert read_caption("café, Zürich".encode(encoding)) == "café, Zürich"


def test_the_prefix_is_put_before_the_caption():
    assert with_prefix("on a mat", "lvff") == "lvff on a mat"


def test_without_a_caption_the_prefix_stands_alone():
    assert with_prefix(None, "lvff") == "lvff"


@pytest.mark.parametrize("prefix", [None, "", "  "])
def test_without_a_prefix_the_caption_stands_alone(prefix: str | None):
    assert with_prefix("on a mat", prefix) == "on a mat"


@pytest.mark.parametrize("caption", ["lvff", "lvff on a mat", "lvff, on a mat", "LVFF on a mat"])
def test_a_caption_that_begins_with_the_prefix_is_left(caption: str):
    assert with_prefix(caption, "lvff") == caption


def test_a_prefix_counts_only_as_a_whole_word():
    assert with_prefix("lvffs on a mat", "lvff") == "lvff lvffs on a mat"


@given(st.text(), st.text())
def test_putting_the_prefix_twice_is_putting_it_once(caption: str, prefix: str):
    once = with_prefix(caption, prefix)
    assert with_prefix(once, prefix) == once


@given(st.binary())
def test_any_bytes_are_a_caption_or_none(data: bytes):
    caption = read_caption(data)
    assert caption is None or caption == " ".join(caption.split()) != ""


@pytest.mark.parametrize("caption", ["", "on a mat", "a cat, sleeping"])
def test_without_the_prefix_a_caption_is_as_it_was(caption: str):
    assert without_prefix(with_prefix(caption, "lvff"), "lvff") == caption


def test_a_longer_word_is_not_mistaken_for_the_prefix():
    assert without_prefix("cats on a mat", "cat") == "cats on a mat"


# --- captions that nobody would write by hand


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_caption_of_a_megabyte_is_cut_and_that_is_told(encoding: str):
    data = ("é" * 1_000_000).encode(encoding)
    remarks: list[str] = []
    assert read_caption(data, remarks) == "é" * LONGEST_CAPTION
    assert remarks == ["its caption is cut after 10,000 characters"]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_longest_caption_is_not_cut(encoding: str):
    remarks: list[str] = []
    data = ("é" * LONGEST_CAPTION).encode(encoding)
    assert len(data) <= CAPTION_BYTES
    assert read_caption(data, remarks) == "é" * LONGEST_CAPTION
    assert remarks == []


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_no_more_of_a_file_than_the_longest_caption_needs_to_be_read(encoding: str):
    data = ("aé" * LONGEST_CAPTION).encode(encoding)
    whole, beginning = [], []
    assert read_caption(data[:CAPTION_BYTES], beginning) == read_caption(data, whole)
    assert beginning == whole != []


def test_a_character_cut_in_two_at_the_end_does_not_spoil_the_rest():
    data = ("é" * 1_000_000).encode()
    assert read_caption(data[1:], None) != "é" * LONGEST_CAPTION  # the premise: half a character
    assert read_caption(b"a" + data) == "a" + "é" * (LONGEST_CAPTION - 1)


def test_control_characters_and_marks_of_direction_are_taken_out():
    caption = "a\x1b[31m cat\x07\x00 on\u202e a\u200b mat\ufeff"
    assert read_caption(caption.encode()) == "a [31m cat on a mat"


@pytest.mark.parametrize("caption", ["👩\u200d🎤 sings", "नमस्\u200dते", "日本の猫", "שלום"])
def test_letters_of_all_scripts_are_left(caption: str):
    assert read_caption(caption.encode()) == caption


@pytest.mark.parametrize(
    "caption",
    ["{}", "{name} {0}", "$.store.secret", "${HOME}", "@Map(x)", "%s %n", "<script>", "\\u0041"],
)
def test_nothing_in_a_caption_is_an_instruction(caption: str):
    assert read_caption(caption.encode()) == caption
    assert with_prefix(caption, "lvff {}") == f"lvff {{}} {caption}"
