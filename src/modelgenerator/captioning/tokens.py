"""How long a caption is to a text encoder.

In: a text.  Out: a number of CLIP's tokens, by the vocabulary that is carried along: no base model
is needed, and nothing that takes long to import.
"""

from functools import cache

from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import BPE

from modelgenerator.diffusion.clip.vocabulary import ALL_TOKENS, END, START, clip_vocabulary

CLIP_ROOM = 75
"""Tokens of a caption that CLIP reads, without its marks of start and end."""
_PIECES = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+"
"""Source: openai/CLIP, clip/simple_tokenizer.py, `pat`."""


def clip_tokens(text: str) -> int:
    """Without the marks of start and end."""
    return len(_tokenizer().encode(text).ids)


@cache
def _tokenizer() -> Tokenizer:
    vocabulary, merges = clip_vocabulary(ALL_TOKENS)
    pieces = BPE(vocab=vocabulary, merges=merges, end_of_word_suffix="</w>", unk_token=END)
    tokenizer = Tokenizer(pieces)
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    tokenizer.add_special_tokens([START, END])
    return tokenizer
