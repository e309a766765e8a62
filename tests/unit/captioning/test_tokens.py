from hypothesis import given, settings
from hypothesis import strategies as st

from modelgenerator.captioning.captions import Length
from modelgenerator.captioning.cleaning import capped, cleaned
from modelgenerator.captioning.tokens import CLIP_ROOM, clip_tokens
from modelgenerator.diffusion.clip.tokenizer import clip_tokenizer
from modelgenerator.diffusion.clip.vocabulary import ALL_TOKENS

CLIPS_OWN = clip_tokenizer(ALL_TOKENS, pad="!")


def test_common_words_are_one_token_and_rare_ones_several():
    assert clip_tokens("") == 0
    assert clip_tokens("a photo of a woman") == 5
    assert clip_tokens("lvff") > 1


def test_a_text_that_is_longer_than_the_encoder_reads_is_counted_to_its_end():
    assert clip_tokens("cat " * 500) == 500


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200))
def test_the_count_is_that_of_the_text_encoders_own_tokenizer(text: str):
    assert clip_tokens(text) == len(CLIPS_OWN.tokenize(text))


def test_a_prefix_takes_its_part_of_the_room():
    assert Length().beside(None).tokens == CLIP_ROOM
    assert Length().beside("a woman").tokens == CLIP_ROOM - 2
    assert Length(3).beside("a woman with a very long name").tokens == 0


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=400), st.integers(0, CLIP_ROOM))
def test_no_caption_is_longer_than_the_encoder_reads(text: str, limit: int):
    assert clip_tokens(capped(cleaned(text), limit, clip_tokens)) <= limit
