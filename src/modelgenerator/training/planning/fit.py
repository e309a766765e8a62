"""What the memory of the device asks of a plan.

In: a plan that is complete but for its memory.  Out: the same with the estimated peak and with
gradient checkpointing where it is needed; or the refusal of `training.memory`.
"""

import dataclasses
import math

from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.training.memory import Workload, settle
from modelgenerator.training.plan import DeviceFacts, TrainingPlan


def fitted(plan: TrainingPlan, base: BaseModelFiles, device: DeviceFacts) -> TrainingPlan:
    """`plan`, with what the memory of the device asks for.

    Raises:
        NotEnoughMemory: nothing makes it fit.
    """
    notices = list(plan.notices)
    size, checkpointing = settle(
        base, workload(plan, device.kind), device.free_bytes, notices, gpus=device.count
    )
    return dataclasses.replace(
        plan, memory_bytes=size, gradient_checkpointing=checkpointing, notices=tuple(notices)
    )


def workload(plan: TrainingPlan, device: str) -> Workload:
    """What the plan's memory depends on; `device` is `cpu` or `cuda`."""
    width, height = max((picture.bucket for picture in plan.pictures), key=math.prod)
    return Workload(
        width=width,
        height=height,
        batch_size=min(plan.batch_size, len(plan.pictures) * plan.repeats),
        network_dim=plan.network_dim,
        network_targets=plan.network_targets,
        text_encoders=plan.text_encoders,
        optimizer=plan.optimizer,
        compute_dtype=plan.compute_dtype,
        device=device,
        views=1 + plan.flip,
        processes=plan.processes,
    )
