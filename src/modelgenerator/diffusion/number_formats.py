"""Number formats that base models compute in, and the one that pictures are safe in.

In: what is known of a base model from its files, and of a device.  Out: a name as in settings.
"""

from collections.abc import Mapping

from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.diffusion.traits import TRAITS

BYTES: Mapping[str, int] = {"fp32": 4, "bf16": 2, "fp16": 2}
"""Of a number."""


def drawing_dtype(files: BaseModelFiles, *, kind: str, has_bf16: bool) -> str:
    """The smallest number format that pictures of this base model are safe in.

    `kind` is the device's, `cpu` or `cuda`.
    """
    if kind == "cpu":
        return "fp32"
    if TRAITS[files.family].is_flow:
        return "bf16" if has_bf16 else "fp32"
    return "fp16"
