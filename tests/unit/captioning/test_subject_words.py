import pytest

from modelgenerator.captioning.subject_words import with_article, words_for
from modelgenerator.datasets.subject import Subject, SubjectKind


@pytest.mark.parametrize(
    ("name", "called"),
    [
        ("woman", "a woman"),
        ("old man", "an old man"),
        ("unicorn", "a unicorn"),
        ("uninvited guest", "an uninvited guest"),
        ("hourglass", "an hourglass"),
        ("European city", "a European city"),
        ("one-man band", "a one-man band"),
        ("onion", "an onion"),
        ("SUV", "an SUV"),
        ("UFO", "a UFO"),
        ("sneakers", "sneakers"),
        ("two dogs", "two dogs"),
        ("children", "children"),
        ("dress", "a dress"),
        ("bus", "a bus"),
        ("canvas", "a canvas"),
        ("my dog", "my dog"),
        ("The Thinker", "The Thinker"),
        ("犬", "a 犬"),
    ],
)
def test_an_article_is_put_where_one_belongs(name: str, called: str):
    assert with_article(name) == called


@pytest.mark.parametrize("kind", [kind for kind in (*SubjectKind, None) if kind != "style"])
def test_a_subject_is_called_by_its_class_name(kind: SubjectKind | None):
    assert words_for(Subject(kind, " old  woman ")) == "a photo of an old woman"


def test_a_style_is_no_thing_in_a_photo():
    assert words_for(Subject(SubjectKind.STYLE, "ukiyo-e")) == "in the style of ukiyo-e"


@pytest.mark.parametrize("kind", [*SubjectKind, None])
def test_without_a_class_name_there_are_no_words(kind: SubjectKind | None):
    assert words_for(Subject(kind, "  ")) == ""
