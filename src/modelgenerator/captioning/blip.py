"""BLIP: a network that describes a photo in a few words.

In: its folder.  Out: a function from a photo to words.
"""

from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, BlipImageProcessorPil
from transformers.models.blip import BlipForConditionalGeneration

from modelgenerator.captioning.captioner import Describe
from modelgenerator.captioning.networks import DECODING, image_of, load_network
from modelgenerator.datasets.images import Photo


def load(folder: Path, device: torch.device) -> Describe:
    """Raises what the libraries raise when a file is missing or does not fit the others."""
    network = load_network(BlipForConditionalGeneration, folder, device)
    images: Any = BlipImageProcessorPil.from_pretrained(folder)
    tokenizer: Any = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)

    def describe(photo: Photo) -> str:
        seen = images(images=image_of(photo), return_tensors="pt").to(device)
        with torch.inference_mode():
            answer_1L = network.generate(**seen, **DECODING)
        return tokenizer.batch_decode(answer_1L, skip_special_tokens=True)[0].strip()

    return describe
