"""Which GPUs pictures need, so that they go where they fit.

In: pictures that are planned, and the devices that draw here.  Out: bytes of one GPU.
"""

from collections.abc import Sequence

from modelgenerator.diffusion.number_formats import drawing_dtype
from modelgenerator.generation.memory import drawing_bytes
from modelgenerator.service.operations.picture_wishes import PlannedPicture
from modelgenerator.service.operations.service import Service


def gpu_memory_for(service: Service, pictures: Sequence[PlannedPicture]) -> int:
    """Of the picture that needs the most; 0 where CPUs draw.

    What is estimated to fit nowhere goes to the largest GPU: it is an estimate.
    """
    devices = service.devices()
    if devices[-1].kind == "cpu":
        return 0
    has_bf16 = any(device.has_bf16 for device in devices)
    largest = max((gpu.memory for gpu in service.gpus), default=devices[-1].free_bytes or 0)
    return min(largest, max(_needed(picture, has_bf16=has_bf16) for picture in pictures))


def _needed(picture: PlannedPicture, *, has_bf16: bool) -> int:
    dtype = drawing_dtype(picture.base, kind="cuda", has_bf16=has_bf16)
    request = picture.image.request
    return drawing_bytes(picture.base, dtype, width=request.width, height=request.height)
