"""How much memory of a GPU pictures need at their peak, in arithmetic.

In: what is known of the base model from its files, a number format, the size of a picture.  Out:
bytes.  Nothing is loaded and torch is not known here.
"""

from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.diffusion.weights import RUNTIME, bytes_by_part

_WIDEST = 128
"""Channels of an autoencoder whose configuration says nothing, where its pictures are largest."""
_DECODING_COPIES = 10.0
"""Of an autoencoder's picture at its full size, alive at once: 7.5 to 7.9 were measured on a CPU
(`benchmarks/decoding.py`), and a GPU's convolutions take room to work in."""


def drawing_bytes(base: BaseModelFiles, dtype: str, *, width: int, height: int) -> int:
    """At the peak, which is when a picture of this size is decoded with all parts still there.

    Pictures are decoded one at a time; a step works on an eighth of the sides, and needs less.  0
    where the files do not tell.
    """
    weights = sum(bytes_by_part(base, dtype).values())
    if not weights:
        return 0
    (widest, *_) = base.configs.get("vae", {}).get("block_out_channels") or (_WIDEST,)
    decoding = 4 * _DECODING_COPIES * widest * width * height
    return round(RUNTIME["cuda"] + weights + decoding)
