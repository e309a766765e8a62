"""Machines, what runs on them, and the queue: of one deployment, as one organization may see it.

In: who asks.  Out: the machines of all servers that live, this organization's jobs on them by name
and everybody else's as numbers, and why each of its own that waits does so.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version

from modelgenerator.service.operations.callers import Caller
from modelgenerator.service.operations.service import Service
from modelgenerator.service.operations.waiting import (
    Situation,
    situation_of,
    taken_of,
    waits,
    why_it_waits,
)
from modelgenerator.service.operations.working_jobs import WorkingJob, working_jobs
from modelgenerator.service.operations.works import works_of_jobs
from modelgenerator.service.records.jobs import WAITING_FOR_MACHINE, JobStatus
from modelgenerator.service.records.organizations import Role
from modelgenerator.service.records.servers import Machine, Server
from modelgenerator.service.store.job_counts import JobCount

_MOST_RUNNING, _MOST_QUEUED = 100, 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Busy:
    """What runs somewhere."""

    own: tuple[WorkingJob, ...] = ()
    """Of the organization that asks, some of it."""
    own_count: int = 0
    others_count: int = 0
    gpus: int = 0
    """That all of it has."""

    @property
    def count(self) -> int:
        """Of all jobs there."""
        return self.own_count + self.others_count


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenMachine:
    """A machine, and what runs there."""

    machine: Machine
    is_there: bool
    """No server tells of it any more, and jobs that ran there have not been missed yet."""
    busy: Busy


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenServer:
    """A `modelgenerator serve`."""

    host: str
    version: str
    is_other_version: bool
    """Than that of the server that is asked."""
    executor: str
    started_at: datetime
    seen_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """One look at it."""

    machines: tuple[SeenMachine, ...]
    unplaced: Busy
    """What has begun, and is on no machine yet as far as that is known."""
    servers: tuple[SeenServer, ...]
    places: int
    """Jobs that the servers take at once: on a cluster more than there is room for."""
    places_taken: int
    uses_gpus: bool
    """Whether any place has one: nobody may have said that they can be used."""
    queue: tuple[WorkingJob, ...]
    """Of the organization that asks, in the order in which it begins, some of it."""
    queued_count: int
    others_queued: int


def read_cluster(service: Service, caller: Caller) -> Cluster:
    """Everything about machines and the queue that an organization may know."""
    caller.require(Role.VIEWER)
    with service.database.reading() as transaction:
        store = transaction.of(caller.organization_id)
        running = store.jobs.in_order(JobStatus.RUNNING, limit=_MOST_RUNNING)
        queued = store.jobs.in_order(JobStatus.QUEUED, limit=_MOST_QUEUED)
        situation = situation_of(service, transaction, caller.organization_id, queued)
        works = works_of_jobs(store, [*running, *queued])
    waiting = {job.id: why_it_waits(job, situation) for job in (*running, *queued) if waits(job)}
    own = working_jobs(works, running, waiting=waiting)
    return Cluster(
        machines=_machines(situation, own),
        unplaced=_busy(None, situation.counts, own),
        servers=_servers(situation.servers),
        places=sum(places.count for places in situation.places),
        places_taken=taken_of(situation.places, situation.counts),
        uses_gpus=any(places.gpus for places in situation.places),
        queue=working_jobs(works, queued, waiting=waiting),
        queued_count=_queued(situation.counts, is_own=True),
        others_queued=_queued(situation.counts, is_own=False),
    )


def machines_of_servers(servers: Iterable[Server]) -> list[Machine]:
    """Each once, by its name: servers of one Ray cluster all tell of the same."""
    named = {machine.name: machine for server in servers for machine in server.machines}
    return [named[name] for name in sorted(named)]


def _machines(situation: Situation, own: Sequence[WorkingJob]) -> tuple[SeenMachine, ...]:
    there = machines_of_servers(situation.servers)
    names = {machine.name for machine in there}
    running = {it.machine for it in situation.counts if it.status is JobStatus.RUNNING}
    gone = sorted(name for name in running if name is not None and name not in names)
    machines = [*there, *(Machine(name=name, cpus=0) for name in gone)]
    return tuple(
        SeenMachine(
            machine=machine,
            is_there=machine.name in names,
            busy=_busy(machine.name, situation.counts, own),
        )
        for machine in machines
    )


def _busy(name: str | None, counts: Iterable[JobCount], own: Iterable[WorkingJob]) -> Busy:
    """Of the machine with this name."""
    here = [it for it in counts if it.status is JobStatus.RUNNING and it.machine == name]
    jobs: Counter[bool] = Counter()
    for count in here:
        jobs[count.is_own] += count.jobs
    return Busy(
        own=tuple(it for it in own if it.job.machine == name),
        own_count=jobs[True],
        others_count=jobs[False],
        gpus=sum(it.gpus for it in here if it.phase != WAITING_FOR_MACHINE),
    )


def _servers(servers: Iterable[Server]) -> tuple[SeenServer, ...]:
    ours = version("modelgenerator")
    return tuple(
        SeenServer(
            host=server.host,
            version=server.version,
            is_other_version=server.version != ours,
            executor=server.executor,
            started_at=server.started_at,
            seen_at=server.seen_at,
        )
        for server in servers
    )


def _queued(counts: Iterable[JobCount], *, is_own: bool) -> int:
    return sum(it.jobs for it in counts if it.status is JobStatus.QUEUED and it.is_own is is_own)
