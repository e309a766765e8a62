import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelgenerator.captioning.cleaning import capped, cleaned

WOMAN = "a woman in a red coat"


def words(text: str) -> int:
    return len(text.split())


@pytest.mark.parametrize(
    "answer",
    [
        WOMAN,
        "A woman in a red coat",
        "The image shows a woman in a red coat",
        "The image clearly shows a woman in a red coat",
        "The image is of a woman in a red coat",
        "The image is a close-up photo of a woman in a red coat",
        "the picture depicts A woman in a red coat",
        "This photo features a woman in a red coat",
        "This is a picture of a woman in a red coat",
        "This is a black-and-white photograph showing a woman in a red coat",
        "In this image, we can see a woman in a red coat",
        "In this image we can see a woman in a red coat",
        "In the photo there is a woman in a red coat",
        "In this picture a woman in a red coat",
        "There is a woman in a red coat",
        "We can see a woman in a red coat",
        "An image of a woman in a red coat",
        "Sure! Here is a caption for the image: a woman in a red coat",
        "Caption: A woman in a red coat",
        "**Caption:** a woman in a red coat",
        "Image description: a woman in a red coat",
        '"A woman in a red coat"',
        "“The image shows a woman in a red coat”",
        "</s><s>The image shows a woman in a red coat</s><pad>",
        "a woman\n in a\tred coat\x1b\r\n",
        "<think>It is a woman. The coat is red.</think>\n\na woman in a red coat",
        "arafed woman in a red coat",
        "there is araffe woman in a red coat",
        "The image shows arafed woman in a red coat",
        "This is a woman in a red coat",
        "The image appears to be a woman in a red coat",
        "The main subject is a woman in a red coat",
    ],
)
def test_only_what_is_shown_is_left(answer: str):
    assert cleaned(answer) == WOMAN


@pytest.mark.parametrize(
    "caption",
    [
        "a photo of a woman in the snow",
        "Anna in the snow",
        "a sign that says 'The image shows nothing'",
        "a picture frame on a wall",
        "A. Lincoln in a chair",
        "thereafter a road",
        "sure-footed goats on a rock",
        "lvff, 2*3 = 6",
        "'70s car and '80s hat",
    ],
)
def test_what_says_something_is_left_alone(caption: str):
    assert cleaned(caption) == caption


@pytest.mark.parametrize(
    ("answer", "caption"),
    [
        ("The image is a close-up of a camera.", "a close-up of a camera."),
        ("The image is a digital painting of a cat", "a digital painting of a cat"),
        ("there are two arafed women", "two women"),
        ("The image is dark", "the image is dark"),
    ],
)
def test_how_it_is_shown_is_left(answer: str, caption: str):
    assert cleaned(answer) == caption


@pytest.mark.parametrize("answer", ["", " \n ", "</s>", "<think>Hm. A woman, or", "\x00\x1b"])
def test_nothing_stays_nothing(answer: str):
    assert cleaned(answer) == ""


def test_a_beginning_alone_is_not_taken_away():
    assert cleaned("There is .") == "There is ."


@given(st.text())
def test_any_answer_comes_on_one_printable_line(answer: str):
    line = cleaned(answer)
    assert line == " ".join(line.split())
    assert all(sign.isprintable() for sign in line)


BEGINNINGS = st.sampled_from(
    [
        "The image shows ",
        "In this photo, ",
        "There is ",
        "Caption: ",
        '"',
        "**",
        "<s>",
        "A ",
        "Sure, ",
    ]
)


@given(st.lists(st.one_of(BEGINNINGS, st.text(max_size=9)), max_size=6).map("".join))
def test_cleaning_twice_is_cleaning_once(answer: str):
    once = cleaned(answer)
    assert cleaned(once) == once


@pytest.mark.parametrize(
    ("caption", "limit", "left"),
    [
        ("a cat on a mat", 5, "a cat on a mat"),
        ("A cat sits here. It is red. It is old.", 8, "A cat sits here. It is red."),
        ("A cat sits here. It is red and old.", 6, "A cat sits here."),
        ("a cat on a mat, with a hat, in a room", 8, "a cat on a mat, with a hat"),
        ("a cat on a mat - in a large and old room", 7, "a cat on a mat"),
        ("a cat on a mat in a room", 7, "a cat on a mat"),
        ("a cat on a mat in a room", 4, "a cat"),
        ("Yes. a cat on a mat in a room", 6, "Yes. a cat on a mat"),
        ("the the the", 2, "the"),
        ("cat", 0, ""),
    ],
)
def test_a_long_caption_ends_where_something_ends(caption: str, limit: int, left: str):
    assert capped(caption, limit, words) == left


@given(st.text(alphabet="ab ,.;-"), st.integers(0, 20))
def test_what_is_cut_is_short_enough_and_a_beginning_of_whole_words(text: str, limit: int):
    caption = cleaned(text)
    left = capped(caption, limit, words)
    assert words(left) <= limit or left == caption
    assert caption.startswith(left)
    rest = caption[len(left) :]
    assert rest == "" or left == "" or rest[0] in " ,;:"
