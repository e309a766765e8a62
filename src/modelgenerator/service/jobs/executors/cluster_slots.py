"""How many jobs are given to a cluster at once, and what each asks of a machine there.

In: what the cluster has, and what the operator says.  Out: slots, and needs.  One job more than
there is room for is given, and waits: who scales the cluster sees that there is work.
"""

from collections.abc import Sequence
from dataclasses import replace

from modelgenerator.service.config import ServiceConfig
from modelgenerator.service.jobs.executors.executor import Slot
from modelgenerator.service.jobs.executors.nearby import aware
from modelgenerator.service.jobs.executors.ray_words import Cluster, Loaded, Needs
from modelgenerator.service.jobs.executors.slots import HEAVY, LIGHT
from modelgenerator.service.jobs.messages import Assignment
from modelgenerator.service.records.holds import NOTHING
from modelgenerator.service.records.jobs import JobKind

LIGHT_SLOTS = 2
CPUS = 2
"""Of a training or of pictures without a GPU."""


def slots_of_cluster(cluster: Cluster, config: ServiceConfig) -> tuple[Slot, ...]:
    """Archives and objects wait behind nothing heavy, and pictures not behind trainings."""
    gigabytes = config.cluster_gpu_gigabytes
    gpus, gpu_memory = int(gigabytes is not None), (gigabytes or 0) * 10**9
    room = cluster.gpus if gpus else cluster.cpus // CPUS
    count = config.cluster_jobs or max(1, room) + 1
    light = (Slot(name=f"light-{number}", kinds=LIGHT) for number in range(LIGHT_SLOTS))
    names = {"pictures": (JobKind.GENERATE,)}
    names |= {f"cluster-{number}": HEAVY for number in range(count)}
    heavy = (
        Slot(name=name, kinds=kinds, gpus=gpus, gpu_memory=gpu_memory)
        for name, kinds in names.items()
    )
    return (*light, *heavy)


def with_loaded(free: Sequence[Slot], loaded: Loaded) -> list[Slot]:
    """Free slots that know of runners: each that draws stands for one of those that wait."""
    idle = iter(loaded.idle)
    known = [
        replace(slot, holds=next(idle, NOTHING)) if JobKind.GENERATE in slot.kinds else slot
        for slot in free
    ]
    others = [
        replace(slot, name=f"runner-{number}", holds=holds)
        for slot in known[-1:]
        for number, holds in enumerate((*loaded.busy, *idle))
    ]
    return aware(known, others)


def needs_of(assignment: Assignment, cluster: Cluster) -> Needs:
    """As the job was planned when it was accepted."""
    if assignment.gpus:
        return Needs(cpus=1, gpus=assignment.gpus)
    if assignment.kind not in HEAVY:
        return Needs()
    planned = assignment.spec.get("memoryBytes")
    memory = planned if isinstance(planned, int) else 0
    return Needs(cpus=max(1, min(CPUS, cluster.cpus)), memory=memory)
