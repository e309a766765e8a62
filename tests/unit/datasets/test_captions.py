import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelgenerator.datasets.captions import read_caption, with_prefix, without_prefix


def test_a_caption_comes_on_one_line():
    assert read_caption(b"  a cat\r\n on\ta  mat \n") == "a cat on a mat"


@pytest.mark.parametrize("data", [b"", b" \n\t ", b"\xef\xbb\xbf", b"\0"])
def test_nothing_but_space_is_no_caption(data: bytes):
    assert read_caption(data) is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
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
