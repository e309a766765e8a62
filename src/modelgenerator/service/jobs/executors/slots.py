"""How many jobs this machine runs at once, and what each place is for.

In: the machine's GPUs, and what the operator says.  Out: slots, in the order in which they are
filled: a job that fits a light slot leaves the one with the device to a training.
"""

from collections.abc import Sequence

from modelgenerator.service.jobs.executors.executor import Slot
from modelgenerator.service.operations.devices import Gpu
from modelgenerator.service.records.jobs import JobKind

HEAVY = (JobKind.TRAIN, JobKind.GENERATE)
LIGHT = (JobKind.ZIP, JobKind.GENERATE_OBJECTS)


def slots_of(gpus: Sequence[Gpu], device_slots: int | None) -> tuple[Slot, ...]:
    """Without a GPU pictures have a slot too: none waits behind a training, and nothing light
    behind pictures, which may take long."""
    if not gpus:
        light = Slot(name="light", kinds=LIGHT)
        pictures = Slot(name="pictures", kinds=(JobKind.GENERATE,))
        count = device_slots or 1
        return (light, pictures, *(Slot(name=f"cpu-{n}", kinds=HEAVY) for n in range(count)))
    count = device_slots or len(gpus)
    return (
        Slot(name="light", kinds=LIGHT),
        *(_on(gpus[number % len(gpus)], number) for number in range(count)),
    )


def _on(gpu: Gpu, number: int) -> Slot:
    return Slot(
        name=f"gpu-{number}",
        kinds=HEAVY,
        gpus=1,
        gpu_memory=gpu.memory,
        gpu_index=gpu.index,
    )
