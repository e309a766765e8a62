"""CLIP's vocabulary: words and parts of words, and in which order they are put together.

In: how many tokens a text encoder knows.  Out: those tokens, and the merges that make them.

All text encoders of Stable Diffusion and SDXL read the same vocabulary: the 256 bytes, each also
as the end of a word, then one token for each merge, then the marks of start and end.  A text
encoder with fewer tokens knows so many merges fewer.
Source: https://github.com/openai/CLIP, clip/simple_tokenizer.py; `merges.txt.gz` holds lines 2 to
48,895 of its bpe_simple_vocab_16e6.txt.gz, which are those that it uses.
"""

import gzip
from pathlib import Path

from tokenizers import pre_tokenizers

START, END = "<|startoftext|>", "<|endoftext|>"
ALL_TOKENS = 49_408
_BYTES = 256
Merges = list[tuple[str, str]]


def clip_vocabulary(tokens: int) -> tuple[dict[str, int], Merges]:
    """For a text encoder that knows so many `tokens`: each with its number, and the merges.

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
    return {word: index for index, word in enumerate(words)}, pairs


def _merges() -> Merges:
    text = gzip.decompress((Path(__file__).parent / "merges.txt.gz").read_bytes()).decode()
    pairs = (line.split() for line in text.splitlines())
    return [(first, second) for first, second in pairs]
