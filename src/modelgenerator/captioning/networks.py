"""What the captioners that run on this machine have in common.

In: a network's class and its folder.  Out: the network, complete, frozen, on the device.

Numbers are fp32 on every device: these networks are small beside any base model, and the same photo
shall get the same words on a CPU and on a GPU.
"""

from pathlib import Path
from typing import Any

import torch
from PIL import Image

from modelgenerator.datasets.images import Photo

DECODING = {"do_sample": False, "num_beams": 3, "max_new_tokens": 160}
"""Always the likeliest of three beams; no caption that is learnt from is longer."""


def load_network(kind: Any, folder: Path, device: torch.device) -> Any:
    """Of safetensors weights alone, and without any code from `folder`.

    Raises:
        ValueError: a weight is missing.
    """
    import transformers.utils.logging as transformers_logging

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    network, found = kind.from_pretrained(
        folder, dtype=torch.float32, use_safetensors=True, output_loading_info=True
    )
    # the library fills gaps with random numbers
    if found["missing_keys"]:
        raise ValueError(f"{folder.name} lacks {min(found['missing_keys'])}")
    return network.to(device).requires_grad_(False).eval()


def image_of(photo: Photo) -> Image.Image:
    """The pixels, as image processors want them."""
    return Image.fromarray(photo.pixels_HW3)
