"""Florence-2: a small network that was taught to describe photos in detail.

In: its folder.  Out: a function from a photo to words.
"""

from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, CLIPImageProcessorPil, Florence2Processor
from transformers.models.florence2 import Florence2ForConditionalGeneration

from modelgenerator.captioning.captioner import Describe
from modelgenerator.captioning.networks import DECODING, image_of, load_network
from modelgenerator.datasets.images import Photo

TASK = "<DETAILED_CAPTION>"
"""Florence-2's own word for two or three sentences."""


def load(folder: Path, device: torch.device) -> Describe:
    """Raises what the libraries raise when a file is missing or does not fit the others."""
    network = load_network(Florence2ForConditionalGeneration, folder, device)
    # by its parts: the processor's own way may choose one that wants torchvision
    processor: Any = Florence2Processor(
        image_processor=CLIPImageProcessorPil.from_pretrained(folder),
        tokenizer=AutoTokenizer.from_pretrained(folder, trust_remote_code=False),
    )

    def describe(photo: Photo) -> str:
        asked = processor(text=TASK, images=image_of(photo), return_tensors="pt").to(device)
        with torch.inference_mode():
            answer_1L = network.generate(**asked, **DECODING)
        return processor.batch_decode(answer_1L, skip_special_tokens=True)[0].strip()

    return describe
