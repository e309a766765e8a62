"""How many jobs are given to a cluster at once, and what each asks of a machine there.

In: what the cluster has, and what the operator says.  Out: slots, and needs.  One job more than
there is room for is given, and waits: who scales the cluster sees that there is work.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from modelgenerator.service.config import ServiceConfig
from modelgenerator.service.jobs.executors.executor import Slot
from modelgenerator.service.jobs.executors.nearby import aware
from modelgenerator.service.jobs.executors.ray_words import Cluster, Held, Loaded, Needs
from modelgenerator.service.jobs.executors.slots import HEAVY, LIGHT
from modelgenerator.service.jobs.messages import Assignment
from modelgenerator.service.operations.devices import GpuKind, gpu_kinds
from modelgenerator.service.records.holds import NOTHING, Holds
from modelgenerator.service.records.jobs import JobKind
from modelgenerator.service.records.servers import DrawingPlace

LIGHT_SLOTS = 2
CPUS = 2
"""Of a training or of pictures without a GPU."""
_PICTURES = (JobKind.GENERATE,)


def slots_of_cluster(cluster: Cluster, config: ServiceConfig) -> tuple[Slot, ...]:
    """Archives and objects wait behind nothing heavy, and pictures not behind trainings.

    Of GPUs of several kinds the smallest come first, so that the large ones stay free for what
    needs them, and those before that have no machine yet; then the places in which work waits, for
    any kind that has the memory: one for each kind that is the smallest which will do.
    """
    light = [Slot(name=f"light-{number}", kinds=LIGHT) for number in range(LIGHT_SLOTS)]
    kinds = gpu_kinds(config)
    if not kinds:
        room = cluster.cpus // CPUS
        return (*light, Slot(name="pictures", kinds=_PICTURES), *_on_cpus(config, room))
    most = config.cluster_machine_gpus
    waiting = [
        replace(_for_any(kinds[number:]), gpus=most, gpu_memory_above=smaller)
        for number, smaller in enumerate([-1, *(kind.memory for kind in kinds[:-1])])
    ]
    there_first = sorted(kinds, key=lambda kind: not _count(cluster, kind))
    working = [slot for kind in there_first for slot in _on(kind, _count(cluster, kind), config)]
    pictures = [
        replace(slot, name=f"pictures-{number}", kinds=_PICTURES)
        for number, slot in enumerate(waiting)
    ]
    return (*light, *pictures, *working, *waiting)


def _on_cpus(config: ServiceConfig, room: int) -> Iterator[Slot]:
    for number in range(config.cluster_jobs or max(1, room) + 1):
        yield Slot(name=f"cluster-{number}", kinds=HEAVY)


def _on(kind: GpuKind, room: int, config: ServiceConfig) -> Iterator[Slot]:
    """As many as there is room for, or as the operator says less the one that waits; one also
    where there is none now: machines come when somebody asks for them."""
    name = kind.name or "gpu"
    count = max(1, room) if config.cluster_jobs is None else config.cluster_jobs - 1
    for number in range(count):
        yield replace(_for_any((kind,)), name=f"{name}-{number}", gpus=config.cluster_machine_gpus)


def _for_any(kinds: Sequence[GpuKind]) -> Slot:
    """A place on one GPU of these kinds, the first of which has the least memory."""
    names = tuple(kind.name for kind in kinds if kind.name is not None)
    first = kinds[0]
    return Slot(
        name=f"{first.name or 'gpu'}-waiting",
        kinds=HEAVY,
        gpus=1,
        gpu_memory=first.memory,
        gpu_kinds=names,
    )


def with_loaded(free: Sequence[Slot], slots: Sequence[Slot], loaded: Loaded) -> list[Slot]:
    """Free ones of `slots`, which know of runners: each that draws stands for one that waits."""
    idle = list(loaded.idle)
    known = [
        replace(slot, holds=_taken(idle, slot)) if JobKind.GENERATE in slot.kinds else slot
        for slot in free
    ]
    return aware(known, _runners(slots, [*loaded.busy, *idle]))


def drawing_places(slots: Sequence[Slot], loaded: Loaded) -> list[DrawingPlace]:
    """The runners that have something loaded, as other servers are told of them."""
    return [
        DrawingPlace(
            gpus=runner.gpus, gpu_memory=runner.gpu_memory, holds=runner.holds, is_free=is_free
        )
        for some, is_free in ((loaded.idle, True), (loaded.busy, False))
        for runner in _runners(slots, some)
        if runner.holds != NOTHING
    ]


def _runners(slots: Sequence[Slot], held: Sequence[Held]) -> list[Slot]:
    """Each as a slot that asks for such a runner; one for which none asks gets no work."""
    asks = {slot.gpu_kinds: slot for slot in slots if JobKind.GENERATE in slot.kinds}
    return [
        replace(asks[one.gpu_kinds], name=f"runner-{number}", holds=one.holds)
        for number, one in enumerate(held)
        if one.gpu_kinds in asks
    ]


def _taken(idle: list[Held], slot: Slot) -> Holds:
    """What a runner holds that would be given the work of this slot; it stands for one only."""
    fit = next((one for one in idle if one.gpu_kinds == slot.gpu_kinds), None)
    if fit is None:
        return NOTHING
    idle.remove(fit)
    return fit.holds


def _count(cluster: Cluster, kind: GpuKind) -> int:
    if kind.name is None:
        return cluster.gpus
    return sum(machine.gpus for machine in cluster.machines if machine.gpu_kind == kind.name)


def needs_of(assignment: Assignment, slot: Slot, cluster: Cluster) -> Needs:
    """As the job was planned when it was accepted."""
    if assignment.gpus:
        return Needs(cpus=1, gpus=assignment.gpus, gpu_kinds=slot.gpu_kinds)
    if assignment.kind not in HEAVY:
        return Needs()
    planned = assignment.spec.get("memoryBytes")
    memory = planned if isinstance(planned, int) else 0
    return Needs(cpus=max(1, min(CPUS, cluster.cpus)), memory=memory)
