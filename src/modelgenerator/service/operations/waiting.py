"""Why a job waits: in a word for programs, and in a sentence for people.

In: jobs that wait, within a transaction.  Out: the reason of each, from a fixed number of
statements for all of them.  Other organizations appear as numbers alone.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from modelgenerator.service.operations.service import Service
from modelgenerator.service.records.jobs import WAITING_FOR_MACHINE, Job, JobStatus
from modelgenerator.service.records.servers import Places, Server
from modelgenerator.service.store.job_counts import JobCount
from modelgenerator.service.store.job_queue import LIMITED, NO_LIMIT
from modelgenerator.service.store.transaction import Transaction


class WaitReason(StrEnum):
    """What would have to be otherwise for a job to begin."""

    TRIED_LATER = "triedLater"  # its last attempt came to nothing
    NO_SERVER = "noServer"
    NO_CLUSTER = "noCluster"
    NO_GPU = "noGpu"  # no place has one, or not so many
    NO_LARGER_GPU = "noLargerGpu"
    RUNNING_LIMIT = "runningLimit"  # its organization runs as many as it may
    PLACES_TAKEN = "placesTaken"
    ROOM_IS_MADE = "roomIsMade"  # a training of a lower priority is about to end
    WAITING_FOR_MACHINE = "waitingForMachine"  # taken by a server, and no machine has room
    BEGINS = "begins"


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why a job waits."""

    reason: WaitReason
    message: str
    """A sentence or two, without the job's name."""
    jobs_before: int | None = None
    """That begin earlier, as far as their order is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What jobs wait for."""

    now: datetime
    servers: Sequence[Server]
    counts: Sequence[JobCount]
    before: Mapping[UUID, int]
    """How many go before each job."""
    room_is_made: Collection[UUID] = ()
    """For these jobs."""
    most_of_one: int = NO_LIMIT
    """Jobs that one organization may have running at once."""

    @property
    def places(self) -> list[Places]:
        """Of all servers."""
        return [places for server in self.servers for places in server.places]


def why_they_wait(
    service: Service, transaction: Transaction, organization_id: UUID, jobs: Iterable[Job]
) -> dict[UUID, Waiting]:
    """For each of an organization's jobs that waits, by its id.  At most four statements."""
    waiting = [job for job in jobs if waits(job)]
    if not waiting:
        return {}
    situation = situation_of(service, transaction, organization_id, waiting)
    return {job.id: why_it_waits(job, situation) for job in waiting}


def waits(job: Job) -> bool:
    """Whether it is worth a word: in the queue, or on its way to a machine."""
    if job.cancel_requested_at is not None:
        return False
    is_placed = job.status is JobStatus.RUNNING and job.phase != WAITING_FOR_MACHINE
    return not job.status.is_final and not is_placed


def situation_of(
    service: Service, transaction: Transaction, organization_id: UUID, jobs: Iterable[Job]
) -> Situation:
    """As it is now."""
    now = service.clock()
    servers = transaction.servers.alive(now)
    places = [places for server in servers for places in server.places]
    ids = [job.id for job in jobs if job.status is JobStatus.QUEUED]
    most, ledger = service.config.running_jobs or NO_LIMIT, transaction.jobs
    return Situation(
        now=now,
        servers=servers,
        counts=transaction.of(organization_id).jobs.counts(),
        before=ledger.before(ids, places, now, most_of_one=most) if ids else {},
        room_is_made=ledger.room_is_made_for(ids) if ids else (),
        most_of_one=most,
    )


def why_it_waits(job: Job, situation: Situation) -> Waiting:
    """The reason that holds longest."""
    if job.status is JobStatus.RUNNING:
        return Waiting(
            WaitReason.WAITING_FOR_MACHINE,
            f"It has its turn, and no machine of the cluster has room for it yet: {_needs(job)}.",
        )
    return (
        _nobody_takes_jobs(situation)
        or _nothing_is_large_enough(job, situation.places)
        or _is_tried_later(job, situation.now)
        or _runs_as_many_as_it_may(job, situation)
        or _room_is_made(job, situation)
        or _waits_for_its_turn(job, situation)
    )


