"""Workers that only pass the time, as a GPU would; queue, choice and what is kept are real.

In: how many pictures.  Out: a line for each way.  A base model takes 6 seconds to load, a LoRA half
a second, a picture 5.
"""

import heapq
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from warm_requests import HEAD, WORKERS, Went, Wish, two_organizations, wishes

from modelgenerator.service.config import PriceList
from modelgenerator.service.jobs.executors.executor import Slot
from modelgenerator.service.jobs.executors.nearby import aware
from modelgenerator.service.jobs.warm import MOST_LORAS, Shelf
from modelgenerator.service.records.holds import NOTHING, Holds
from modelgenerator.service.records.ids import new_id
from modelgenerator.service.records.jobs import Job, JobKind, JobStatus
from modelgenerator.service.store.database import Database
from modelgenerator.service.store.job_queue import Offer
from modelgenerator.service.store.migrate import migrate

LOADING, LORA, DRAWING = 6.0, 0.5, 5.0
BUSY = 0.6
"""Part of the workers' time that drawing takes where requests come one after the other."""
LEASE = timedelta(days=1)
LOOK = 1.0
START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Worker:
    """One process with a GPU."""

    slot: Slot
    bases_kept: int
    bases: Shelf[str, str] = field(default_factory=Shelf[str, str])
    loras: Shelf[str, str] = field(default_factory=lambda: Shelf[str, str](MOST_LORAS))
    job: Job | None = None

    @property
    def known(self) -> Slot:
        holds = Holds(
            base_models=frozenset(self.bases.keys),
            loras=frozenset(self.loras.keys),
            loading_seconds=LOADING if self.bases.keys else 0.0,
        )
        return replace(self.slot, holds=holds)

    def begin(self, job: Job) -> float:
        """Seconds until it has drawn."""
        assert job.base_model is not None
        assert job.lora_sha256 is not None
        seconds = DRAWING
        if self.bases.get(job.base_model) is None:
            self.bases.keep(job.base_model, "", 1, self.bases_kept)
            seconds += LOADING
        if self.loras.get(job.lora_sha256) is None:
            self.loras.keep(job.lora_sha256, "", 1, MOST_LORAS)
            seconds += LORA
        self.job = job
        return seconds


def measure(folder: Path, count: int) -> None:
    print(HEAD)
    for kept in (3, 1):
        for rate in (None, BUSY * WORKERS / DRAWING):
            for prefers in (False, True):
                url = f"sqlite:///{folder}/{kept}-{rate}-{prefers}.sqlite"
                _Run(url, kept, rate, prefers=prefers).all_of(wishes(count))


class _Run:
    def __init__(self, url: str, kept: int, rate: float | None, *, prefers: bool) -> None:
        self._kept, self._rate, self._prefers = kept, rate, prefers
        self._database = Database(url)
        migrate(self._database)
        self._now, self._went = 0.0, Went()
        self._owners = two_organizations(self._database, lambda: self._time)
        slots = (Slot(name=f"gpu-{number}", kinds=(JobKind.GENERATE,)) for number in range(WORKERS))
        self._workers = [Worker(slot, kept) for slot in slots]
        self._ends: list[tuple[float, int]] = []

    @property
    def _time(self) -> datetime:
        return START + timedelta(seconds=self._now)

    def all_of(self, asked: Sequence[Wish]) -> None:
        chance, arrivals, at = random.Random(8), list[tuple[float, Wish]](), 0.0
        for wish in asked:
            at += chance.expovariate(self._rate) if self._rate else 0.0
            arrivals.append((at, wish))
        arrivals.reverse()
        while len(self._went.seconds) < len(asked):
            while arrivals and arrivals[-1][0] <= self._now:
                self._add(arrivals.pop()[1])
            while self._ends and self._ends[0][0] <= self._now:
                self._end(self._workers[heapq.heappop(self._ends)[1]])
            if self._went.jobs + len(arrivals) < len(asked):  # somebody waits
                self._claim()
            nexts = [*(end for end, _ in self._ends[:1]), *(at for at, _ in arrivals[-1:])]
            self._now = min([*nexts, self._now + LOOK])
        how = "at once" if self._rate is None else f"{self._rate:.2f}/s"
        policy = "yes" if self._prefers else "no"
        print(self._went.row(str(self._kept), how, policy, self._now), flush=True)
        self._database.close()

    def _add(self, wish: Wish) -> None:
        organization_id: UUID = self._owners[wish.organization]
        job = Job(
            id=new_id(self._time),
            organization_id=organization_id,
            kind=JobKind.GENERATE,
            target_id=new_id(self._time),
            spec={},
            prices=PriceList(),
            estimate=0,
            created_at=self._time,
            base_model=f"base-{wish.base}",
            lora_sha256=wish.lora_name,
        )
        with self._database.transaction() as transaction:
            transaction.of(organization_id).jobs.add(job)

    def _claim(self) -> None:
        free = [one.known for one in self._workers if one.job is None]
        busy = [one.known for one in self._workers if one.job is not None]
        for slot in aware(free, busy):
            number = next(n for n, one in enumerate(self._workers) if one.slot.name == slot.name)
            holds, nearby = (slot.holds, slot.nearby) if self._prefers else (NOTHING, NOTHING)
            offer = Offer(owner=slot.name, kinds=slot.kinds, holds=holds, nearby=nearby)
            with self._database.transaction() as transaction:
                job = transaction.jobs.claim(offer, self._time, LEASE)
            if job is not None:
                self._went.begun(slot.holds, job.base_model, job.lora_sha256)
                seconds = self._workers[number].begin(job)
                heapq.heappush(self._ends, (self._now + seconds, number))

    def _end(self, worker: Worker) -> None:
        job, worker.job = worker.job, None
        assert job is not None
        with self._database.transaction() as transaction:
            transaction.jobs.finish(job.lease, JobStatus.SUCCEEDED, self._time)
        self._went.seconds.append((self._time - job.created_at).total_seconds())
