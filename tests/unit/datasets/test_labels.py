import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelgenerator.datasets.labels import label_of, labels_of


@pytest.mark.parametrize(
    "name",
    ["cat.jpg", "-rf.jpg", "café 2.jpg", "שלום.jpg", "👩‍🎤.jpg", "no ending", "a.mask.png", ".x"],
)
def test_an_ordinary_name_is_its_own_label(name: str):
    assert label_of(name) == name


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("cat\n.jpg", "cat\\n.jpg"),
        ("\x1b[2Jcat.jpg", "\\x1b[2Jcat.jpg"),
        ("cat\u202egpj.exe", "cat\\u202egpj.exe"),
        ("cat\udce9.jpg", "cat\\udce9.jpg"),
        ("cat.jpg\0.exe", "cat.jpg\\x00.exe"),
        ("a\u2028b.jpg", "a\\u2028b.jpg"),
    ],
)
def test_what_would_harm_a_message_is_made_visible(name: str, label: str):
    assert label_of(name) == label


def test_a_long_name_is_cut_and_keeps_its_ending():
    assert label_of("x" * 300 + ".jpg") == "x" * 100 + "….jpg"


def test_a_mask_keeps_its_whole_ending():
    assert labels_of([("x" * 300 + ".mask.png",)]) == ["x" * 100 + "….mask.png"]


def test_folders_come_before_the_name():
    assert labels_of([("beach", "1.jpg"), ("city", "1.jpg")]) == ["beach - 1.jpg", "city - 1.jpg"]


def test_names_that_differ_only_in_case_are_told_apart():
    assert labels_of([("A.jpg",), ("a.jpg",)]) == ["A.jpg", "a (2).jpg"]


def test_a_photo_its_caption_and_its_mask_stay_together():
    paths = [(stem + end,) for stem in ("Cat", "cat") for end in (".jpg", ".txt", ".mask.png")]
    assert labels_of(paths)[3:] == ["cat (2).jpg", "cat (2).txt", "cat (2).mask.png"]


def test_a_caption_in_another_case_is_left_as_it_is():
    assert labels_of([("CAT.JPG",), ("cat.txt",)]) == ["CAT.JPG", "cat.txt"]


def test_the_same_name_twice_is_two_files():
    assert labels_of([("a.jpg",), ("a.jpg",), ("a (2).jpg",)]) == [
        "a.jpg",
        "a (2).jpg",
        "a (2) (2).jpg",
    ]


def test_thousands_of_equal_names_are_told_apart():
    assert len(set(labels_of([("a.jpg",)] * 10_000))) == 10_000


@given(st.lists(st.lists(st.text(min_size=1), min_size=1, max_size=3)))
def test_no_two_labels_are_alike_and_all_can_be_printed(paths: list[list[str]]):
    labels = labels_of(paths)
    assert len({label.casefold() for label in labels}) == len(paths)
    for label in labels:
        assert len(label.encode()) > 0 or not label
        assert "\n" not in label
