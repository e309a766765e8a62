"""How long a caption is to a text encoder.

In: a text.  Out: a number of CLIP's tokens, by the vocabulary that is carried along: no base model
is needed.
"""

import sys
from functools import cache
from typing import Any

CLIP_ROOM = 75
"""Tokens of a caption that CLIP reads, without its marks of start and end."""
CLIP_VOCABULARY = 49_408


def clip_tokens(text: str) -> int:
    """Without the marks of start and end."""
    return len(_tokenizer().tokenize(text))


@cache
def _tokenizer() -> Any:
    # it imports transformers, which takes a second
    from modelgenerator.diffusion.clip.tokenizer import clip_tokenizer

    tokenizer = clip_tokenizer(CLIP_VOCABULARY, pad="!")
    tokenizer.model_max_length = sys.maxsize  # it complains of longer texts, which are to be cut
    return tokenizer
