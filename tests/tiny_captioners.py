"""Florence-2 and BLIP with random weights, a few thousand numbers each.

Out: folders as the hub has them, with real networks, tokenizers and image processors.  What they
say means nothing, but it depends on the photo.
"""

from pathlib import Path
from typing import Any

import torch
from tokenizers import pre_tokenizers
from transformers import (
    BartConfig,
    BertTokenizer,
    BlipConfig,
    BlipImageProcessorPil,
    CLIPImageProcessorPil,
    RobertaTokenizer,
)
from transformers.models.blip import BlipForConditionalGeneration
from transformers.models.florence2 import Florence2Config, Florence2ForConditionalGeneration
from transformers.models.florence2.configuration_florence2 import Florence2VisionConfig

WORDS = [
    "cat",
    "dog",
    "woman",
    "man",
    "house",
    "tree",
    "snow",
    "street",
    "hat",
    "coat",
    "red",
    "blue",
    "green",
    "small",
    "large",
    "old",
    "wet",
    "bright",
    "sits",
    "runs",
    "looks",
    "holds",
    "stands",
    "a",
    "the",
    "on",
    "in",
    "under",
    "with",
    "near",
]
SIDE = 32
"""Pixels of what they look at."""


def save_tiny_florence2(folder: Path) -> Path:
    bytes_ = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *bytes_, *(f"Ġ{word}" for word in WORDS)]
    tokenizer = RobertaTokenizer(
        vocab={token: number for number, token in enumerate(tokens)},
        merges=[],
        extra_special_tokens={"image_token": "<image>"},
    )
    marks: dict[str, Any] = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}
    text = BartConfig(
        vocab_size=len(tokenizer),
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        max_position_embeddings=512,
        decoder_start_token_id=2,
        **marks,
    )
    vision = Florence2VisionConfig(
        depths=(1, 1),
        patch_size=(7, 3),
        patch_stride=(4, 2),
        patch_padding=(3, 1),
        patch_prenorm=(False, True),
        embed_dim=(8, 16),
        num_heads=(1, 2),
        num_groups=(1, 2),
        window_size=2,
        projection_dim=16,
        max_position_embeddings=8,
        max_temporal_embeddings=4,
    )
    image_token: Any = tokenizer.convert_tokens_to_ids("<image>")
    torch.manual_seed(0)
    network = Florence2ForConditionalGeneration(
        Florence2Config(
            text_config=text,
            vision_config=vision,
            image_token_id=image_token,
            decoder_start_token_id=2,
            **marks,
        )
    )
    network.generation_config.suppress_tokens = list(range(3, 5 + len(bytes_)))
    images = CLIPImageProcessorPil(
        size={"height": SIDE, "width": SIDE}, do_center_crop=False, image_seq_length=17
    )
    _save(folder, network, tokenizer, images)
    return folder


def save_tiny_blip(folder: Path) -> Path:
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    tokenizer = BertTokenizer(vocab={token: number for number, token in enumerate(tokens)})
    small = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    text = {
        **small,
        "vocab_size": len(tokens) + 2,  # two marks that the tokenizer does not know
        "encoder_hidden_size": 16,
        "max_position_embeddings": 256,
        "bos_token_id": len(tokens),
        "eos_token_id": 2,
        "pad_token_id": 0,
        "sep_token_id": 3,
    }
    seeing = {
        "image_size": SIDE,
        "patch_size": 16,
        "projection_dim": 16,
        "initializer_range": 0.02,  # its own is so small that it would see nothing
    }
    torch.manual_seed(0)
    network = BlipForConditionalGeneration(
        BlipConfig(
            text_config=text,
            vision_config={**small, **seeing},
            projection_dim=16,
            image_text_hidden_size=16,
        )
    )
    images = BlipImageProcessorPil(size={"height": SIDE, "width": SIDE})
    network.generation_config.suppress_tokens = [1, len(tokens), len(tokens) + 1]
    _save(folder, network, tokenizer, images)
    return folder


def _save(folder: Path, network: Any, tokenizer: Any, images: Any) -> None:
    with torch.no_grad():
        for numbers in network.parameters():
            if numbers.dim() > 1:
                numbers.mul_(12)  # so that the answer depends on what is seen
    network.generation_config.no_repeat_ngram_size = 3  # as Florence-2's own says
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    images.save_pretrained(folder)
