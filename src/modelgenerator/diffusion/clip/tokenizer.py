"""CLIP's vocabulary, so that base models in a single file need nothing from a model hub.

In: how many tokens a text encoder knows.  Out: its tokenizer.

All text encoders of Stable Diffusion and SDXL read the same vocabulary: the 256 bytes, each also
as the end of a word, then one token for each merge, then the marks of start and end.  A text
encoder with fewer tokens knows so many merges fewer.
Source: https://github.com/openai/CLIP, clip/simple_tokenizer.py; `merges.txt.gz` holds lines 2 to
48,895 of its bpe_simple_vocab_16e6.txt.gz, which are those that it uses.
"""

import gzip
from pathlib import Path

from tokenizers import pre_tokenizers
from transformers import CLIPTokenizer

START, END = "<|startoftext|>", "<|endoftext|>"
LENGTH = 77
"""Tokens of a prompt, with start and end."""
_BYTES = 256


def clip_tokenizer(tokens: int, *, pad: str) -> CLIPTokenizer:
    """For a text encoder that knows so many `tokens`; short prompts are filled up with `pad`.

    Raises:
        ValueError: not even the bytes, or more than CLIP has.
    """
    count = tokens - 2 * _BYTES - 2
    merges = _merges()
    if not 0 <= count <= len(merges):
        raise ValueError(f"a text encoder of {tokens} tokens does not read CLIP's vocabulary")
    pairs = merges[:count]
    bytes_ = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [*bytes_, *(f"{byte}</w>" for byte in bytes_), *map("".join, pairs), START, END]
    return CLIPTokenizer(
        vocab={word: index for index, word in enumerate(words)},
        merges=pairs,  # pyright: ignore[reportArgumentType]  # pairs are what it hands on
        model_max_length=LENGTH,
        pad_token=pad,
    )


def _merges() -> list[tuple[str, str]]:
    text = gzip.decompress((Path(__file__).parent / "merges.txt.gz").read_bytes()).decode()
    pairs = (line.split() for line in text.splitlines())
    return [(first, second) for first, second in pairs]