def _nobody_takes_jobs(situation: Situation) -> Waiting | None:
    if situation.places:
        return None
    if any(not server.machines for server in situation.servers):
        return Waiting(
            WaitReason.NO_CLUSTER,
            "The Ray cluster is not there. It is looked for, and this begins when it is back.",
        )
    return Waiting(  # none is there, or they are about to end
        WaitReason.NO_SERVER,
        "No server takes jobs now. It begins by itself when one is back.",
    )


def _nothing_is_large_enough(job: Job, places: Sequence[Places]) -> Waiting | None:
    most = max(place.gpus for place in places)
    if job.gpus > most:
        has = f"has more than {_count(most, 'GPU')}" if most else "has one"
        needed = "a GPU" if job.gpus == 1 else f"{job.gpus} GPUs at once"
        return Waiting(WaitReason.NO_GPU, f"It needs {needed}, and no machine here {has}.")
    largest = max(place.gpu_memory for place in places if place.gpus >= job.gpus)
    if job.gpu_memory > largest:
        return Waiting(
            WaitReason.NO_LARGER_GPU,
            f"It needs a GPU with {_gigabytes(job.gpu_memory)}, and the largest here has "
            f"{_gigabytes(largest)}.",
        )
    return None


def _is_tried_later(job: Job, now: datetime) -> Waiting | None:
    if job.not_before is None or job.not_before <= now:
        return None
    seconds = max(1, round((job.not_before - now).total_seconds()))
    words = f"Its last attempt came to nothing. It is tried again in {_count(seconds, 'second')}."
    return Waiting(WaitReason.TRIED_LATER, words)


def _runs_as_many_as_it_may(job: Job, situation: Situation) -> Waiting | None:
    if job.kind not in LIMITED:
        return None
    running = sum(it.jobs for it in situation.counts if it.is_own and _is_limited(it))
    if running < situation.most_of_one:
        return None
    words = f"Your organization has {_count(running, 'job')} running, as many as it may at once."
    return Waiting(WaitReason.RUNNING_LIMIT, words)


def _is_limited(count: JobCount) -> bool:
    """Whether these run, and take what an organization has only so many of."""
    return count.status is JobStatus.RUNNING and count.kind in LIMITED


def _room_is_made(job: Job, situation: Situation) -> Waiting | None:
    if job.id not in situation.room_is_made:
        return None
    words = "A training of a lower priority saves a checkpoint and makes room for it."
    return Waiting(WaitReason.ROOM_IS_MADE, words)


def _waits_for_its_turn(job: Job, situation: Situation) -> Waiting:
    before = situation.before.get(job.id, 0)
    places = [place for place in situation.places if can_run(place, job)]
    count, taken = sum(place.count for place in places), taken_of(places, situation.counts)
    if before < count - taken:
        return Waiting(WaitReason.BEGINS, "It begins in a moment.", before)
    go = "It is next" if not before else f"{_count(before, 'job')} {_go(before)} before it"
    all_ = "the only place for it is" if count == 1 else f"all {count} places for it are"
    return Waiting(WaitReason.PLACES_TAKEN, f"{go}, and {all_} taken.", before)


def can_run(places: Places, job: Job) -> bool:
    """As a claim sees it."""
    has_gpus = places.gpus >= job.gpus
    has_memory = places.gpu_memory_above < job.gpu_memory <= places.gpu_memory
    return job.kind in places.kinds and has_gpus and has_memory


def taken_of(places: Sequence[Places], counts: Sequence[JobCount]) -> int:
    """How many of the places have a job; not more than there are."""
    kinds = {kind for place in places for kind in place.kinds}
    running = sum(it.jobs for it in counts if it.status is JobStatus.RUNNING and it.kind in kinds)
    return min(running, sum(place.count for place in places))


def _needs(job: Job) -> str:
    if not job.gpus:
        return "it needs processors and memory that others use"
    memory = f" with {_gigabytes(job.gpu_memory)}" if job.gpu_memory else ""
    needed = "a GPU" if job.gpus == 1 else f"{job.gpus} GPUs on one machine"
    return f"it needs {needed}{memory}"


def _gigabytes(byte_count: int) -> str:
    return f"{byte_count / 10**9:.3g} GB"


def _count(count: int, name: str) -> str:
    return f"{count} {name}" if count == 1 else f"{count:,} {name}s"


def _go(count: int) -> str:
    return "goes" if count == 1 else "go"
