"""The tokenizer of the embedded base model: CLIP's, with merges learnt from the world's captions.

In: how many captions to draw.  Out: a tokenizer folder.  Words that no caption holds are spelt with
bytes, so that any trigger word and any prompt has tokens.
"""

import json
from pathlib import Path

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

from modelgenerator.diffusion.builtin import world

LENGTH = 32  # tokens, start and end among them; the longest caption has 23
WRITTEN_LAST = "tokenizer_config.json"
START, END = "<|startoftext|>", "<|endoftext|>"
_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"  # CLIP's own split


def write_tokenizer(folder: Path, *, captions: int = 20_000) -> None:
    """Write `vocab.json`, `merges.txt` and `tokenizer_config.json`."""
    merges = _learn_merges([world.picture(seed).caption for seed in range(captions)])
    bytes_ = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = [*bytes_, *(byte + "</w>" for byte in bytes_)]
    tokens += dict.fromkeys("".join(pair) for pair in merges if "".join(pair) not in tokens)
    tokens += [START, END]
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {token: number for number, token in enumerate(tokens)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False))
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n")
    config = {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": LENGTH,
        "bos_token": START,
        "eos_token": END,
        "pad_token": END,
        "unk_token": END,
        "do_lower_case": True,
        "errors": "replace",
        "add_prefix_space": False,
    }
    (folder / WRITTEN_LAST).write_text(json.dumps(config, indent=2) + "\n")


def _learn_merges(captions: list[str]) -> list[tuple[str, str]]:
    tokenizer = Tokenizer(
        models.BPE(unk_token=END, end_of_word_suffix="</w>", continuing_subword_prefix="")
    )
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=1_100,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        end_of_word_suffix="</w>",
        min_frequency=2,
        show_progress=False,
    )
    tokenizer.train_from_iterator(captions, trainer)
    return [(left, right) for left, right in json.loads(tokenizer.to_str())["model"]["merges"]]
