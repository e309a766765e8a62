"""The vocabulary that is carried in the package is CLIP's own."""

import pytest

from modelgenerator.diffusion.clip.tokenizer import clip_tokenizer

CLIP_TOKENS = 49_408


def test_words_have_the_numbers_of_the_published_tokenizer():
    """Source: openai/CLIP, README and notebooks: what `clip.tokenize` answers."""
    tokenizer = clip_tokenizer(CLIP_TOKENS, pad="<|endoftext|>")
    assert tokenizer("a photo of a cat").input_ids == [49406, 320, 1125, 539, 320, 2368, 49407]
    assert tokenizer("hello world").input_ids == [49406, 3306, 1002, 49407]


@pytest.mark.parametrize(("pad", "number"), [("<|endoftext|>", 49_407), ("!", 0)])
def test_a_short_prompt_is_filled_up_with_the_mark_that_its_text_encoder_knows(
    pad: str, number: int
):
    tokens = clip_tokenizer(CLIP_TOKENS, pad=pad)("cat", padding="max_length").input_ids
    assert tokens == [49_406, 2_368, 49_407] + [number] * 74


def test_a_smaller_text_encoder_knows_fewer_merges():
    tokenizer = clip_tokenizer(514, pad="!")
    assert len(tokenizer("cat").input_ids) == 5
    assert tokenizer("cat").input_ids[0] == 512


@pytest.mark.parametrize("tokens", [513, CLIP_TOKENS + 1])
def test_a_text_encoder_with_another_vocabulary_is_refused(tokens: int):
    with pytest.raises(ValueError, match="vocabulary"):
        clip_tokenizer(tokens, pad="!")
