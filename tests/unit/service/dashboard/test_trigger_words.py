"""A suggested word is short, rare, and the same each time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelgenerator.service.dashboard.trigger_words import suggested_trigger


@pytest.mark.parametrize(("name", "word"), [("lvff", "lvff"), ("Fuchs", "fch"), ("Zoë", "z")])
def test_a_word_reminds_of_the_name(name: str, word: str) -> None:
    assert suggested_trigger(name).startswith(word)


@given(st.text(max_size=30))
def test_a_word_is_four_small_letters_without_vowels(name: str) -> None:
    word = suggested_trigger(name)
    assert len(word) == 4
    assert word.isascii()
    assert word.isalpha()
    assert word == word.lower()
    assert not set(word) & set("aeiou")
    assert suggested_trigger(name) == word
