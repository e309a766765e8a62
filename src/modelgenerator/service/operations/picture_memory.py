"""Which GPUs pictures need, so that they go where they fit.

In: pictures that are planned, and what devices and servers there are.  Out: bytes of one GPU.
"""

from collections.abc import Sequence

from modelgenerator.diffusion.number_formats import drawing_dtype
from modelgenerator.generation.memory import drawing_bytes
from modelgenerator.service.operations.picture_wishes import PlannedPicture
from modelgenerator.service.operations.service import Service
from modelgenerator.service.records.jobs import JobKind
from modelgenerator.service.records.servers import Server


def gpu_memory_for(service: Service, pictures: Sequence[PlannedPicture]) -> int:
    """As estimated, of the base model and the picture that need the most; 0 where CPUs draw.

    Looks into files of base models, once for each.
    """
    devices = service.devices()
    if devices[-1].kind == "cpu":
        return 0
    # where one kind of GPU is without it, nobody knows yet which one will draw
    has_bf16 = all(device.has_bf16 for device in devices)
    largest: dict[tuple[str, str], PlannedPicture] = {}
    for picture in pictures:
        which = picture.base.reference, picture.base.full_revision
        largest[which] = max(largest.get(which, picture), picture, key=_pixels)
    return max(_needed(picture, has_bf16=has_bf16) for picture in largest.values())


def within_largest(needed: int, service: Service, servers: Sequence[Server]) -> int:
    """`needed`, or the memory of the largest GPU that draws anywhere here: it is an estimate, and
    refuses nothing."""
    places = [
        place.gpu_memory
        for server in servers
        for place in server.places
        if place.gpus and JobKind.GENERATE in place.kinds
    ]
    return min(needed, max(places, default=service.devices()[-1].free_bytes or 0))


def _pixels(picture: PlannedPicture) -> int:
    return picture.image.request.width * picture.image.request.height


def _needed(picture: PlannedPicture, *, has_bf16: bool) -> int:
    request = picture.image.request
    dtype = drawing_dtype(picture.base, kind="cuda", has_bf16=has_bf16)
    try:
        return drawing_bytes(picture.base, dtype, width=request.width, height=request.height)
    except (OSError, ValueError):  # of files that are not there or broken the job itself tells
        return 0
