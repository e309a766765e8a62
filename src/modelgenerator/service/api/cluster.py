"""Machines, what runs on them, and the queue, over HTTP."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from fastapi import APIRouter

from modelgenerator.service.api.asking import CallerHere, ServiceHere
from modelgenerator.service.api.job_shapes import WaitingShape, waiting_shape
from modelgenerator.service.api.problems import problems
from modelgenerator.service.api.shapes import Shape
from modelgenerator.service.operations import cluster
from modelgenerator.service.operations.cluster import Busy, SeenMachine, SeenServer
from modelgenerator.service.operations.working_jobs import WorkingJob
from modelgenerator.service.operations.works import WorkKind
from modelgenerator.service.records.jobs import JobStatus
from modelgenerator.service.records.priorities import Priority, priority_of

router = APIRouter(prefix="/v1/cluster", tags=["cluster"])


class WorkShape(Shape):
    """A job of yours."""

    kind: WorkKind
    """`training`, `pictures`, or `run`: a step of it."""
    id: UUID
    """Of the training, the inference or the run."""
    name: str
    status: JobStatus
    phase: str | None
    progress: Mapping[str, object] | None
    priority: Priority
    waiting_for: WaitingShape | None
    created_at: datetime
    started_at: datetime | None


class BusyShape(Shape):
    """What runs somewhere."""

    own: tuple[WorkShape, ...]
    """Your organization's, the most urgent first; a hundred on all machines together at most."""
    own_count: int
    others_count: int
    """Jobs of other organizations."""
    gpus: int
    """That all of it has."""


class MachineShape(Shape):
    """Something that jobs run on."""

    name: str
    is_there: bool
    """False: no server tells of it any more, and its jobs are about to go elsewhere."""
    cpus: int
    memory_bytes: int | None
    """Null: nobody knows."""
    gpus: int
    gpu_kind: str | None
    gpu_memory_bytes: int | None
    """Of each; null: nobody knows."""
    running: BusyShape


class ServerShape(Shape):
    """A `modelgenerator serve` that takes jobs."""

    host: str
    version: str
    is_other_version: bool
    """Than that of the server that answers."""
    executor: str
    """`local` or `ray`."""
    started_at: datetime
    seen_at: datetime


class ClusterShape(Shape):
    """One look at machines and queue."""

    machines: tuple[MachineShape, ...]
    """Empty: jobs wait until there is one."""
    unplaced: BusyShape
    """What has begun, and is on no machine yet as far as that is known."""
    servers: tuple[ServerShape, ...]
    places: int
    """Jobs that the servers take at once: on a Ray cluster more than there is room for."""
    places_taken: int
    uses_gpus: bool
    """Whether any place has one."""
    queue: tuple[WorkShape, ...]
    """Your organization's first fifty, in the order in which they begin."""
    queued_count: int
    others_queued: int
    """Jobs of other organizations that wait."""


@router.get("", responses=problems())
def read_cluster(service: ServiceHere, caller: CallerHere) -> ClusterShape:
    """Which machines there are, what runs where, and why each of your jobs waits that does."""
    seen = cluster.read_cluster(service, caller)
    return ClusterShape(
        machines=tuple(map(_machine, seen.machines)),
        unplaced=_busy(seen.unplaced),
        servers=tuple(map(_server, seen.servers)),
        places=seen.places,
        places_taken=seen.places_taken,
        uses_gpus=seen.uses_gpus,
        queue=tuple(map(_work, seen.queue)),
        queued_count=seen.queued_count,
        others_queued=seen.others_queued,
    )


def _machine(seen: SeenMachine) -> MachineShape:
    machine = seen.machine
    return MachineShape(
        name=machine.name,
        is_there=seen.is_there,
        cpus=machine.cpus,
        memory_bytes=machine.memory or None,
        gpus=machine.gpus,
        gpu_kind=machine.gpu_kind,
        gpu_memory_bytes=machine.gpu_memory or None,
        running=_busy(seen.busy),
    )


def _busy(busy: Busy) -> BusyShape:
    return BusyShape(
        own=tuple(map(_work, busy.own)),
        own_count=busy.own_count,
        others_count=busy.others_count,
        gpus=busy.gpus,
    )


def _work(one: WorkingJob) -> WorkShape:
    job = one.job
    return WorkShape(
        kind=one.work.kind,
        id=one.work.id,
        name=one.work.name,
        status=job.status,
        phase=job.phase,
        progress=job.progress,
        priority=priority_of(job.priority),
        waiting_for=waiting_shape(one.waiting),
        created_at=job.created_at,
        started_at=job.started_at,
    )


def _server(server: SeenServer) -> ServerShape:
    return ServerShape(
        host=server.host,
        version=server.version,
        is_other_version=server.is_other_version,
        executor=server.executor,
        started_at=server.started_at,
        seen_at=server.seen_at,
    )
