"""CLIP's tokenizer, so that base models in a single file need nothing from a model hub.

In: how many tokens a text encoder knows.  Out: its tokenizer.
"""

from transformers import CLIPTokenizer

from modelgenerator.diffusion.clip.vocabulary import clip_vocabulary

LENGTH = 77
"""Tokens of a prompt, with start and end."""


def clip_tokenizer(tokens: int, *, pad: str) -> CLIPTokenizer:
    """For a text encoder that knows so many `tokens`; short prompts are filled up with `pad`.

    Raises:
        ValueError: not even the bytes, or more than CLIP has.
    """
    vocabulary, merges = clip_vocabulary(tokens)
    return CLIPTokenizer(
        vocab=vocabulary,
        merges=merges,  # pyright: ignore[reportArgumentType]  # pairs are what it hands on
        model_max_length=LENGTH,
        pad_token=pad,
    )
